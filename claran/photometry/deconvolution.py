"""Sizes of sources without the beam."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from claran.photometry.pixel_beams import PixelBeam, covariance, ellipse

__all__ = ["Deconvolved", "deconvolve"]

LIMIT = 2.0  # Sigmas of an upper limit.


class Deconvolved(NamedTuple):
    """Axes without the beam, with errors; where an axis is 0, its upper limit.

    Attributes:
        major: FWHM, pixels; 0 if it is not resolved.
        minor: FWHM, pixels; 0 if it is not resolved.
        angle: Degrees from +y counter-clockwise.
        e_major: Error, or the upper limit of the axis if it is 0.
        e_minor: Error, or the upper limit of the axis if it is 0.
        e_angle: Error, degrees; 90 if the angle is unknown.
    """

    major: Float[np.ndarray, "n"]
    minor: Float[np.ndarray, "n"]
    angle: Float[np.ndarray, "n"]
    e_major: Float[np.ndarray, "n"]
    e_minor: Float[np.ndarray, "n"]
    e_angle: Float[np.ndarray, "n"]


def deconvolve(
    shape: tuple[np.ndarray, np.ndarray, np.ndarray],
    errors: tuple[np.ndarray, np.ndarray, np.ndarray],
    beam: PixelBeam,
) -> Deconvolved:
    """Returns sizes without the beam.

    The difference of the covariances is that of the source. The error of an axis is
    that of the fitted one times the ratio of both. An axis is not resolved if it is
    smaller than the limit that a source without size has: what two standard deviations
    of the fitted axis beyond the beam would look like.

    Args:
        shape: Major and minor FWHM in pixels and angle in degrees, as fitted.
        errors: Their errors; those of the axes as if they had been fitted.
        beam: The beam.
    """
    major, minor, angle = shape
    e_major, e_minor, e_angle = errors
    restored = covariance(*np.array([[beam.major], [beam.minor], [beam.angle]]))
    long, short, turn = ellipse(covariance(major, minor, angle) - restored)
    long, e_long = _axis(long, major, e_major, beam.major)
    short, e_short = _axis(short, minor, e_minor, beam.minor)
    known = long > 0
    # A source is rounder with the beam, and its angle more certain without.
    fitted, own = major**2 - minor**2, long**2 - short**2
    lever = np.where(known, fitted / np.where(known, np.maximum(own, 1e-9), 1), 1)
    e_turn = np.where(known, np.minimum(e_angle * np.maximum(lever, 1), 90), 90)
    return Deconvolved(long, short, np.where(known, turn, 0), e_long, e_short, e_turn)


def _axis(
    size: Float[np.ndarray, "n"],
    fitted: Float[np.ndarray, "n"],
    error: Float[np.ndarray, "n"],
    width: float,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns an axis without the beam and its error, or 0 and its upper limit."""
    limit = np.sqrt((width + LIMIT * error) ** 2 - width**2)
    resolved = size > limit
    scaled = error * fitted / np.where(resolved, size, 1)
    return np.where(resolved, size, 0), np.where(resolved, scaled, limit)
