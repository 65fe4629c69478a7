"""A mosaic in coarse blocks: for the overview, and for the area that was searched."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from claran.sky.domain import DEPTHS, count_depths, is_gaussian, sampled
from claran.survey.mosaic_islands import label_tile
from claran.survey.tiles import Tile

__all__ = ["CoarseMap", "block_side", "look_at_tile"]

LONGEST = 1000  # Blocks along the longer side of a mosaic.


def block_side(shape: tuple[int, int]) -> int:
    """Returns the side of the blocks of a mosaic, in pixels.

    >>> block_side((500, 800)), block_side((40_000, 10_000))
    (1, 40)
    """
    return math.ceil(max(shape) / LONGEST)


class CoarseMap:
    """The blocks of a mosaic, put together of its tiles.

    Args:
        shape: Rows and columns of the mosaic.

    Attributes:
        block: Side of a block, pixels.
        brightest: Largest signal-to-noise of each block, y up; NaN is blank.
        measured: Number of pixels with a value in each block.
        depths: See `claran.sky.domain.count_depths`.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.block = block_side(shape)
        self.shape = shape
        rows, columns = (math.ceil(side / self.block) for side in shape)
        self.brightest: Float32[np.ndarray, "rows columns"] = np.full(
            (rows, columns), np.nan, np.float32
        )
        self.measured: Int[np.ndarray, "rows columns"] = np.zeros(
            (rows, columns), np.int64
        )
        self.depths = np.zeros(DEPTHS, np.int64)

    def add(self, tile: Tile, found: dict[str, np.ndarray]) -> None:
        """Takes what `look_at_tile` found of the map out of its results."""
        brightest, measured = found.pop("coarse_max"), found.pop("coarse_count")
        self.depths += found.pop("coarse_depths")
        y, x = tile.y0 // self.block, tile.x0 // self.block
        part = slice(y, y + len(measured)), slice(x, x + measured.shape[1])
        self.brightest[part] = np.fmax(self.brightest[part], brightest)
        self.measured[part] += measured

    def has_gaussian_noise(self, beam_pixels: float) -> bool:
        """Returns whether the noise is Gaussian, see `claran.sky.domain.is_gaussian`.

        Args:
            beam_pixels: Width of the beam, pixels.
        """
        peak = float(np.fmax.reduce(self.brightest, None))
        pixels = int(self.measured.sum())
        return is_gaussian(self.depths, beam_pixels, pixels=pixels, peak=peak)


class _Read(NamedTuple):
    """A region that was read, in place of the maps it comes from."""

    mosaic: Any
    read: Any

    def region(self, rows: slice, columns: slice) -> Any:
        del rows, columns  # Those that were read.
        return self.read


def look_at_tile(maps: Any, tile: Tile) -> dict[str, np.ndarray]:
    """Returns the fragments of islands in a tile, see `label_tile`, and its blocks.

    Args:
        maps: `MosaicMaps` of the mosaic.
        tile: The tile.
    """
    region = maps.region(tile.rows, tile.columns)
    block = block_side(maps.mosaic.shape)
    # Pixels of the tile's first block before the tile, and of its last one behind it.
    margins = [
        (low % block, -high % block)
        for low, high in ((tile.y0, tile.y1), (tile.x0, tile.x1))
    ]
    ratio = region.signal_to_noise
    filled = np.pad(ratio, margins, constant_values=np.nan) if block > 1 else ratio
    known = np.isfinite(filled).astype(np.int32)
    depths = count_depths(sampled(ratio, maps.mosaic.shape, (tile.y0, tile.x0)))
    return label_tile(_Read(maps.mosaic, region), tile) | {
        "coarse_max": _blocks(np.fmax, filled, block),
        "coarse_depths": depths,
        "coarse_count": _blocks(np.add, known, block).astype(np.int64),
    }


def _blocks(combine: np.ufunc, values: np.ndarray, block: int) -> np.ndarray:
    """Returns what a function combines the pixels of each block to.

    NumPy's `reduceat` takes ten times as long.
    """
    rows = values[::block].copy()
    for row in range(1, block):
        combine(rows, values[row::block], out=rows)
    found = rows[:, ::block].copy()
    for column in range(1, block):
        combine(found, rows[:, column::block], out=found)
    return found
