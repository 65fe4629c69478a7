"""The galaxies and stars that a radio source may belong to, and their counts."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d

__all__ = ["Candidates", "occupied_area"]

COLUMNS = ("ra", "dec", "error_arcsec", "magnitude", "ids")
STEP = 0.05  # Magnitudes, of the grid on which counts are smoothed.
SMOOTHING = 0.3  # Magnitudes, one sigma.
FEWEST = 0.5  # Candidates per magnitude: where fewer are seen, as many are assumed.
PER_CELL = 10  # Candidates, on average, in a cell that tells where they were searched.


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Infrared sources that may be hosts of radio sources.

    Attributes:
        ra: `(n,)` degrees, ICRS.
        dec: `(n,)` degrees, ICRS.
        error_arcsec: `(n,)` position error, one sigma for each axis.
        magnitude: `(n,)` W1, Vega; NaN where unknown.
        ids: `(n,)` names in the catalog.
        area_deg2: Area of sky in which they were searched.
        name: Of the catalog or image.
        relative: Whether the zero point of the magnitudes is unknown.
        notes: What the user should know about them, each in a few words.

    Raises:
        ValueError: Arrays differ in length, or a value is out of range.
    """

    ra: Float[np.ndarray, "n"]
    dec: Float[np.ndarray, "n"]
    error_arcsec: Float[np.ndarray, "n"]
    magnitude: Float[np.ndarray, "n"]
    ids: np.ndarray
    area_deg2: float
    name: str
    relative: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ra", "dec", "error_arcsec", "magnitude"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        object.__setattr__(self, "ids", np.asarray(self.ids, str))
        if fault := self._fault():
            raise ValueError(f"{self.name}: {fault}")

    def __len__(self) -> int:
        return len(self.ra)

    @classmethod
    def joined(cls, parts: "Sequence[Candidates]") -> "Candidates":
        """Returns the candidates of several images, one after the other.

        Their magnitudes are relative if those of any image are.

        Args:
            parts: Of each image, one at least. Their areas are added.
        """
        if len(parts) == 1:
            return parts[0]
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in COLUMNS
        }
        notes = [note for part in parts for note in part.notes]
        return cls(
            **columns, area_deg2=sum(part.area_deg2 for part in parts),
            name=f"{len(parts)} images", relative=any(part.relative for part in parts),
            # Others count what is in one image.
            notes=tuple(dict.fromkeys(n for n in notes if not n[:1].isdigit())),
        )  # fmt: skip

    def density(self, magnitude: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
        """Returns the surface density of unrelated candidates.

        Args:
            magnitude: `(k,)` W1, Vega.

        Returns:
            Candidates per square arcsec and magnitude, smoothed over 0.3 magnitudes;
            for a magnitude of NaN, all candidates per square arcsec.
        """
        magnitude = np.asarray(magnitude, np.float64)
        known = np.isfinite(magnitude)
        grid, counts = self._counts
        found = np.interp(magnitude, grid, counts, left=FEWEST, right=FEWEST)
        found = np.where(known, found, max(len(self), 1))
        return found / (self.area_deg2 * 3600**2)

    def background(
        self,
        rows: Int[np.ndarray, "k"],
        related: Float[np.ndarray, "k"],
    ) -> Float[np.ndarray, "k"]:
        """Returns the density of the other unrelated candidates at some candidates.

        A candidate that may be a host tells nothing of the density of those that are
        not, and neither do the hosts of other sources. Among few, this counts.

        Args:
            rows: The candidates that may be hosts, each once.
            related: Probability of each to be a host.

        Returns:
            As of `density`, at the magnitude of each candidate. With fewer than some
            hundred candidates, it is smoothed over more magnitudes.
        """
        magnitude, share = self.magnitude[rows], 1 - related
        known = np.isfinite(magnitude)
        found = np.maximum(len(self) - related.sum() - share, 1.0)
        if known.any():
            width, edges, counts = self._histogram
            # The others need not be counted again.
            own = np.histogram(magnitude[known], edges, weights=related[known])[0]
            smooth = _smoothed(counts - own, width)
            share = share / (width * math.sqrt(2 * math.pi))
            others = np.interp(magnitude, edges[:-1] + STEP / 2, smooth) - share
            found = np.where(known, np.maximum(others, FEWEST), found)
        return found / (self.area_deg2 * 3600**2)

    def where(self, chosen: Bool[np.ndarray, "n"], area_deg2: float) -> "Candidates":
        """Returns some of the candidates, searched in another area."""
        parts = {name: getattr(self, name)[chosen] for name in COLUMNS}
        return dataclasses.replace(self, **parts, area_deg2=area_deg2)

    def within(self, ra: float, dec: float, radius_deg: float) -> "Candidates":
        """Returns the candidates in a circle on the sky.

        Args:
            ra: Of the center, degrees.
            dec: Of the center, degrees.
            radius_deg: At most 180. The circle is taken as searched in full, but for
                no more than the area of all candidates.
        """
        lon, lat, lon0, lat0 = map(np.radians, (self.ra, self.dec, ra, dec))
        half = np.sin((lat - lat0) / 2) ** 2
        half += np.cos(lat) * np.cos(lat0) * np.sin((lon - lon0) / 2) ** 2
        inside = np.sqrt(half) <= math.sin(math.radians(radius_deg) / 2)
        circle = 2 * math.pi * (1 - math.cos(math.radians(radius_deg)))
        area = min(self.area_deg2, circle * math.degrees(1) ** 2)
        return self.where(inside, area)

    @functools.cached_property
    def directions(self) -> Float[np.ndarray, "n 3"]:
        """Returns where the candidates are, as unit vectors."""
        ra, dec = np.radians(self.ra), np.radians(self.dec)
        x, y = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra)
        return np.stack([x, y, np.sin(dec)], axis=1)

    @functools.cached_property
    def _counts(self) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
        """Returns magnitudes, and the candidates per magnitude there."""
        if not np.isfinite(self.magnitude).any():
            return np.zeros(1), np.full(1, FEWEST)
        edges, counts = self._binned(SMOOTHING)
        smooth = _smoothed(counts, SMOOTHING)
        return edges[:-1] + STEP / 2, np.maximum(smooth, FEWEST)

    @functools.cached_property
    def _histogram(
        self,
    ) -> tuple[float, Float[np.ndarray, "e"], Float[np.ndarray, "b"]]:
        """Returns the width of the smoothing, edges of bins, and candidates in them."""
        width = _smoothing(self.magnitude[np.isfinite(self.magnitude)])
        return width, *self._binned(width)

    def _binned(
        self, width: float
    ) -> tuple[Float[np.ndarray, "e"], Float[np.ndarray, "b"]]:
        """Returns edges of bins of magnitude, and the candidates in them."""
        known = self.magnitude[np.isfinite(self.magnitude)]
        low, high = known.min() - 5 * width, known.max() + 5 * width
        edges = np.arange(low, high + STEP, STEP)
        return edges, np.histogram(known, edges)[0].astype(np.float64)

    def _fault(self) -> str:
        shapes = {np.shape(x) for x in (self.ra, self.dec, self.error_arcsec)}
        if shapes | {self.magnitude.shape, self.ids.shape} != {(self.ra.size,)}:
            return (
                "the columns of candidates differ in length; give one value for each."
            )
        if not np.isfinite(self.ra).all() or not (np.abs(self.dec) <= 90).all():
            return "positions must be finite, and declinations from -90 to 90 degrees."
        errors = self.error_arcsec
        if not (np.isfinite(errors).all() and (errors > 0).all()):
            return "position errors must be above 0 arcsec."
        if np.isinf(self.magnitude).any():
            return "magnitudes must be finite, or NaN where they are unknown."
        if not 0 < self.area_deg2 < 41_254:
            return f"the searched area is {self.area_deg2} square degrees; give it."
        return ""


def _smoothing(magnitude: Float[np.ndarray, "k"]) -> float:
    """Returns the width for few magnitudes (Silverman 1986), at least `SMOOTHING`."""
    return max(SMOOTHING, 1.06 * float(np.std(magnitude)) * len(magnitude) ** -0.2)


def _smoothed(counts: Float[np.ndarray, "b"], width: float) -> Float[np.ndarray, "b"]:
    """Returns candidates per magnitude, from those in bins."""
    return gaussian_filter1d(counts / STEP, width / STEP, mode="constant")


def occupied_area(ra: Float[np.ndarray, "n"], dec: Float[np.ndarray, "n"]) -> float:
    """Returns the area in which positions lie, square degrees.

    It is that of the cells with a position in them; cells hold ten on average.

    Args:
        ra: `(n,)` degrees.
        dec: `(n,)` degrees.
    """
    middle = np.degrees(np.angle(np.exp(1j * np.radians(ra)).sum()))
    along = (ra - middle + 180) % 360 - 180
    height = max(float(np.ptp(dec)), 1 / 3600)
    sky = np.ptp(np.sin(np.radians(dec))) * np.radians(np.ptp(along))
    area = max(float(sky) * math.degrees(1) ** 2, (1 / 60) ** 2)
    for _ in range(5):
        rows = max(1, round(height / math.sqrt(area * PER_CELL / len(ra))))
        side = height / rows
        row = np.minimum(((dec - dec.min()) / side).astype(int), rows - 1)
        scale = np.cos(np.radians(dec.min() + (row + 0.5) * side))
        column = np.floor((along - along.min()) * scale / side).astype(int)
        cells = len(np.unique(np.stack([row, column]), axis=1).T)
        area = min(area, cells * side**2)
    return area
