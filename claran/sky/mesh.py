"""Square windows that cover an image, and interpolation between their centers."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy import ndimage

from claran.sky.medians import count_in_rows

__all__ = ["LEAST_FILLED", "Mesh", "MeshImage", "Part"]

Part = tuple[slice, slice]
"""Rows and columns of an image, with their starts and stops."""

LEAST_FILLED = 0.1
"""Share of a window that must have values."""

TOGETHER = 2**19  # Pixels of windows that are measured at once: 2 MB.
BLOCK = 2048  # Pixels on a side; about that many are read at once.


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

    def blocks(
        self, chosen: Bool[np.ndarray, "rows columns"] | None = None
    ) -> list[tuple[int, int, int, int]]:
        """Returns blocks of neighboring windows, to be measured by themselves.

        Each has the first and the last row of windows, and the first and the last
        column; the last are not included.

        Args:
            chosen: Blocks without any of these windows are left out; None for all.
        """
        rows, columns = (
            [(first, min(first + count, whole)) for first in range(0, whole, count)]
            for whole in self.grid
            for count in [max(1, 2 * BLOCK // self.side - 1)]
        )
        blocks = [(*row, *column) for row in rows for column in columns]
        if chosen is None:
            return blocks
        return [one for one in blocks if chosen[one[0] : one[1], one[2] : one[3]].any()]

    def extent(self, block: tuple[int, int, int, int]) -> Part:
        """Returns the pixels of a block of windows."""
        (ny, nx), (rows, columns) = self.shape, self._starts
        top, bottom, left, right = block
        return (
            slice(int(rows[top]), min(int(rows[bottom - 1]) + self.side, ny)),
            slice(int(columns[left]), min(int(columns[right - 1]) + self.side, nx)),
        )

    def windows(
        self,
        values: Float[np.ndarray, "h w"],
        block: tuple[int, int, int, int] | None = None,
    ) -> Iterator[Float[np.ndarray, "_ _"]]:
        """Yields the pixels of each window, row by row.

        Args:
            values: The pixels of the image, or of a block's extent.
            block: See `blocks`; None for all windows.
        """
        top, bottom, left, right = block or (0, self.grid[0], 0, self.grid[1])
        rows, columns = self._starts[0][top:bottom], self._starts[1][left:right]
        for y in rows - rows[0]:
            for x in columns - columns[0]:
                yield values[y : y + self.side, x : x + self.side]

    def pixels_of_windows(
        self,
        values: Float[np.ndarray, "h w"],
        block: tuple[int, int, int, int] | None = None,
        *,
        step: int = 1,
        chosen: Bool[np.ndarray, "rows columns"] | None = None,
    ) -> Iterator[tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k n"]]]:
        """Yields numbers of windows in a block, and their finite pixels, a row each.

        Complete windows come many at a time, others alone. Windows of which too little
        has values are left out.

        Args:
            values: See `windows`.
            block: See `windows`.
            step: Every so many rows and columns of a window are taken.
            chosen: Which windows of the block are looked at; None for all.
        """
        together = max(1, TOGETHER // math.ceil(self.side / step) ** 2)
        windows = enumerate(self.windows(values, block))
        if chosen is not None:
            windows = itertools.compress(windows, chosen.ravel())
        while some := list(itertools.islice(windows, together)):
            numbers = np.array([number for number, _ in some])
            rows = np.stack([part[::step, ::step] for _, part in some])
            rows = rows.reshape(len(some), -1)
            filled = np.isfinite(rows)
            counts = count_in_rows(filled)
            whole = counts == rows.shape[1]
            if whole.any():
                yield numbers[whole], rows if whole.all() else rows[whole]
            partly = ~whole & (counts >= LEAST_FILLED * rows.shape[1])
            for row in np.flatnonzero(partly):
                yield numbers[row : row + 1], rows[row][filled[row]][None]

    def fill(
        self, levels: Float[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"]:
        """Returns the levels, for NaN those of the nearest window; 0 without any."""
        known = ~np.isnan(levels)
        if known.all():
            return levels
        if not known.any():
            return np.zeros_like(levels)
        return levels[self.nearest(known)]

    def nearest(
        self, known: Bool[np.ndarray, "rows columns"]
    ) -> tuple[Int[np.ndarray, "rows columns"], ...]:
        """Returns row and column of the nearest known window, of the known their own.

        Args:
            known: Which windows are known, one at least.
        """
        found: Any = ndimage.distance_transform_edt(
            ~known, return_distances=False, return_indices=True
        )
        return tuple(found)

    def interpolate(
        self,
        levels: Float[np.ndarray, "rows columns"],
        *,
        extrapolate: bool,
        part: Part | None = None,
    ) -> Float32[np.ndarray, "h w"]:
        """Returns the image that is linear between the centers of the windows.

        A pixel has the same value in whatever part it is.

        Args:
            levels: Value of each window, finite.
            extrapolate: Whether it is linear beyond the outer centers as well, and not
                constant.
            part: The pixels to return; None for the whole image.
        """
        part = part or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        (low, share), (left, weight) = (
            _positions(starts + (self.side - 1) / 2, pixels, extrapolate)
            for starts, pixels in zip(self._starts, part, strict=True)
        )
        first = int(low[0])
        needed = levels[first : low[-1] + 2]
        right = np.minimum(left + 1, levels.shape[1] - 1)
        # Not by brackets, which would leave the rows strided in memory.
        before, after = (needed.take(one, axis=1) for one in (left, right))
        lines = before + weight * (after - before)
        steps = np.diff(lines, axis=0, append=lines[-1:])
        found = np.empty((len(low), len(left)), np.float32)
        # All rows between the centers of two windows together.
        ends = np.flatnonzero(np.diff(low, append=-1)) + 1
        for start, stop in zip([0, *ends[:-1]], ends, strict=True):
            window = low[start] - first
            between = steps[window] * share[start:stop, None]
            between += lines[window]
            found[start:stop] = between
        return found


@dataclasses.dataclass(frozen=True)
class MeshImage:
    """An image by its levels in the windows of a mesh: a background, or noise.

    Attributes:
        mesh: The windows.
        levels: Value of each window; those of several images are added.
        extrapolate: See `Mesh.interpolate`.
    """

    mesh: Mesh
    levels: tuple[Float[np.ndarray, "rows columns"], ...]
    extrapolate: bool

    def pixels(self, part: Part | None = None) -> Float32[np.ndarray, "h w"]:
        """Returns the image in a part of it; see `Mesh.interpolate`."""
        first, *others = (
            self.mesh.interpolate(one, extrapolate=self.extrapolate, part=part)
            for one in self.levels
        )
        for other in others:
            first += other
        return first


def _window_starts(length: int, side: int) -> Int[np.ndarray, "k"]:
    room = max(0, length - side)
    count = math.ceil(2 * room / side) + 1
    return np.round(np.linspace(0, room, count)).astype(int)


def _positions(
    centers: Float[np.ndarray, "k"], pixels: slice, extrapolate: bool
) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns the center before each pixel, and the share of the way to the next."""
    places = np.arange(pixels.start, pixels.stop)
    if len(centers) == 1:
        return np.zeros(len(places), int), np.zeros(len(places))
    low = np.searchsorted(centers, places, side="right") - 1
    low = low.clip(0, len(centers) - 2)
    share = (places - centers[low]) / (centers[low + 1] - centers[low])
    return low, share if extrapolate else share.clip(0, 1)
