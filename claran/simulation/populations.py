"""What sources exist: class mix, families, sizes, fluxes, neighbours and hosts.

The numbers come from the 6,978 training sources of Radio Galaxy Zoo that ClaRAN used
("the catalogue") and from the 168 of them with a real FIRST cutout ("the cutouts"),
measured by the rule of `labels`. `scripts/compare_simulation.py` compares the result.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from scipy import special

from claran.labels import RGZ_CLASSES
from claran.simulation import morphology
from claran.simulation import radio_sky as radio
from claran.simulation.observation import Survey

__all__ = [
    "BALANCED",
    "CATALOGUE",
    "GIANT_BRIGHTNESS",
    "GIANT_SIZE",
    "Population",
    "Source",
    "draw_source",
    "peak_at",
]

# Families behind each class: our judgement of what makes such islands and peaks.
_FAMILIES = {
    "1_1": {
        "compact": 5,
        "double": 3,
        "one_sided": 1.5,
        "fr1": 2,
        "relic": 0.7,
        "head_tail": 0.7,
    },
    "1_2": {
        "double": 6,
        "one_sided": 2,
        "fr1": 2,
        "head_tail": 0.7,
        "narrow_tail": 0.5,
    },
    "1_3": {
        "triple": 6,
        "wide_tail": 2,
        "narrow_tail": 1.5,
        "fr1": 1.5,
        "double_spot": 1.5,
    },
    "2_2": {"double": 8, "one_sided": 2},
    "2_3": {"uneven": 5, "double_spot": 3, "triple": 2},
    "3_3": {"triple": 9, "wide_tail": 1},
}  # fmt: skip

# Size along the spine in arcsec: median, scatter of the logarithm, and the least, below
# which almost no source has the class. Adjusted until the simulated extents agree with
# the catalogue's: median 16.8, 30.4, 45.8 (diagonal of the box), 25, 33, 48 (largest
# distance between components); scatter 0.36, 0.28, 0.33, 0.53, 0.53, 0.43. Only the
# draws that give the class survive, so these differ.
_SIZES = {
    "1_1": (9.5, 0.40, 0.5),
    "1_2": (12.5, 0.42, 6.0),
    "1_3": (15.0, 0.55, 10.0),
    "2_2": (26.0, 0.70, 9.0),
    "2_3": (33.0, 0.70, 17.0),
    "3_3": (38.0, 0.60, 20.0),
}

# Peak brightness at 1.4 GHz in mJy/beam, median and scatter of the logarithm, of the
# cutouts; 2_2 has four of them, so it takes a value between its neighbours'.
_PEAKS = {
    "1_1": (7.0, 1.05),
    "1_2": (7.5, 1.08),
    "1_3": (9.0, 0.95),
    "2_2": (6.5, 0.90),
    "2_3": (8.0, 0.95),
    "3_3": (8.0, 0.80),
}

# Neighbours: number above S falls as S ** -0.8 from FIRST's limit of 1 mJy up,
# about the slope of FIRST's counts between 1 and 100 mJy (White et al. 1997, ApJ 475,
# 479).
_NEIGHBOUR_LIMIT, _NEIGHBOUR_SLOPE = 1.0, 0.8

# Largest factors of giants. Their lobes lie up to 3' apart, and those that people look
# at are bright: with four times the size alone, a network took FIRST J151227.2+454026,
# two lobes 160" apart at 500 and 800 sigma, for two sources.
GIANT_SIZE, GIANT_BRIGHTNESS = 6.0, 20.0

_COMPACT_SIGMA = (1.6, 0.5)  # Arcsec, and scatter of the logarithm.

# W1 of the hosts, a guess: the catalogue has no magnitudes. The AllWISE limit of 16.9
# mag (five sigma) then hides one host in ten.
_HOST_MAG = (15.0, 1.5)
_HOST_FAINTEST = 16.9

# Frequency of the fluxes above; spectral indices of extended emission and of cores.
_REFERENCE_HZ = 1.4e9
_EXTENDED_INDEX = -0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """How fields are filled.

    Attributes:
        weights: Relative number of main sources per class.
        neighbours: Mean number of unrelated sources per 9 square arcmin.
        neighbour_compact: Fraction of those that are compact; the rest has the shapes
            of the catalogue's classes, whatever `weights` are. All have the fluxes of
            FIRST's counts.
        chance_pairs: Fraction of fields with two unrelated sources placed like the
            lobes of a double.
        empty: Fraction of fields without a main source.
        sizes: Least and greatest factor on the sizes of sources with a class, drawn
            evenly in the logarithm. The catalogue's are 1.
        brightness: The same for their peak brightness.
        giants: Fraction of main sources with two or more components that have further
            factors, of 1 to `GIANT_SIZE` and `GIANT_BRIGHTNESS`.
        whole: Whether main sources are moved into the field where they reach beyond
            it, and drawn again where they do not fit. Subjects of Radio Galaxy Zoo
            are centred on one peak, and cut wide sources.
    """

    weights: Mapping[str, float]
    neighbours: float = 0.22
    neighbour_compact: float = 0.7
    chance_pairs: float = 0.0
    empty: float = 0.0
    sizes: tuple[float, float] = (1.0, 1.0)
    brightness: tuple[float, float] = (1.0, 1.0)
    giants: float = 0.0
    whole: bool = False

    def __post_init__(self) -> None:
        if set(self.weights) != set(RGZ_CLASSES) or not (
            min(self.weights.values()) >= 0 < sum(self.weights.values())
        ):
            raise ValueError(
                f"`weights` must give each of {list(RGZ_CLASSES)} a number >= 0, "
                f"not all zero, got {dict(self.weights)}."
            )
        for name in ("neighbour_compact", "chance_pairs", "empty", "giants"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1], got {getattr(self, name)}."
                )
        if not self.neighbours >= 0:
            raise ValueError(f"`neighbours` must be >= 0, got {self.neighbours}.")
        for name in ("sizes", "brightness"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(
                    f"`{name}` must be a range above 0, got ({low}, {high})."
                )

    def draw_class(self, rng: np.random.Generator) -> str:
        """Returns the class of a main source."""
        return _choose(rng, self.weights)

    def draw_factors(
        self, rng: np.random.Generator, code: str = "1_1"
    ) -> tuple[float, float]:
        """Returns factors on a source's size and peak brightness.

        Args:
            rng: Source of randomness.
            code: Class of a main source: those of several components may be giants.
        """
        size, brightness = (
            low * (high / low) ** rng.random()
            for low, high in (self.sizes, self.brightness)
        )
        if not code.startswith("1") and rng.random() < self.giants:
            size *= GIANT_SIZE ** rng.random()
            brightness *= GIANT_BRIGHTNESS ** rng.random()
        return size, brightness


# Weights of main sources that give, neighbours and noise included, the catalogue's
# fractions of all sources: 0.504, 0.116, 0.104, 0.093, 0.087, 0.095 (adjusted on runs
# of 3,000 fields). FIRST has 946,432 sources in 10,575 square degrees (Helfand et
# al. 2015): 0.22 for each field of 9 square arcmin.
CATALOGUE = Population(
    weights={"1_1": 44, "1_2": 8.5, "1_3": 15, "2_2": 8.5, "2_3": 14, "3_3": 12.5},
)
# For training: equal classes, more of what makes association hard, and a wider range of
# sizes and fluxes, so that samples selected in other ways lie within it.
BALANCED = Population(
    weights=dict.fromkeys(RGZ_CLASSES, 1.0),
    neighbours=0.4,
    neighbour_compact=0.85,
    chance_pairs=0.03,
    empty=0.02,
    sizes=(0.9, 2.0),
    brightness=(0.7, 3.0),
    giants=0.4,
    whole=True,
)


@dataclasses.dataclass(frozen=True)
class Source:
    """One true source.

    Attributes:
        family: Its morphology, a name of `morphology`.
        blobs: (n, 4), see `radio`; the core is at `host[:2]` but for a small offset.
        host: (3,) x and y in arcsec from the field's centre and W1 magnitude; NaN
            where the host is too faint for W1.
    """

    family: str
    blobs: np.ndarray
    host: np.ndarray

    def moved(self, x: float, y: float) -> "Source":
        """Returns the source shifted by (x, y) arcsec."""
        blobs, host = self.blobs.copy(), self.host.copy()
        blobs[:, :2] += (x, y)
        host[:2] += (x, y)
        return dataclasses.replace(self, blobs=blobs, host=host)

    def scaled(self, factor: float) -> "Source":
        """Returns the source with its fluxes multiplied by a factor."""
        blobs = self.blobs * (1, 1, factor, 1)
        return dataclasses.replace(self, blobs=blobs)


def draw_source(
    rng: np.random.Generator,
    code: str,
    survey: Survey,
    *,
    size: float = 1.0,
    peak: float | None = None,
) -> Source:
    """Returns a source with its core at the origin, of a kind that may give a class.

    Whether it does is for the image to say: `field` draws until it does.

    Args:
        rng: Source of randomness.
        code: One of the six classes, or "compact" for a neighbour.
        survey: Its frequency carries the fluxes over.
        size: Factor on the size of a source, unless it is compact.
        peak: Peak brightness in FIRST's beam at 1.4 GHz, Jy/beam; drawn if None.
    """
    family = "compact" if code == "compact" else _choose(rng, _FAMILIES[code])
    shape = morphology.draw_shape(rng, family, _draw_size(rng, code, family, size))
    blobs = morphology.build(rng, shape)
    peak = peak_at(code, rng.random()) if peak is None else peak
    blobs[:, 2] *= peak / radio.peak_brightness(blobs, _FIRST_BEAM)
    if survey.frequency_hz != _REFERENCE_HZ:
        # Cores are flat-spectrum, lobes steep.
        core = (blobs[:, :2] == 0).all(axis=1)
        ratio = (survey.frequency_hz / _REFERENCE_HZ) ** _EXTENDED_INDEX
        blobs[~core, 2] *= ratio
    return Source(family, blobs, _draw_host(rng, family))


def _draw_size(
    rng: np.random.Generator, code: str, family: str, factor: float
) -> float:
    """Returns a size along the spine, arcsec.

    For compact sources it is the sigma, which is the same in any population.
    """
    if family == "compact":
        median, scatter = _COMPACT_SIGMA
        return rng.lognormal(math.log(median), scatter)
    median, scatter, least = _SIZES[code]
    center = math.log(median * factor)
    below = special.ndtr((math.log(least) - center) / scatter)
    return math.exp(center + scatter * special.ndtri(rng.uniform(below, 1)))


_FIRST_BEAM = Survey()


def peak_at(code: str, share: float) -> float:
    """Returns the peak brightness below which a share of sources lies, Jy/beam.

    In FIRST's beam at 1.4 GHz; at most 1 Jy.

    Args:
        code: One of the six classes, or "compact" for a neighbour.
        share: In [0, 1).
    """
    if code == "compact":
        peak = _NEIGHBOUR_LIMIT * (1 - share) ** (-1 / _NEIGHBOUR_SLOPE)
    else:
        median, scatter = _PEAKS[code]
        peak = median * math.exp(scatter * special.ndtri(max(share, 1e-6)))
    return 1e-3 * min(peak, 1000.0)


def _draw_host(rng: np.random.Generator, family: str) -> np.ndarray:
    """Returns x, y and W1 of the host of a source with its core at the origin."""
    magnitude = rng.normal(*_HOST_MAG)
    if family == "relic" or magnitude > _HOST_FAINTEST:
        return np.full(3, np.nan)
    x, y = rng.normal(0, 0.3, 2)  # Radio and W1 agree to some 0.3" for compact sources.
    return np.array([x, y, magnitude])


def _choose(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    # Six entries: a plain loop is ten times faster than NumPy's `choice`.
    left = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return max(weights, key=lambda name: weights[name])  # Rounding left nothing.
