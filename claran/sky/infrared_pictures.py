"""Infrared images as pictures of the same field as a radio image."""

import math
from typing import NamedTuple

import matplotlib
import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float, Float32, Shaped, UInt8

from claran.errors import ImageError
from claran.io.silencing import without_warnings
from claran.sky.images import SkyImage
from claran.sky.noise import noise as measure_noise
from claran.sky.resampling import fine_places, finer_by, resample

__all__ = [
    "MEAN_INFRARED",
    "Stretch",
    "infrared_colors",
    "infrared_field",
    "infrared_picture",
    "measure_stretch",
    "sampling_step",
]

MEAN_INFRARED = np.array([14, 45, 213], np.uint8)
"""BGR, the mean color of all infrared pictures of Radio Galaxy Zoo."""

MOST_LOOKED_AT = 2**20  # Pixels that a stretch is measured on.
# Position of the infrared sky in "gist_heat". With it, the mean color over a field of
# real W1 images is within 9 of MEAN_INFRARED, which is a color of this map.
SKY_SHADE = 0.55


class Stretch(NamedTuple):
    """Levels of an infrared image that its colors follow from.

    Attributes:
        sky: The median.
        top: The brightness that 0.5% of the pixels exceed.
        sigma: Noise of the sky; 0 if there is none.
    """

    sky: np.float64
    top: np.float64
    sigma: float


def sampling_step(pixels: int) -> int:
    """Returns which columns and rows of a large image its stretch is measured on.

    >>> sampling_step(1000 * 1000), sampling_step(8192 * 8192)
    (1, 8)
    """
    return math.ceil(math.sqrt(pixels / MOST_LOOKED_AT))


def measure_stretch(values: Float[np.ndarray, "ny nx"]) -> Stretch:
    """Returns the stretch of an infrared image; NaN is blank."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Stretch(np.float64(0), np.float64(0), 0.0)
    sky, top = np.percentile(finite, [50, 99.5])
    return Stretch(np.float64(sky), np.float64(top), float(measure_noise(values)))


def infrared_colors(
    values: Float[np.ndarray, "ny nx"], stretch: Stretch
) -> UInt8[np.ndarray, "ny nx 3"]:
    """Returns an infrared image in colors (BGR), in its orientation.

    Args:
        values: The image or a part of it; NaN is blank.
        stretch: Of the image.
    """
    finite = np.isfinite(values)
    shade = np.full(values.shape, SKY_SHADE)
    sky, top, sigma = stretch
    if sigma > 0:
        # At least 10 sigma, so that noise does not become white without a star.
        reach = np.arcsinh(max((top - sky) / sigma, 10.0))
        shade += (1 - SKY_SHADE) * np.arcsinh((values - sky) / sigma) / reach
    heat = matplotlib.colormaps["gist_heat"](shade, bytes=True)[..., 2::-1]
    return np.where(finite[..., None], heat, MEAN_INFRARED)


def infrared_picture(
    values: Float[np.ndarray, "ny nx"],
) -> UInt8[np.ndarray, "ny nx 3"]:
    """Returns an infrared image as a BGR picture in the colors of Radio Galaxy Zoo.

    With an asinh stretch, linear within the noise of the sky, and the color map
    "gist_heat". Blank pixels get the mean color. The stretch of over a million pixels
    is measured on some of them, in rows and columns at equal distances.

    Args:
        values: The image in the FITS array frame, y up, in any unit; NaN is blank.

    Returns:
        Row 0 is on top.
    """
    step = sampling_step(values.size)
    return infrared_colors(values, measure_stretch(values[::step, ::step]))[::-1]


def infrared_field(
    radio: SkyImage, infrared: SkyImage | Shaped[np.ndarray, "..."]
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the infrared picture of a radio image's field.

    Args:
        radio: The radio image; only its WCS and shape are used.
        infrared: See `claran.sky.pictures.fuse`.

    Raises:
        ImageError: The images show different parts of the sky.
        ValueError: `infrared` is neither an image nor a picture.
    """
    if isinstance(infrared, SkyImage):
        if radio.wcs is None or infrared.wcs is None:
            return infrared_picture(infrared.values)
        return infrared_picture(_reproject(radio, infrared, radio.wcs, infrared.wcs))
    if infrared.dtype != np.uint8 or infrared.shape[2:] != (3,) or infrared.size == 0:
        raise ValueError(
            "`infrared` must be a SkyImage or a uint8 picture (height, width, 3), got "
            f"{infrared.dtype} {infrared.shape}."
        )
    return infrared


def _reproject(
    radio: SkyImage, infrared: SkyImage, to_wcs: WCS, from_wcs: WCS
) -> Float32[np.ndarray, "h w"]:
    """Returns the infrared image, resampled bilinearly to the radio image."""
    zoom = finer_by(to_wcs, from_wcs)
    ny, nx = (zoom * side for side in radio.values.shape)
    places = np.meshgrid(fine_places(zoom, 0, nx), fine_places(zoom, 0, ny))
    with without_warnings():
        sky = to_wcs.pixel_to_world(*places)
    values = infrared.values
    result = resample(lambda *part: values[part], values.shape, from_wcs, sky)
    if np.isnan(result).all():
        raise ImageError(
            f"{infrared.name}: shows nothing of the sky area of {radio.name}; give the "
            "infrared image of the same field."
        )
    return result
