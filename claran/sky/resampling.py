"""An image at the pixels of another one, which may be larger than the memory."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from jaxtyping import Float, Float32

from claran.io.silencing import without_warnings

__all__ = ["Read", "fine_places", "finer_by", "resample"]

MAX_ZOOM = 4
MOST_READ = 2**24  # Pixels of the image that are read at once.
LONGEST = 2**14  # OpenCV counts the pixels of a side in 16 bits.

Read = Callable[[slice, slice], Float32[np.ndarray, "h w"]]
"""Returns rows and columns of an image."""


def finer_by(target: WCS, source: WCS) -> int:
    """Returns how many pixels to make of each side of a pixel, to lose little: 1 to 4.

    Args:
        target: WCS of the pixels that are divided.
        source: WCS of the image that is resampled to them.
    """
    area = proj_plane_pixel_area(target) / proj_plane_pixel_area(source)
    return int(np.clip(np.rint(np.sqrt(area)), 1, MAX_ZOOM))


def fine_places(zoom: int, start: int, stop: int) -> Float[np.ndarray, "n"]:
    """Returns the centers of divided pixels, from the center of the first whole one.

    Args:
        zoom: Pixels that each is divided into.
        start: First divided pixel.
        stop: End of them.

    >>> fine_places(2, 0, 4).tolist()
    [-0.25, 0.25, 0.75, 1.25]
    """
    return (np.arange(start, stop) + 0.5) / zoom - 0.5


def resample(
    read: Read, shape: tuple[int, int], source: WCS, sky: Any
) -> Float32[np.ndarray, "h w"]:
    """Returns an image at places on the sky, bilinearly; NaN outside of it.

    A place has the same value whatever other places are asked for.

    Args:
        read: Reads a part of the image.
        shape: Rows and columns of the image.
        source: Its WCS.
        sky: The places, an array of two axes, as `WCS.pixel_to_world` returns it.
    """
    # Distortions (SIP) may not converge far outside of the image.
    with without_warnings():
        pixels = source.world_to_pixel(sky)
    columns, rows = (
        # OpenCV needs moderate numbers. NaN, where the projection is not defined, is
        # outside as well.
        np.nan_to_num(np.clip(np.asarray(axis), -9, size + 9), nan=-9).astype("f4")
        for axis, size in zip(pixels, shape[::-1], strict=True)
    )
    found = np.full(rows.shape, np.nan, np.float32)
    _fill(found, read, shape, rows, columns)
    return found


def _fill(
    found: Float32[np.ndarray, "h w"],
    read: Read,
    shape: tuple[int, int],
    rows: Float32[np.ndarray, "h w"],
    columns: Float32[np.ndarray, "h w"],
) -> None:
    """Writes the image at these rows and columns, in halves if it needs much of it."""
    ny, nx = shape
    inside = (rows > -1) & (rows < ny) & (columns > -1) & (columns < nx)
    if not inside.any():
        return
    (y0, y1), (x0, x1) = (
        (max(0, int(axis[inside].min()) - 1), min(side, int(axis[inside].max()) + 3))
        for axis, side in zip((rows, columns), shape, strict=True)
    )
    few = (y1 - y0) * (x1 - x0) <= MOST_READ and max(y1 - y0, x1 - x0) <= LONGEST
    if rows.size > 1 and not (few and max(rows.shape) <= LONGEST):
        axis = int(rows.shape[1] > rows.shape[0])
        halves = (np.array_split(one, 2, axis) for one in (found, rows, columns))
        for part, *places in zip(*halves, strict=True):
            _fill(part, read, shape, *places)
        return
    # Whole numbers are taken off without rounding.
    found[:] = cv2.remap(
        np.ascontiguousarray(read(slice(y0, y1), slice(x0, x1))),
        columns - np.float32(x0),
        rows - np.float32(y0),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(np.nan,),
    )
