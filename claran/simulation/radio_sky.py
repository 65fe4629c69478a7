"""The radio sky as an image: sources that are seen with a beam.

A source is a set of round Gaussians ("blobs"), an (n, 4) float array of
`(x, y, flux, sigma)`: x to the west and y to the north of the center of the field in
arcsec, flux in Jy, and sigma in arcsec. Gaussians convolved with a Gaussian beam stay
Gaussians, so that an image is exact for any pixel size. A Gaussian aligned with the
axes is the product of a row and a column, so that a source is one small matrix product.
"""

import functools
import math

import numpy as np

from claran.simulation.grid import pixel_axis, sum_products
from claran.simulation.observation import SimulatedSurvey
from claran.sky.beams import fwhm_to_sigma

__all__ = ["beam_covariance", "bowl", "peak_brightness", "render"]

_SIDES = np.array([-1.0, 1.0])


@functools.lru_cache(maxsize=32)
def beam_covariance(survey: SimulatedSurvey) -> np.ndarray:
    """Returns the beam's covariance in (x, y), (2, 2), arcsec squared."""
    major = fwhm_to_sigma(survey.beam_major_arcsec) ** 2
    minor = fwhm_to_sigma(survey.beam_minor_arcsec) ** 2
    # East is -x, so a position angle from north through east turns toward -x.
    angle = math.radians(survey.beam_angle_deg)
    along = np.array([-math.sin(angle), math.cos(angle)])
    across = np.array([along[1], -along[0]])
    return major * np.outer(along, along) + minor * np.outer(across, across)


def peak_brightness(blobs: np.ndarray, survey: SimulatedSurvey) -> float:
    """Returns the highest brightness at the centers of blobs, Jy/beam; 0 if none."""
    values = _evaluate(blobs, survey, blobs[:, 0], blobs[:, 1])
    return float(values.max(initial=0.0))


def render(
    blobs: np.ndarray, survey: SimulatedSurvey, *, size: int | None = None
) -> np.ndarray:
    """Returns the noise-free image of a source, (size, size) float32, Jy/beam.

    Row 0 is the southernmost and column 0 the easternmost, as in a FITS array.

    Args:
        blobs: (n, 4) blobs, see the module.
        survey: Sets beam and pixels.
        size: Rows and columns of an image with the same center; None means the field's.
    """
    beam = beam_covariance(survey)
    axis = pixel_axis(survey, size)
    if abs(beam[0, 1]) > 1e-6 * beam[0, 0]:
        return _render_slanted(blobs, beam, axis)
    x, y, flux, sigma = blobs.T.astype(np.float32)
    across, along = np.diag(beam).astype(np.float32)
    wide, high = sigma**2 + across, sigma**2 + along
    peak = flux * np.sqrt(across * along / (wide * high))
    rows = peak * np.exp((axis[:, None] - y) ** 2 * (-0.5 / high))
    columns = np.exp((axis[:, None] - x) ** 2 * (-0.5 / wide))
    return sum_products(rows, columns)


def bowl(blobs: np.ndarray, survey: SimulatedSurvey) -> np.ndarray:
    """Returns the negative bowl of a source as one blob, (1, 4).

    An interferometer without short spacings does not measure the total flux; cleaning
    recovers part of it.
    """
    total = blobs[:, 2].sum()
    x, y = blobs[:, 2] @ blobs[:, :2] / total
    width = fwhm_to_sigma(survey.largest_arcsec)
    return np.array([[x, y, -survey.bowl * total, width]])


def _render_slanted(
    blobs: np.ndarray, beam: np.ndarray, axis: np.ndarray
) -> np.ndarray:
    """Returns the image for a beam that is not aligned with the axes; see `render`.

    Gaussians end at 5.5 sigma, where they have 3e-7 of their peak.
    """
    image = np.zeros((len(axis), len(axis)), np.float32)
    beam_determinant = beam[0, 0] * beam[1, 1] - beam[0, 1] ** 2
    for x, y, flux, sigma in blobs.tolist():
        xx, yy, xy = beam[0, 0] + sigma**2, beam[1, 1] + sigma**2, beam[0, 1]
        determinant = xx * yy - xy**2
        columns = slice(*np.searchsorted(axis, x + 5.5 * math.sqrt(xx) * _SIDES))
        rows = slice(*np.searchsorted(axis, y + 5.5 * math.sqrt(yy) * _SIDES))
        dx, dy = axis[columns] - np.float32(x), axis[rows] - np.float32(y)
        exponent = np.multiply.outer(dy, dx * np.float32(xy / determinant))
        exponent -= dx**2 * np.float32(0.5 * yy / determinant)
        exponent -= (dy**2 * np.float32(0.5 * xx / determinant))[:, None]
        peak = flux * math.sqrt(beam_determinant / determinant)
        image[rows, columns] += np.float32(peak) * np.exp(exponent)
    return image


def _evaluate(
    blobs: np.ndarray, survey: SimulatedSurvey, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Returns the brightness at the points (x, y), (n,) Jy/beam, for any beam."""
    (across, slant), (_, along) = beam_covariance(survey).tolist()
    left, down, flux, sigma = blobs.T
    variance = sigma**2
    xx, yy = across + variance, along + variance
    determinant = xx * yy - slant**2
    dx, dy = x[:, None] - left, y[:, None] - down
    distance = (yy * dx**2 - 2 * slant * dx * dy + xx * dy**2) / determinant
    peak = flux * np.sqrt((across * along - slant**2) / determinant)
    return np.exp(-distance / 2) @ peak
