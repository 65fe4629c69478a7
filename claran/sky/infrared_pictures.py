"""Infrared images as pictures of the same field as a radio image."""

import cv2
import matplotlib
import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from jaxtyping import Float, Float32, Shaped, UInt8

from claran.errors import ImageError
from claran.io.silencing import without_warnings
from claran.sky.images import SkyImage
from claran.sky.noise import noise as measure_noise

__all__ = ["MEAN_INFRARED", "infrared_field", "infrared_picture"]

MEAN_INFRARED = np.array([14, 45, 213], np.uint8)
"""BGR, the mean color of all infrared pictures of Radio Galaxy Zoo."""

MAX_ZOOM = 4
# Position of the infrared sky in "gist_heat". With it, the mean color over a field of
# real W1 images is within 9 of MEAN_INFRARED, which is a color of this map.
SKY_SHADE = 0.55


def infrared_picture(
    values: Float[np.ndarray, "ny nx"],
) -> UInt8[np.ndarray, "ny nx 3"]:
    """Returns an infrared image as a BGR picture in the colors of Radio Galaxy Zoo.

    With an asinh stretch, linear within the noise of the sky, and the color map
    "gist_heat". Blank pixels get the mean color.

    Args:
        values: The image in the FITS array frame, y up, in any unit; NaN is blank.

    Returns:
        Row 0 is on top.
    """
    finite = np.isfinite(values)
    shade = np.full(values.shape, SKY_SHADE)
    sigma = measure_noise(values)
    if sigma > 0:
        sky, top = np.percentile(values[finite], [50, 99.5])
        # At least 10 sigma, so that noise does not become white without a star.
        reach = np.arcsinh(max((top - sky) / sigma, 10.0))
        shade += (1 - SKY_SHADE) * np.arcsinh((values - sky) / sigma) / reach
    heat = matplotlib.colormaps["gist_heat"](shade, bytes=True)[..., 2::-1]
    return np.where(finite[..., None], heat, MEAN_INFRARED)[::-1]


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
    area = proj_plane_pixel_area(to_wcs) / proj_plane_pixel_area(from_wcs)
    zoom = int(np.clip(np.rint(np.sqrt(area)), 1, MAX_ZOOM))
    ny, nx = radio.values.shape
    # Centers of the new pixels, in radio pixels from the center of the first.
    x = (np.arange(zoom * nx) + 0.5) / zoom - 0.5
    y = (np.arange(zoom * ny) + 0.5) / zoom - 0.5
    # Distortions (SIP) may not converge far outside of the infrared image.
    with without_warnings():
        pixels = from_wcs.world_to_pixel(to_wcs.pixel_to_world(*np.meshgrid(x, y)))
    columns, rows = (
        # OpenCV needs moderate numbers. NaN, where the projection is not defined, is
        # outside as well.
        np.nan_to_num(np.clip(np.asarray(axis), -9, size + 9), nan=-9).astype("f4")
        for axis, size in zip(pixels, infrared.values.shape[::-1], strict=True)
    )
    result = cv2.remap(
        infrared.values,
        columns,
        rows,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(np.nan,),
    )
    if np.isnan(result).all():
        raise ImageError(
            f"{infrared.name}: shows nothing of the sky area of {radio.name}; give the "
            "infrared image of the same field."
        )
    return result
