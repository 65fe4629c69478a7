"""What sources exist: class mix, families, sizes, fluxes, neighbours and hosts.

The numbers come from the 6,978 training sources of Radio Galaxy Zoo that ClaRAN used
("the catalogue") and from the 168 of them with a real FIRST cutout ("the cutouts"),
measured by the rule of `labels`. `scripts/compare_simulation.py` compares the result.
"""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from claran.labels import RGZ_CLASSES
from claran.simulation import morphology, radio
from claran.simulation.survey import Survey

__all__ = ["BALANCED", "CATALOGUE", "Population", "Source", "draw_source"]

# Families behind each class: our judgement of what makes such islands and peaks.
_FAMILIES = {
    "1_1": {"compact": 6, "one_sided": 1, "fr1": 1, "relic": 0.7, "head_tail": 0.7},
    "1_2": {"double": 6, "one_sided": 2, "head_tail": 0.7, "narrow_tail": 0.5},
    "1_3": {"triple": 6, "wide_tail": 2, "narrow_tail": 1, "fr1": 2, "double_spot": 2},
    "2_2": {"double": 8, "one_sided": 2},
    "2_3": {"uneven": 5, "double_spot": 3, "triple": 2},
    "3_3": {"triple": 9, "wide_tail": 1},
}

# Size along the spine in arcsec, median and scatter of the logarithm. For 2_2, 2_3 and
# 3_3 the catalogue's largest distance between components (25, 33, 48; scatter 0.53,
# 0.53, 0.43); for the others its extent (16.8, 30.4, 45.8; 0.36, 0.28, 0.33) less the
# beam's share, adjusted until the simulated extents agree.
_SIZES = {
    "1_1": (11.0, 0.40),
    "1_2": (14.5, 0.50),
    "1_3": (20.0, 0.60),
    "2_2": (20.0, 0.65),
    "2_3": (35.0, 0.70),
    "3_3": (36.0, 0.60),
}

# Peak brightness at 1.4 GHz in mJy/beam, median and scatter of the logarithm, of the
# cutouts; 2_2 has four of them, so it takes a value between its neighbours'.
_PEAKS = {
    "1_1": (8.5, 1.05),
    "1_2": (9.5, 1.08),
    "1_3": (10.5, 0.95),
    "2_2": (7.0, 0.85),
    "2_3": (9.0, 0.95),
    "3_3": (6.7, 0.75),
}

# Compact neighbours: number above S falls as S ** -0.8 from FIRST's limit of 1 mJy up,
# the slope of the 1.4 GHz counts between 1 and 100 mJy (White et al. 1997, ApJ 475,
# 479).
_NEIGHBOUR_LIMIT, _NEIGHBOUR_SLOPE = 1.0, 0.8

_COMPACT_SIGMA = (1.6, 0.5)  # Arcsec, and scatter of the logarithm.

# RGZ hosts in W1: Banfield et al. (2015) find most between 12 and 17 mag; the W1 image
# shows none for about one source in ten.
_HOST_MAG = (14.8, 1.3)
_HOST_FAINTEST = 17.5

# Frequency of the fluxes above; spectral indices of extended emission and of cores.
_REFERENCE_HZ = 1.4e9
_EXTENDED_INDEX = -0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """How fields are filled.

    Attributes:
        weights: Relative number of main sources per class.
        neighbours: Mean number of unrelated sources per 9 square arcmin.
        neighbour_compact: Fraction of those that are compact; the rest is drawn by
            `weights`.
        chance_pairs: Fraction of fields with two unrelated sources placed like the
            lobes of a double.
        empty: Fraction of fields without a main source.
    """

    weights: Mapping[str, float]
    neighbours: float = 0.22
    neighbour_compact: float = 0.7
    chance_pairs: float = 0.0
    empty: float = 0.0

    def __post_init__(self) -> None:
        if set(self.weights) != set(RGZ_CLASSES) or not (
            min(self.weights.values()) >= 0 < sum(self.weights.values())
        ):
            raise ValueError(
                f"`weights` must give each of {list(RGZ_CLASSES)} a number >= 0, "
                f"not all zero, got {dict(self.weights)}."
            )
        for name in ("neighbour_compact", "chance_pairs", "empty"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1], got {getattr(self, name)}."
                )
        if not self.neighbours >= 0:
            raise ValueError(f"`neighbours` must be >= 0, got {self.neighbours}.")

    def draw_class(self, rng: np.random.Generator) -> str:
        """Returns the class of a main source."""
        return _choose(rng, self.weights)


# Weights of main sources that give, neighbours and noise included, the catalogue's
# fractions of all sources: 0.504, 0.116, 0.104, 0.093, 0.087, 0.095 (three iterations
# on 2,500 fields each). FIRST has 946,432 sources in 10,575 square degrees (Helfand et
# al. 2015): 0.22 for each field of 9 square arcmin.
CATALOGUE = Population(
    weights=MappingProxyType(
        {"1_1": 42, "1_2": 11, "1_3": 16, "2_2": 8, "2_3": 11, "3_3": 12}
    ),
)
# For training: equal classes, and more of what makes association hard.
BALANCED = Population(
    weights=MappingProxyType(dict.fromkeys(RGZ_CLASSES, 1.0)),
    neighbours=0.5,
    chance_pairs=0.08,
    empty=0.02,
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


def draw_source(rng: np.random.Generator, code: str, survey: Survey) -> Source:
    """Returns a source with its core at the origin, of a kind that may give a class.

    Whether it does is for the image to say: `field` draws until it does.

    Args:
        rng: Source of randomness.
        code: One of the six classes, or "compact" for a neighbour.
        survey: Its frequency carries the fluxes over, its beam gives the peak.
    """
    family = "compact" if code == "compact" else _choose(rng, _FAMILIES[code])
    median, scatter = _COMPACT_SIGMA if family == "compact" else _SIZES[code]
    shape = morphology.draw_shape(rng, family, rng.lognormal(math.log(median), scatter))
    blobs = morphology.build(rng, shape)
    peak = 1e-3 * _draw_peak(rng, code)
    blobs[:, 2] *= peak / radio.peak_brightness(blobs, _FIRST_BEAM)
    # Cores are flat-spectrum, lobes steep.
    core = (blobs[:, :2] == 0).all(axis=1)
    ratio = (survey.frequency_hz / _REFERENCE_HZ) ** _EXTENDED_INDEX
    blobs[~core, 2] *= ratio
    return Source(family, blobs, _draw_host(rng, family))


_FIRST_BEAM = Survey()


def _draw_peak(rng: np.random.Generator, code: str) -> float:
    """Returns a peak brightness, mJy per beam of FIRST."""
    if code == "compact":
        above = (1 - rng.random()) ** (-1 / _NEIGHBOUR_SLOPE)
        return min(_NEIGHBOUR_LIMIT * above, 1000.0)
    median, scatter = _PEAKS[code]
    return rng.lognormal(math.log(median), scatter)


def _draw_host(rng: np.random.Generator, family: str) -> np.ndarray:
    """Returns x, y and W1 of the host of a source with its core at the origin."""
    magnitude = rng.normal(*_HOST_MAG)
    if family == "relic" or magnitude > _HOST_FAINTEST:
        return np.full(3, np.nan)
    x, y = rng.normal(0, 0.3, 2)  # Radio and W1 agree to some 0.3" for compact sources.
    return np.array([x, y, magnitude])


def _choose(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], "right"))]
