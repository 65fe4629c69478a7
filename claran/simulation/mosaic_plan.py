"""All that decides what a simulated mosaic shows, and which of its pixels are blank."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from astropy.wcs import WCS

from claran.simulation.mosaic_noise import NoiseLevel
from claran.simulation.mosaic_sky import PlacedSource
from claran.simulation.observation import FIRST_NATIVE, SimulatedSurvey
from claran.simulation.simulated_field import field_wcs

__all__ = ["BLANKS", "KINDS", "MosaicPlan", "is_blank"]

KINDS = ("sky", "noise", "uneven")
BLANKS = ("border", "corners", "holes")
_BLANK_STREAM = 21  # Of random numbers; see `mosaic_noise` for the others.


@dataclasses.dataclass(frozen=True, kw_only=True)
class MosaicPlan:
    """All that decides what a mosaic shows.

    Attributes:
        shape: Rows and columns.
        seed: Seed.
        kind: "sky", or without sources and stripes "noise" and "uneven": noise that
            rises toward the edges and has steps, strips and spots.
        survey: Beam, pixels, noise and artifacts.
        center: Right ascension and declination of the center, degrees.
        density: Factor on the number of sources of a "sky".
        placed: Sources at given places, on any kind of mosaic.
        blank: Which of `BLANKS` are without data: a border, all outside an ellipse, and
            round holes.

    Raises:
        ValueError: A value is out of its range.
    """

    shape: tuple[int, int]
    seed: int = 0
    kind: str = "sky"
    survey: SimulatedSurvey = FIRST_NATIVE
    center: tuple[float, float] = (180.0, 30.0)
    density: float = 1.0
    placed: Sequence[PlacedSource] = ()
    blank: Sequence[str] = ()

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"`shape` must be at least (1, 1), got {self.shape}.")
        degrees = math.hypot(*self.shape) * self.survey.pixel_arcsec / 3600
        if degrees > 150:
            raise ValueError(
                f"`shape` {self.shape} spans {degrees:.0f} degrees; a SIN projection "
                "holds at most 150."
            )
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {KINDS}, got {self.kind!r}.")
        if not set(self.blank) <= set(BLANKS):
            raise ValueError(f"`blank` must be some of {BLANKS}, got {self.blank}.")
        if not 0 <= self.density < math.inf:
            raise ValueError(f"`density` must be >= 0, got {self.density}.")
        if self.seed < 0 or not -90 <= self.center[1] <= 90:
            raise ValueError(
                f"`seed` must be >= 0 and the declination from -90 to 90, got "
                f"{self.seed} and {self.center[1]}."
            )

    @property
    def wcs(self) -> WCS:
        """The WCS of the mosaic."""
        wcs = field_wcs(self.survey, self.center)
        wcs.wcs.crpix = [(side + 1) / 2 for side in self.shape[::-1]]
        wcs.wcs.set()
        return wcs

    @property
    def level(self) -> NoiseLevel:
        """The noise as a function of the place."""
        return NoiseLevel(
            shape=self.shape, seed=self.seed, survey=self.survey,
            uneven=self.kind == "uneven",
        )  # fmt: skip

    @property
    def deg2(self) -> float:
        """Area, square degrees."""
        return math.prod(self.shape) * (self.survey.pixel_arcsec / 3600) ** 2


def is_blank(plan: MosaicPlan, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns which pixels of a grid have no data, (n, m) bool.

    Args:
        plan: The mosaic.
        y: (n,) rows of the grid, in pixel edges.
        x: (m,) columns of it.
    """
    ny, nx = plan.shape
    y, x = np.asarray(y)[:, None], np.asarray(x)
    blank = (y < 0) | (y > ny) | (x < 0) | (x > nx)
    if not plan.blank:
        return blank
    strips, holes = _draw_blanks(plan.seed, plan.shape, plan.deg2)
    if "border" in plan.blank:
        blank |= (y < strips[0]) | (y > ny - strips[1])
        blank |= (x < strips[2]) | (x > nx - strips[3])
    if "corners" in plan.blank:
        blank |= (2 * y / ny - 1) ** 2 + (2 * x / nx - 1) ** 2 > 1.1
    for row, column, radius in holes if "holes" in plan.blank else ():
        rows = np.flatnonzero(np.abs(y[:, 0] - row) < radius)
        columns = np.flatnonzero(np.abs(x - column) < radius)
        inside = (y[rows] - row) ** 2 + (x[columns] - column) ** 2 < radius**2
        blank[np.ix_(rows, columns)] |= inside
    return blank


@functools.lru_cache(maxsize=4)
def _draw_blanks(
    seed: int, shape: tuple[int, int], deg2: float
) -> tuple[list[float], list[tuple[float, float, float]]]:
    """Returns widths of the border, and row, column and radius of holes; pixels."""
    ny, nx = shape
    rng = np.random.default_rng([seed, _BLANK_STREAM])
    strips = (rng.uniform(0.01, 0.04, 4) * (ny, ny, nx, nx)).tolist()
    holes = [
        (rng.uniform(0, ny), rng.uniform(0, nx), 10 * 6 ** rng.random())
        for _ in range(2 + round(deg2))
    ]
    return strips, holes
