"""Square windows that cover an image, and interpolation between their centers."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy import ndimage

__all__ = ["Mesh"]


class Mesh:
    """Windows at most half a window apart, from edge to edge of an image.

    Args:
        shape: `(ny, nx)` of the image.
        side: Side of a window, pixels. A window is cut where the image is smaller.
    """

    def __init__(self, shape: tuple[int, int], side: int) -> None:
        self.shape = shape
        self.side = side
        self._starts = [_window_starts(length, side) for length in shape]

    @property
    def grid(self) -> tuple[int, int]:
        """Number of windows along y and along x."""
        rows, columns = self._starts
        return len(rows), len(columns)

    def windows(
        self, values: Float[np.ndarray, "ny nx"]
    ) -> Iterator[Float[np.ndarray, "_ _"]]:
        """Yields the pixels of each window, row by row."""
        rows, columns = self._starts
        for y in rows:
            for x in columns:
                yield values[y : y + self.side, x : x + self.side]

    def fill(
        self, levels: Float[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"]:
        """Returns the levels, for NaN those of the nearest window; 0 without any."""
        known = ~np.isnan(levels)
        if known.all():
            return levels
        if not known.any():
            return np.zeros_like(levels)
        nearest: Any = ndimage.distance_transform_edt(
            ~known, return_distances=False, return_indices=True
        )
        return levels[tuple(nearest)]

    def interpolate(
        self, levels: Float[np.ndarray, "rows columns"], *, extrapolate: bool
    ) -> Float32[np.ndarray, "ny nx"]:
        """Returns the image that is linear between the centers of the windows.

        Args:
            levels: Value of each window, finite.
            extrapolate: Whether it is linear beyond the outer centers as well, and not
                constant.
        """
        y, x = (
            _positions(starts + (self.side - 1) / 2, length, extrapolate)
            for starts, length in zip(self._starts, self.shape, strict=True)
        )
        left, share = x
        right = np.minimum(left + 1, levels.shape[1] - 1)
        lines = levels[:, left] + share * (levels[:, right] - levels[:, left])
        found = np.empty(self.shape, np.float32)
        for row, (low, part) in enumerate(zip(*y, strict=True)):
            high = min(low + 1, len(lines) - 1)
            found[row] = lines[low] + part * (lines[high] - lines[low])
        return found


def _window_starts(length: int, side: int) -> Int[np.ndarray, "k"]:
    room = max(0, length - side)
    count = math.ceil(2 * room / side) + 1
    return np.round(np.linspace(0, room, count)).astype(int)


def _positions(
    centers: Float[np.ndarray, "k"], length: int, extrapolate: bool
) -> tuple[Int[np.ndarray, "{length}"], Float[np.ndarray, "{length}"]]:
    """Returns the center before each pixel, and the share of the way to the next."""
    if len(centers) == 1:
        return np.zeros(length, int), np.zeros(length)
    pixels = np.arange(length)
    low = np.searchsorted(centers, pixels, side="right") - 1
    low = low.clip(0, len(centers) - 2)
    share = (pixels - centers[low]) / (centers[low + 1] - centers[low])
    return low, share if extrapolate else share.clip(0, 1)
