"""The parts of a mosaic that are read again, as something in them is measured."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from claran.sky.mosaic_maps import MosaicMaps, Region
from claran.sky.signal_to_noise import excess_halo
from claran.survey.tiles import Tile

__all__ = ["grown", "inside", "needed_regions"]


def inside(points: np.ndarray, tile: Tile) -> np.ndarray:
    """Returns which points are in a tile.

    Args:
        points: (n, 2) `(x, y)` in pixels of the mosaic.
        tile: The tile.
    """
    x, y = points.T
    return (tile.x0 <= x) & (x < tile.x1) & (tile.y0 <= y) & (y < tile.y1)


def grown(
    box: Sequence[int], margin: int, shape: tuple[int, int]
) -> tuple[slice, slice]:
    """Returns the rows and columns of a box with a margin, within the mosaic.

    Args:
        box: `(x0, y0, x1, y1)`, edges, pixels of the mosaic.
        margin: Pixels.
        shape: Rows and columns of the mosaic.
    """
    x0, y0, x1, y1 = box
    rows = slice(max(y0 - margin, 0), min(y1 + margin, shape[0]))
    return rows, slice(max(x0 - margin, 0), min(x1 + margin, shape[1]))


def needed_regions(
    maps: MosaicMaps, needs: Sequence[tuple[slice, slice]]
) -> Iterator[tuple[Region, list[int]]]:
    """Yields regions of the mosaic, and which of the needed parts each holds.

    Parts that overlap, with what lies around them and has to be read too, are read at
    once. So where there is little emission, little is read.

    Args:
        maps: The mosaic, with its background and noise.
        needs: Rows and columns of each part.

    Raises:
        ImageError: As of `MosaicMaps.region`.
    """
    if not needs:
        return
    edges = np.array([(c.start, r.start, c.stop, r.stop) for r, c in needs])
    halo = excess_halo(maps.mosaic.beam_pixels)
    low, high = edges[:, :2] - halo, edges[:, 2:] + halo
    near = ((low[:, None] < high) & (low < high[:, None])).all(axis=-1)
    count, group = connected_components(coo_array(near), directed=False)
    for number in range(count):
        (rows,) = np.nonzero(group == number)
        x0, y0 = edges[rows, :2].min(axis=0).tolist()
        x1, y1 = edges[rows, 2:].max(axis=0).tolist()
        yield maps.region(slice(y0, y1), slice(x0, x1)), rows.tolist()
