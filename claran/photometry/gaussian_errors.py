"""Errors of fitted Gaussians in noise that is correlated over the beam.

After Condon (1997, PASP 109, 166), with the noise correlated over the beam as Hopkins
et al. (2015, PASA 32, e037) do. All lengths are in units of the beam's FWHM, so that
theirs is `theta_N = 1`.

His errors hold for fits with weights that fall off as the source does. Fits without
weights have errors up to 1.4 times as large, as the noise of a point source's flank
says little about its peak.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["GaussianErrors", "condon_errors"]

# Variance of the peak of a fit with fixed shape, over that with a free one. Measured:
# 1.1 in noise whose autocorrelation is the beam, 1.5 in white noise blurred by it.
FIXED_SHAPE = 1.4
# And of its flux: such a source may be larger than the beam, within the errors.
FIXED_SHAPE_FLUX = 1.75
# Errors of positions over Condon's. Measured: 1.0 to 1.3 for point sources, 0.8 to
# 1.15 for sources 1.5 beams long.
POSITION = 1.06
# Error of a perfect measurement, relative to peak and size: no beam is a Gaussian.
# Without it, positions above a signal-to-noise of 60 in SDC1 are off by 1.35 errors.
FLOOR = 0.005


class GaussianErrors(NamedTuple):
    """Standard deviations; lengths in units of the beam's FWHM.

    Attributes:
        peak: Relative to the peak.
        flux: Relative to the flux.
        along: Of the position along the major axis.
        across: Of the position along the minor axis.
        major: Of the FWHM; 0 if the shape is fixed.
        minor: Of the FWHM; 0 if the shape is fixed.
        angle: Degrees, at most 90; 0 if the shape is fixed.
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

    Args:
        major: FWHM over the beam's.
        minor: FWHM over the beam's.
        snr: Peak over the noise.
        fixed: Whether the shape was not fitted.
    """
    size, noise = major * minor, 1 / snr**2 + FLOOR**2
    long, short = 1 + 1 / (major * major), 1 + 1 / (minor * minor)
    # 2 / rho^2, with the exponents 3/2 and 3/2, 5/2 and 1/2, 1/2 and 5/2.
    root = np.sqrt(long * short)
    peak = 8 * noise / (size * root * long * short)
    along, across = (8 * noise / (size * root * g * g) for g in (long, short))
    flux = np.where(fixed, FIXED_SHAPE_FLUX * peak, peak + (along + across) / size)
    peak = np.where(fixed, FIXED_SHAPE * peak, peak)
    sigma = 1 / math.sqrt(8 * math.log(2))
    with np.errstate(divide="ignore"):
        lever = size / np.maximum(major * major - minor * minor, 0)
    angle = np.minimum(np.degrees(np.sqrt(2 * across) * lever), 90.0)
    return GaussianErrors(
        peak=np.sqrt(peak),
        flux=np.sqrt(flux),
        along=POSITION * np.sqrt(along) * major * sigma,
        across=POSITION * np.sqrt(across) * minor * sigma,
        major=np.where(fixed, 0, np.sqrt(along) * major),
        minor=np.where(fixed, 0, np.sqrt(across) * minor),
        angle=np.where(fixed, 0, angle),
    )
