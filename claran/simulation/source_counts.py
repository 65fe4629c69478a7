"""Number counts of the radio sky: how many sources are brighter than a flux density.

The densities of sources in large surveys, each above five times its noise and scaled to
1.4 GHz by a spectral index of -0.7, agree on one curve: FIRST (Helfand et al. 2015, ApJ
801, 26), RACS (Hale et al. 2021, PASA 38, e058), LoTSS (Shimwell et al. 2022, A&A 659,
A1), EMU's pilot (Norris et al. 2021, PASA 38, e046), and at the faint end VLA-COSMOS
(Smolcic et al. 2017, A&A 602, A1).
"""

import numpy as np

__all__ = [
    "REFERENCE_HZ",
    "SPECTRAL_INDEX",
    "draw_flux_densities",
    "extended_share",
    "sources_per_deg2",
]

REFERENCE_HZ, SPECTRAL_INDEX = 1.4e9, -0.7

# Flux density at 1.4 GHz, Jy, and sources per square degree above it.
_COUNTS = np.array([
    (1e-6, 40000.0), (1e-5, 7000.0), (3e-5, 2800.0), (1e-4, 800.0), (3e-4, 245.0),
    (1e-3, 88.0), (1e-2, 14.0), (1e-1, 2.0), (1.0, 0.08), (10.0, 0.002),
])  # fmt: skip
_LOG_FLUX, _LOG_COUNT = np.log(_COUNTS.T)

# Below a mJy most sources are star-forming galaxies without lobes. With this slope, 15%
# of extended ones at a mJy and the classes of Radio Galaxy Zoo, 0.7% of VLA-COSMOS's
# sources have several components; it has 67 of 10,830 (Smolcic et al. 2017).
_ALL_EXTENDED_JY, _EXTENDED_SLOPE = 1e-3, 0.7


def sources_per_deg2(flux_jy: float, frequency_hz: float) -> float:
    """Returns the number of sources per square degree above a flux density.

    Args:
        flux_jy: Flux density, Jy; from 1 uJy to 10 Jy at 1.4 GHz.
        frequency_hz: Frequency of it, Hz.

    >>> round(sources_per_deg2(1e-3, 1.4e9))
    88
    """
    flux = np.log(flux_jy / _ratio(frequency_hz))
    return float(np.exp(np.interp(flux, _LOG_FLUX, _LOG_COUNT)))


def draw_flux_densities(
    rng: np.random.Generator, count: int, *, faintest_jy: float, frequency_hz: float
) -> np.ndarray:
    """Returns random flux densities by the counts, (count,) Jy.

    Args:
        rng: Random generator.
        count: How many.
        faintest_jy: Lowest flux density, Jy.
        frequency_hz: Frequency, Hz.
    """
    above = np.log(sources_per_deg2(faintest_jy, frequency_hz))
    brighter = above + np.log1p(-rng.random(count))
    flux = np.interp(brighter, _LOG_COUNT[::-1], _LOG_FLUX[::-1])
    return np.exp(flux) * _ratio(frequency_hz)


def extended_share(flux_jy: np.ndarray, frequency_hz: float) -> np.ndarray:
    """Returns how frequent extended sources are, as a part of what they are at a mJy.

    Args:
        flux_jy: (n,) flux densities, Jy.
        frequency_hz: Frequency of them, Hz.

    >>> extended_share(np.array([1e-5, 1e-4, 1e-2]), 1.4e9).round(2).tolist()
    [0.04, 0.2, 1.0]
    """
    flux = flux_jy / _ratio(frequency_hz)
    return np.minimum(flux / _ALL_EXTENDED_JY, 1.0) ** _EXTENDED_SLOPE


def _ratio(frequency_hz: float) -> float:
    return (frequency_hz / REFERENCE_HZ) ** SPECTRAL_INDEX
