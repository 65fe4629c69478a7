"""The islands of a mosaic, found tile by tile and joined across the tiles' borders.

There are two levels. Islands are those of Radio Galaxy Zoo (`claran.sky.islands`): the
network groups them into sources. Flood islands are the pixels above `FLOOD` that are
connected with one above `SEED`: in them components are measured. Each island lies in
one flood island.

A tile knows only the fragments of islands that are inside it. Fragments of two tiles
are one island if a pixel of one touches a pixel of the other by a side or a corner. So
the islands are those of the mosaic in one piece, whatever the tiles.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from claran.photometry.flood import FLOOD, SEED
from claran.sky.islands import THRESHOLD, smallest_island
from claran.survey.tiles import Tile

__all__ = ["MosaicIslands", "find_mosaic_islands", "label_tile"]

Fragments = dict[str, np.ndarray]
"""Arrays of one level, one row for each fragment: its `box`, `pixels` (their number),
`first` (the first one, row by row), `order` (the first block of 2 x 2 pixels), and
`seed` or `flood` (see `label_tile`). `border` and `owner` are the pixels next to other
tiles, and the fragment of each."""


@dataclasses.dataclass(frozen=True, eq=False)
class MosaicIslands:
    """The islands and flood islands of a mosaic, in the order of `find_islands`.

    Boxes are `(x0, y0, x1, y1)`, pixel edges of the mosaic, y up.

    Attributes:
        boxes: Of the islands.
        first: `(x, y)` of each island's first pixel, row by row.
        pixels: Number of pixels of each island.
        flood: The flood island that each island is in.
        flood_boxes: Of the flood islands.
        flood_first: `(x, y)` of each flood island's first pixel.
        flood_pixels: Number of pixels of each flood island.
    """

    boxes: Float[np.ndarray, "n 4"]
    first: Int[np.ndarray, "n 2"]
    pixels: Int[np.ndarray, "n"]
    flood: Int[np.ndarray, "n"]
    flood_boxes: Float[np.ndarray, "m 4"]
    flood_first: Int[np.ndarray, "m 2"]
    flood_pixels: Int[np.ndarray, "m"]

    def __len__(self) -> int:
        return len(self.boxes)

    def of_floods(
        self, floods: Int[np.ndarray, "k"]
    ) -> tuple["MosaicIslands", Int[np.ndarray, "j"]]:
        """Returns some flood islands with their islands, and the numbers of these.

        Args:
            floods: Numbers of the flood islands, increasing.
        """
        place = np.full(len(self.flood_boxes), -1, np.int64)
        place[floods] = np.arange(len(floods))
        (own,) = np.nonzero(place[self.flood] >= 0)
        part = MosaicIslands(
            self.boxes[own], self.first[own], self.pixels[own], place[self.flood[own]],
            self.flood_boxes[floods], self.flood_first[floods],
            self.flood_pixels[floods],
        )  # fmt: skip
        return part, own


def find_mosaic_islands(
    maps: Any, tiles: Sequence[Tile], jobs_run: Callable[..., Iterable[Fragments]]
) -> MosaicIslands:
    """Returns the islands and flood islands of a mosaic.

    For an image in one piece the islands are those of `claran.sky.islands`.

    Args:
        maps: `MosaicMaps` of the mosaic.
        tiles: They divide the mosaic.
        jobs_run: Runs `label_tile` for each tile, see `claran.survey.jobs.Jobs.run`.
    """
    width = maps.mosaic.shape[1]
    areas = [tile.area for tile in tiles]
    found = jobs_run("islands", label_tile, maps, tiles, areas=areas)
    islands, floods = _collect(found)
    flood_of, flood_parts = _join(floods, width)
    kept = np.flatnonzero(flood_parts["seed"])
    place = np.full(len(flood_parts["seed"]), -1, np.int64)
    place[kept] = np.arange(len(kept))
    flood_boxes, flood_first, flood_pixels = _table(flood_parts, kept, width)
    own, parts = _join(islands, width)
    flood = np.empty(len(parts["pixels"]), np.int64)
    # All fragments of an island are in one flood island.
    flood[own] = place[flood_of[islands.pop("flood")]]
    del own, place, flood_of
    least = smallest_island(maps.mosaic.beam_pixels)
    kept = np.flatnonzero(parts["pixels"] >= least)
    boxes, first, pixels = _table(parts, kept, width)
    return MosaicIslands(
        boxes, first, pixels, flood[kept], flood_boxes, flood_first, flood_pixels
    )


def label_tile(maps: Any, tile: Tile) -> Fragments:
    """Returns the fragments of islands and flood islands in a tile.

    Left out are those that are not connected with another tile and too small or too
    faint. A flood fragment has a `seed` if a pixel exceeds `SEED`; `flood` is the flood
    fragment that a fragment of an island is in.

    Args:
        maps: `MosaicMaps` of the mosaic.
        tile: The tile.
    """
    mosaic = maps.mosaic
    ratio = maps.region(tile.rows, tile.columns).signal_to_noise
    labels, flood = _fragments(ratio > FLOOD, tile, mosaic.shape)
    seeds = np.zeros(len(flood["pixels"]), bool)
    seeds[labels[ratio > SEED] - 1] = True
    flood["seed"] = seeds
    number = _select(flood, seeds)
    _, island = _fragments(ratio > THRESHOLD, tile, mosaic.shape)
    y, x = np.divmod(island["first"], mosaic.shape[1])
    island["flood"] = number[labels[y - tile.y0, x - tile.x0] - 1]
    _select(island, island["pixels"] >= smallest_island(mosaic.beam_pixels))
    return {f"island_{key}": island[key] for key in island} | {
        f"flood_{key}": flood[key] for key in flood
    }


def _fragments(
    above: Bool[np.ndarray, "h w"], tile: Tile, shape: tuple[int, int]
) -> tuple[Int32[np.ndarray, "h w"], Fragments]:
    """Returns the label of each pixel of a tile, from 1, and the fragments.

    `order` is by blocks of 2 x 2 pixels, as OpenCV numbers the islands of an image.
    """
    ny, nx = shape
    count, labels = cv2.connectedComponents(above.view(np.uint8), connectivity=8)
    labels = np.asarray(labels, np.int32)
    places = np.flatnonzero(above)
    own = labels.ravel()[places] - 1
    y, x = np.divmod(places, above.shape[1])
    y, x = y + tile.y0, x + tile.x0
    fragments = {
        "box": np.stack(
            [
                _least(x, own, count - 1), _least(y, own, count - 1),
                -_least(-x - 1, own, count - 1), -_least(-y - 1, own, count - 1),
            ], axis=1,
        ).astype(np.int32),
        "pixels": np.bincount(own, minlength=count - 1).astype(np.int32),
        "first": _least(y * nx + x, own, count - 1),
        "order": _least(y // 2 * nx + x // 2, own, count - 1),
    }  # fmt: skip
    border = (y == tile.y0) & (y > 0) | (y == tile.y1 - 1) & (y < ny - 1)
    border |= (x == tile.x0) & (x > 0) | (x == tile.x1 - 1) & (x < nx - 1)
    fragments["border"], fragments["owner"] = (y * (nx + 1) + x)[border], own[border]
    return labels, fragments


def _select(fragments: Fragments, keep: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Drops all fragments but those to keep and those at the border of the tile.

    Returns the new number of each.
    """
    keep = keep.copy()
    keep[fragments["owner"]] = True
    number = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
    for key in fragments.keys() - {"border", "owner"}:
        fragments[key] = fragments[key][keep]
    fragments["owner"] = number[fragments["owner"]]
    return number


def _collect(found: Iterable[Fragments]) -> tuple[Fragments, Fragments]:
    """Returns the fragments of islands and of flood islands of all tiles."""
    levels: list[dict[str, list[np.ndarray]]] = [{}, {}]
    islands = floods = 0
    for part in found:
        start = {"island_owner": islands, "flood_owner": floods, "island_flood": floods}
        for key, values in part.items():
            level, _, name = key.partition("_")
            rows = values + np.int32(start[key]) if key in start else values
            levels[level == "flood"].setdefault(name, []).append(rows)
        islands += len(part["island_pixels"])
        floods += len(part["flood_pixels"])
    island, flood = (
        {name: np.concatenate(parts.pop(name)) for name in list(parts)}
        for parts in levels
    )
    return island, flood


def _join(
    fragments: Fragments, width: int
) -> tuple[Int32[np.ndarray, "n"], dict[str, np.ndarray]]:
    """Returns the island of each fragment, and the values of the islands, in order.

    Takes the arrays out of `fragments`, as those of a million islands need 40 MB.
    """
    count = len(fragments["pixels"])
    links = _links(fragments.pop("border"), fragments.pop("owner"), width)
    graph = coo_array((np.ones(len(links[0]), bool), links), shape=(count, count))
    number, own = connected_components(graph, directed=False)
    order = np.argsort(_least(fragments.pop("order"), own, number))
    rank = np.empty(number, np.int32)
    rank[order] = np.arange(number)
    own = rank[own]
    box = fragments.pop("box") * np.array([1, 1, -1, -1], np.int32)
    joined = {
        "box": np.stack([_least(edge, own, number) for edge in box.T], axis=1),
        "pixels": np.bincount(own, fragments.pop("pixels"), number).astype(np.int64),
        "first": _least(fragments.pop("first"), own, number),
    }
    joined["box"][:, 2:] *= -1
    if "seed" in fragments:
        joined["seed"] = np.bincount(own, fragments.pop("seed"), number) > 0
    return own, joined


def _links(
    border: Int[np.ndarray, "p"], owner: Int[np.ndarray, "p"], width: int
) -> tuple[Int[np.ndarray, "e"], Int[np.ndarray, "e"]]:
    """Returns pairs of fragments with pixels that touch by a side or a corner.

    Args:
        border: Places of the pixels next to other tiles. Rows have one place more than
            pixels, so that the end of one does not touch the start of the next.
        owner: The fragment of each.
        width: Columns of the mosaic.
    """
    order = np.argsort(border)
    border, owner = border[order], owner[order]
    left, right = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for step in (1, width, width + 1, width + 2):
        place = np.searchsorted(border, border + step)
        place[place == len(border)] = 0
        touch = (border[place] == border + step) & (owner[place] != owner)
        left.append(owner[touch])
        right.append(owner[place[touch]])
    return np.concatenate(left), np.concatenate(right)


def _table(
    parts: dict[str, np.ndarray], kept: Int[np.ndarray, "n"], width: int
) -> tuple[
    Float[np.ndarray, "n 4"], Int[np.ndarray, "n 2"], Int[np.ndarray, "n"]
]:  # fmt: skip
    """Returns boxes, first pixels and numbers of pixels of the islands to keep.

    Takes the arrays out of `parts`.
    """
    boxes = parts.pop("box")[kept].astype(np.float64)
    y, x = np.divmod(parts.pop("first")[kept], width)
    return boxes, np.stack([x, y], axis=1), parts.pop("pixels")[kept]


def _least(
    values: Int[np.ndarray, "p"], own: Int[np.ndarray, "p"], count: int
) -> Int[np.ndarray, "{count}"]:
    """Returns the least value of each of `count` owners."""
    least = np.full(count, np.iinfo(values.dtype).max, values.dtype)
    np.minimum.at(least, own, values)
    return least
