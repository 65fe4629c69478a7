"""Random sources: family, size, flux and host.

The numbers come from the 6,978 training sources of Radio Galaxy Zoo that ClaRAN used
("the catalog") and from the 168 of them with a real FIRST cutout ("the cutouts"),
measured by the rule of `rgz_labels`. `scripts/compare_simulation.py` compares the
simulation with them.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from scipy import special

from claran.simulation import diffuse, morphology
from claran.simulation import radio_sky as radio
from claran.simulation.faint_lobes import draw_faint_lobes
from claran.simulation.jets import draw_twin_jets
from claran.simulation.observation import FIRST, SimulatedSurvey
from claran.simulation.source_counts import REFERENCE_HZ, SPECTRAL_INDEX
from claran.sky.beams import fwhm_to_sigma

__all__ = [
    "FAMILIES",
    "Source",
    "choose",
    "draw_compact",
    "draw_diffuse",
    "draw_source",
    "peak_at",
]

# Relative numbers of the families in each class. They are our judgment of which
# sources show such islands and peaks.
FAMILIES = {
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

# Size along the spine in arcsec: median, scatter of the natural logarithm, and minimum,
# below which almost no source has the class. They were adjusted until the simulated
# extents agreed with the catalog: median 16.8, 30.4, 45.8 (diagonal of the box), 25,
# 33, 48 (largest distance between components); scatter 0.36, 0.28, 0.33, 0.53, 0.53,
# 0.43. The values here differ because only draws that have the class are kept.
_SIZES = {
    "1_1": (9.5, 0.40, 0.5),
    "1_2": (12.5, 0.42, 6.0),
    "1_3": (15.0, 0.55, 10.0),
    "2_2": (26.0, 0.70, 9.0),
    "2_3": (33.0, 0.70, 17.0),
    "3_3": (38.0, 0.60, 20.0),
}

# Peak brightness of the cutouts at 1.4 GHz: median in mJy/beam, and scatter of the
# natural logarithm. Only four cutouts show a 2_2: its values are interpolated.
_PEAKS = {
    "1_1": (7.0, 1.05),
    "1_2": (7.5, 1.08),
    "1_3": (9.0, 0.95),
    "2_2": (6.5, 0.90),
    "2_3": (8.0, 0.95),
    "3_3": (8.0, 0.80),
}

# Neighbors: N(> S) is proportional to S ** -0.8 above FIRST's limit of 1 mJy. This is
# about the slope of FIRST's counts from 1 to 100 mJy (White et al. 1997, ApJ 475, 479).
_NEIGHBOR_LIMIT, _NEIGHBOR_SLOPE = 1.0, 0.8

_COMPACT_SIGMA = (1.6, 0.5)  # Median in arcsec, and scatter of the natural logarithm.

# Mean and standard deviation of the W1 magnitude of hosts. They are a guess, as the
# catalog has no magnitudes. The AllWISE limit of 16.9 mag (five sigma) then hides one
# host in ten.
_HOST_MAG = (15.0, 1.5)

_HOST_FAINTEST = 16.9

# Families that `morphology` does not have.
_OF_THEIR_OWN = {"twin_jets": draw_twin_jets, "faint_lobes": draw_faint_lobes}


@dataclasses.dataclass(frozen=True)
class Source:
    """One true source.

    Attributes:
        family: Its morphology, see `morphology.draw_shape`.
        blobs: (n, 4) blobs, see `radio_sky`. The core is at `host[:2]` up to a small
            offset.
        host: (3,) x and y in arcsec from the center of the field, and W1 magnitude; NaN
            if W1 does not detect the host.
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
    survey: SimulatedSurvey,
    *,
    size: float = 1.0,
    peak: float | None = None,
    in_beams: bool = False,
    families: Mapping[str, Mapping[str, float]] = FAMILIES,
) -> Source:
    """Returns a random source, with its core at the origin, that may have a class.

    Whether it has the class depends on the image: see `selection.draw_of_class`.

    Args:
        rng: Random generator.
        code: One of the six classes, or "compact" for a neighbor.
        survey: The survey, whose frequency scales the lobes.
        size: Factor on the size of the source, unless it is compact.
        peak: Peak brightness in the survey's beam, Jy/beam; random if None.
        in_beams: Whether sizes are those of FIRST in units of the beam; otherwise they
            are those on the sky.
        families: Relative numbers of the families in each class.
    """
    family = "compact" if code == "compact" else choose(rng, families[code])
    length = _draw_size(rng, code, family, size)
    if family in _OF_THEIR_OWN:
        blobs = _OF_THEIR_OWN[family](rng, length)
    else:
        blobs = morphology.build(rng, morphology.draw_shape(rng, family, length))
    peak = peak_at(code, rng.random(), survey) if peak is None else peak
    scale = survey.beam_arcsec / FIRST.beam_arcsec if in_beams else 1.0
    host = _draw_host(rng, family)
    return _observed(family, blobs * (scale, scale, 1, scale), host, survey, peak)


def draw_compact(
    rng: np.random.Generator, survey: SimulatedSurvey, peaks: np.ndarray
) -> list[Source]:
    """Returns compact sources of given peaks: a core, and two jets it hides.

    For the many faint neighbors of a field; much faster than `draw_source`.

    Args:
        rng: Random generator.
        survey: The survey, in whose beam the peaks are.
        peaks: (n,) peak brightness in the survey's beam, Jy/beam.
    """
    count = len(peaks)
    median, scatter = _COMPACT_SIGMA
    width = rng.lognormal(math.log(median), scatter, count)
    angle, core = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.3, 0.9, count)
    reach = width * rng.uniform(0, 0.75, (2, count))
    blobs = np.zeros((3, count, 4))
    for arm, sign in ((1, 1), (2, -1)):
        blobs[arm, :, 0] = sign * reach[arm - 1] * np.cos(angle)
        blobs[arm, :, 1] = sign * reach[arm - 1] * np.sin(angle)
        blobs[arm, :, 2] = (1 - core) * (0.6 if arm == 1 else 0.4)
        blobs[arm, :, 3] = width
    blobs[0, :, 2], blobs[0, :, 3] = core, width * rng.uniform(0.3, 1, count)
    sigma = fwhm_to_sigma(survey.beam_arcsec)
    total = sigma**2 + blobs[..., 3] ** 2
    distance = (blobs[..., :2] ** 2).sum(axis=-1)
    height = blobs[..., 2] * sigma**2 / total * np.exp(-distance / (2 * total))
    blobs[..., 2] *= peaks / height.sum(axis=0)
    hosts = [_draw_host(rng, "compact") for _ in range(count)]
    return [Source("compact", blobs[:, i], host) for i, host in enumerate(hosts)]


def draw_diffuse(
    rng: np.random.Generator, survey: SimulatedSurvey, *, peak: float
) -> Source:
    """Returns a random source that is no radio galaxy and wide: see `diffuse`.

    Args:
        rng: Random generator.
        survey: The survey, whose beam scales the sizes.
        peak: Peak brightness in the survey's beam, Jy/beam.
    """
    family = diffuse.DIFFUSE[rng.integers(len(diffuse.DIFFUSE))]
    size = survey.beam_arcsec * 5 * 4 ** rng.random()
    blobs = diffuse.build(rng, family, size)
    return _observed(family, blobs, np.full(3, np.nan), survey, peak)


def _observed(
    family: str,
    blobs: np.ndarray,
    host: np.ndarray,
    survey: SimulatedSurvey,
    peak: float,
) -> Source:
    """Returns a source as a survey sees it: its lobes, and its peak."""
    if survey.frequency_hz != REFERENCE_HZ:
        # Cores have flat spectra, lobes steep ones.
        core = (blobs[:, :2] == 0).all(axis=1)
        ratio = (survey.frequency_hz / REFERENCE_HZ) ** SPECTRAL_INDEX
        blobs[~core, 2] *= ratio
    blobs[:, 2] *= peak / radio.peak_brightness(blobs, survey)
    return Source(family, blobs, host)


def _draw_size(
    rng: np.random.Generator, code: str, family: str, factor: float
) -> float:
    """Returns a random size along the spine, arcsec.

    For compact sources it is the sigma, to which the factor does not apply.
    """
    if family == "compact":
        median, scatter = _COMPACT_SIGMA
        return rng.lognormal(math.log(median), scatter)
    median, scatter, minimum = _SIZES[code]
    center = math.log(median * factor)
    below = special.ndtr((math.log(minimum) - center) / scatter)
    return math.exp(center + scatter * special.ndtri(rng.uniform(below, 1)))


def peak_at(code: str, share: float, survey: SimulatedSurvey = FIRST) -> float:
    """Returns a quantile of the peak brightness of sources, Jy/beam.

    It is at most 1 Jy/beam in FIRST, and scaled by the noise for other surveys.

    Args:
        code: One of the six classes, or "compact" for a neighbor.
        share: Fraction of sources that are fainter, in [0, 1).
        survey: The survey.
    """
    if code == "compact":
        peak = _NEIGHBOR_LIMIT * (1 - share) ** (-1 / _NEIGHBOR_SLOPE)
    else:
        median, scatter = _PEAKS[code]
        peak = median * math.exp(scatter * special.ndtri(max(share, 1e-6)))
    return 1e-3 * min(peak, 1000.0) * (survey.noise_jy / FIRST.noise_jy)


def _draw_host(rng: np.random.Generator, family: str) -> np.ndarray:
    """Returns the host of a source with its core at the origin, see `Source.host`."""
    magnitude = rng.normal(*_HOST_MAG)
    if family == "relic" or magnitude > _HOST_FAINTEST:
        return np.full(3, np.nan)
    x, y = rng.normal(0, 0.3, 2)  # Radio and W1 positions agree to about 0.3".
    return np.array([x, y, magnitude])


def choose(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Returns a random name, each as often as its weight says."""
    # For six entries a plain loop is ten times as fast as NumPy's `choice`.
    left = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return max(weights, key=lambda name: weights[name])  # Reached by rounding only.
