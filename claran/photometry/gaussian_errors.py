"""Errors of fitted Gaussians in noise that is correlated over the beam.

After Condon (1997, PASP 109, 166), with the noise correlated over the beam as Hopkins
et al. (2015, PASA 32, e037) do. All lengths are in units of the beam, so that theirs
are `theta_N = 1`.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["GaussianErrors", "condon_errors"]


class GaussianErrors(NamedTuple):
    """Standard deviations; lengths in units of the beam's FWHM.

    Attributes:
        peak: Relative to the peak.
        flux: Relative to the flux.
        along: Of the position along the major axis.
        across: Of the position along the minor axis.
        major: Of the FWHM.
        minor: Of the FWHM.
        angle: Degrees, at most 90.
    """

    peak: Float[np.ndarray, "n"]
    flux: Float[np.ndarray, "n"]
    along: Float[np.ndarray, "n"]
    across: Float[np.ndarray, "n"]
    major: Float[np.ndarray, "n"]
    minor: Float[np.ndarray, "n"]
    angle: Float[np.ndarray, "n"]


def condon_errors(
    major: Float[np.ndarray, "n"],
    minor: Float[np.ndarray, "n"],
    snr: Float[np.ndarray, "n"],
    fixed: Bool[np.ndarray, "n"],
) -> GaussianErrors:
    """Returns the errors of isolated Gaussians.

    If the shape is fixed, the variance of the peak is half of that of a free fit, as
    for white noise, and the flux has the relative error of the peak.

    Args:
        major: FWHM over the beam's.
        minor: FWHM over the beam's.
        snr: Peak over the noise.
        fixed: Whether the shape was not fitted.
    """

    def variance(alpha: float, beta: float) -> Float[np.ndarray, "n"]:
        gain = (1 + 1 / major**2) ** alpha * (1 + 1 / minor**2) ** beta
        return 8 / (major * minor * gain * snr**2)

    peak = variance(1.5, 1.5) * np.where(fixed, 0.5, 1)
    along, across = variance(2.5, 0.5), variance(0.5, 2.5)
    flux = peak + np.where(fixed, 0, (along + across) / (major * minor))
    sigma = 1 / math.sqrt(8 * math.log(2))
    with np.errstate(divide="ignore", invalid="ignore"):
        lever = major * minor / (major**2 - minor**2)
        angle = np.degrees(np.sqrt(2 * across) * lever)
    angle = np.minimum(np.nan_to_num(angle, nan=90.0, posinf=90.0), 90.0)
    return GaussianErrors(
        peak=np.sqrt(peak),
        flux=np.sqrt(flux),
        along=np.sqrt(along) * major * sigma,
        across=np.sqrt(across) * minor * sigma,
        major=np.where(fixed, 0, np.sqrt(along) * major),
        minor=np.where(fixed, 0, np.sqrt(across) * minor),
        angle=np.where(fixed, 0, angle),
    )
