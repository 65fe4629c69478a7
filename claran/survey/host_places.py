"""Where the hosts of a mosaic's sources can be, once it is known what the sources are.

A tile has the sources whose first pixel is in it. What is looked at of each does not
depend on the tile, and neither does the result, to the last bit.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from claran.hosts.landmarks import find_landmarks
from claran.hosts.packed_densities import PackedDensities
from claran.hosts.position_density import HostDensity, host_densities
from claran.hosts.source_pixels import margin_pixels
from claran.sky.bands import crop
from claran.sky.islands import Islands
from claran.sky.mosaic_maps import MosaicMaps
from claran.survey.mosaic_islands import MosaicIslands
from claran.survey.needed_regions import grown, inside, needed_regions
from claran.survey.region_labels import label_islands
from claran.survey.tiles import Tile

__all__ = ["HostPlacing", "place_hosts"]

Part = tuple[slice, slice]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HostPlacing:
    """The sources of a mosaic whose hosts are to be placed.

    Attributes:
        maps: The mosaic, with its background and noise.
        islands: The islands of the mosaic.
        members: Numbers of the islands of all sources, one source after the other.
        counts: Number of islands of each source.
        network: What stands for the weights of the network of places.
    """

    maps: MosaicMaps
    islands: MosaicIslands
    members: Int[np.ndarray, "m"]
    counts: Int[np.ndarray, "n"]
    network: str

    @functools.cached_property
    def starts(self) -> Int[np.ndarray, "n"]:
        """Where in `members` the islands of each source begin."""
        return np.cumsum(self.counts) - self.counts

    @functools.cached_property
    def first(self) -> Int[np.ndarray, "n 2"]:
        """`(x, y)` of a pixel of each source: the first one of its first island."""
        return self.islands.first[self.members[self.starts]]

    @functools.cached_property
    def boxes(self) -> Int[np.ndarray, "n 4"]:
        """The box around each source, pixel edges."""
        boxes = self.islands.boxes[self.members].astype(np.int64)
        if not len(self.counts):
            return np.zeros((0, 4), np.int64)
        low = np.minimum.reduceat(boxes[:, :2], self.starts)
        high = np.maximum.reduceat(boxes[:, 2:], self.starts)
        return np.concatenate([low, high], axis=1)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the fields alone, without what is computed of them."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: self.__dict__[name] for name in names}


def place_hosts(placing: HostPlacing, tiles: Sequence[Tile]) -> dict[str, np.ndarray]:
    """Returns where the hosts of the sources in some tiles can be.

    Args:
        placing: The sources.
        tiles: The tiles.

    Returns:
        `source`, the numbers of the sources, and the arrays of `PackedDensities` in
        their order, in pixels of the mosaic.
    """
    numbers: list[int] = []
    densities: list[HostDensity] = []
    for tile in tiles:
        (sources,) = np.nonzero(inside(placing.first, tile))
        for number, density in _densities(placing, sources):
            numbers.append(number)
            densities.append(density)
    found = PackedDensities.of(densities)
    return {"source": np.array(numbers, np.int64)} | found.arrays


def _densities(
    placing: HostPlacing, sources: Int[np.ndarray, "k"]
) -> Iterator[tuple[int, HostDensity]]:
    """Yields the numbers of some sources, and where their hosts can be."""
    mosaic = placing.maps.mosaic
    margin = margin_pixels(mosaic.beam_pixels)
    boxes = placing.boxes[sources]
    parts = [grown(box, margin, mosaic.shape) for box in boxes.tolist()]
    near = _overlapping(placing.islands.boxes, boxes, margin)
    islands = placing.islands.boxes[near]
    needs = [_with_all_of(part, islands) for part in parts]
    for region, rows in needed_regions(placing.maps, needs):
        labels = label_islands(region, islands, placing.islands.first[near])
        for row in rows:
            part, source = parts[row], int(sources[row])
            own = crop(part, (region.rows, region.columns))
            corner = np.array([part[1].start, part[0].start])
            start = placing.starts[source]
            members = placing.members[start : start + placing.counts[source]]
            shown = Islands(labels[own], (islands - np.tile(corner, 2)).astype("f4"))
            marks = find_landmarks(
                region.signal_to_noise[own], shown,
                np.searchsorted(near, members).tolist(), mosaic.beam_pixels,
            )  # fmt: skip
            (density,) = host_densities([marks])
            yield source, density.shifted(*corner.tolist())


def _overlapping(
    islands: Float[np.ndarray, "n 4"], boxes: Int[np.ndarray, "k 4"], margin: int
) -> Int[np.ndarray, "j"]:
    """Returns the islands that may be seen around one of some sources, increasing."""
    if not len(boxes):
        return np.zeros(0, np.int64)
    low, high = boxes[:, :2].min(axis=0) - margin, boxes[:, 2:].max(axis=0) + margin
    near = (islands[:, :2] < high) & (islands[:, 2:] > low)
    return np.flatnonzero(near.all(axis=1))


def _with_all_of(part: Part, islands: Float[np.ndarray, "n 4"]) -> Part:
    """Returns a part of the mosaic that holds all of the islands that one shows.

    An island is known by its first pixel, which has to be in what is read.
    """
    rows, columns = part
    x0, y0, x1, y1 = islands.T
    seen = (x0 < columns.stop) & (x1 > columns.start)
    seen &= (y0 < rows.stop) & (y1 > rows.start)
    low = np.minimum([rows.start, columns.start], [y0[seen].min(), x0[seen].min()])
    high = np.maximum([rows.stop, columns.stop], [y1[seen].max(), x1[seen].max()])
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
