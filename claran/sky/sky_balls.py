"""Balls that hold images of the sky: a quick look at whether two may overlap.

Directions are unit vectors, so that neither the poles nor a right ascension of 0 is
special.
"""

from typing import Any

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float

from claran.io.silencing import without_warnings

__all__ = ["Ball", "ball_around", "ball_of", "grid_on_sky", "touch"]

GRID = 33  # Places along each side of an image.
MARGIN = 1.1  # An image reaches a little further than these.

Ball = tuple[Float[np.ndarray, "3"], float]
"""Middle and radius; the sphere of the sky has the radius 1."""


def grid_on_sky(wcs: WCS, shape: tuple[int, int]) -> Any:
    """Returns places in all of an image, on the sky; its corners are among them.

    Args:
        wcs: Celestial WCS.
        shape: Rows and columns.
    """
    rows, columns = (np.linspace(-0.5, side - 0.5, GRID) for side in shape)
    with without_warnings():
        return wcs.pixel_to_world(*np.meshgrid(columns, rows))


def ball_of(wcs: WCS, shape: tuple[int, int]) -> Ball:
    """Returns a ball that holds an image; the whole sky if the image is not all on it.

    Args:
        wcs: Celestial WCS.
        shape: Rows and columns.
    """
    middle, radius = ball_around(grid_on_sky(wcs, shape))
    return middle, MARGIN * radius


def ball_around(sky: Any) -> Ball:
    """Returns a ball that holds places; the whole sky if one of them is off it.

    Args:
        sky: The places, as `WCS.pixel_to_world` returns them.
    """
    points = np.moveaxis(sky.icrs.cartesian.xyz.value, 0, -1).reshape(-1, 3)
    if not np.isfinite(points).all():
        return np.zeros(3), 2.0
    middle = points.mean(axis=0)
    return middle, float(np.linalg.norm(points - middle, axis=1).max())


def touch(one: Ball, other: Ball) -> bool:
    """Returns whether two balls touch."""
    return float(np.linalg.norm(one[0] - other[0])) <= one[1] + other[1]
