"""Windows of a large field that are shown to the network, around clusters of islands.

Most of a large field is empty sky. Islands that are close together form a cluster, and
each cluster is shown in its own window, if this saves at least half of the work. The
islands of a source are in one cluster: islands of two clusters are never joined. A
small or crowded field is shown whole, so that the network sees all the sky around its
islands.

Lengths are in pixels of the network's input, with a beam of three pixels. A gap of
`LINK` is 115" for FIRST, the widest gap between neighboring components that it has.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from claran.fields.preprocessing import Bounds
from claran.sky.box_arrays import union_box, union_boxes

__all__ = ["Window", "find_windows", "seen_sides", "with_islands"]

LINK = 64  # Largest gap between the boxes of neighboring islands in a cluster.
MARGIN = 48  # Sky around a cluster; a point source is seen as in a field of 3'.
SIZES = (128, 192, 256, 384, 512)  # Sides of windows; few, as each is compiled.
# A single small island, without another one within LINK, is seen in less of the empty
# sky around it: of 1,238 sources of a simulated mosaic one changed sides at 0.5, and
# the network takes 6.5 ms instead of 14.4.
LONE_MARGIN, LONE_SIZE = 24, 64
SAVING = 0.5  # Largest ratio of the windows' area to the field's to use windows.
WHOLE = 2**20  # Pixels; a larger field needs too much memory as a whole.
CELL = 4  # Pixels; side of the cells of the grid for linking.
TILE = 512  # Cells; side of the tiles of this grid.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Window:
    """A part of a scene that is shown to the network.

    Attributes:
        bounds: `(x0, y0, x1, y1)`, pixels of the scene, y down; None for all of it.
        core: `(x0, y0, x1, y1)`, the same frame; detections are taken if their center
            is inside.
        cluster: Number of the cluster of islands in the window.
        islands: Numbers of the cluster's islands with their center in the window; None
            if the network does not see islands.
        island_boxes: Their boxes, pixels of the window, y down.
    """

    bounds: Bounds | None = None
    core: tuple[float, float, float, float] = (-math.inf, -math.inf, math.inf, math.inf)
    cluster: int = 0
    islands: Int[np.ndarray, "k"] | None = None
    island_boxes: Float32[np.ndarray, "k 4"] | None = None


def with_islands(
    windows: Sequence[Window],
    cluster: Int[np.ndarray, "k"],
    boxes: Float[np.ndarray, "k 4"],
) -> list[Window]:
    """Returns the windows with their islands, for networks that see islands.

    Args:
        windows: Of `find_windows`.
        cluster: Cluster of each island.
        boxes: Boxes of the islands, edges in pixels of the scene, y down.
    """
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], [one.cluster for one in windows])
    stops = np.searchsorted(cluster[order], [one.cluster for one in windows], "right")
    found = []
    for window, start, stop in zip(windows, starts, stops, strict=True):
        own = order[start:stop]
        # Rounded, a scene may end half a pixel before an island.
        x0, y0, x1, y1 = window.bounds or (0, 0, math.inf, math.inf)
        middle = (boxes[own, :2] + boxes[own, 2:]) / 2
        own = own[((middle >= (x0, y0)) & (middle < (x1, y1))).all(axis=1)]
        shifted = (boxes[own] - np.array([x0, y0, x0, y0])).astype(np.float32)
        found.append(dataclasses.replace(window, islands=own, island_boxes=shifted))
    return found


def find_windows(
    shape: tuple[int, int], boxes: Float[np.ndarray, "k 4"]
) -> tuple[list[Window], Int[np.ndarray, "k"]]:
    """Returns the windows of a field, and the cluster of each island.

    A cluster too large for one window is shown in several overlapping windows, but not
    in those in which none of its islands lies. A detection is taken from the window
    with its center in the core.

    Args:
        shape: Rows and columns of the scene.
        boxes: Boxes of the islands, edges in pixels of the scene, y down.
    """
    if not len(boxes):
        return [], np.zeros(0, int)
    cluster = _link(shape, boxes)
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    windows = _cover(shape, boxes[order], starts)
    area, shown = shape[0] * shape[1], sum(map(_full_area, windows))
    if area <= WHOLE and shown > SAVING * area:
        return [Window()], np.zeros(len(boxes), int)
    return windows, cluster


def seen_sides(scale: float) -> tuple[float, float]:
    """Returns up to which sides windows show clusters and sources as a whole.

    Args:
        scale: Pixels of the scene per pixel of the field.

    Returns:
        Longest side of a cluster that is seen at once, and of a source of a larger
        cluster, which is whole in one of several windows; pixels of the field.
    """
    return (SIZES[-1] - 2 * MARGIN) / scale, 2 * MARGIN / scale


def _full_area(window: Window) -> int:
    """Returns the area of a window; of a lone island that of a window of `SIZES`.

    A crowded field is shown whole even if most of its islands are lone.
    """
    assert window.bounds is not None  # noqa: S101 - only the whole field has none.
    x0, y0, x1, y1 = window.bounds
    area = (x1 - x0) * (y1 - y0)
    is_lone = max(x1 - x0, y1 - y0) <= LONE_SIZE
    return area * (SIZES[0] // LONE_SIZE) ** 2 if is_lone else area


def _link(
    shape: tuple[int, int], boxes: Float[np.ndarray, "k 4"]
) -> Int[np.ndarray, "k"]:
    """Returns the cluster of each island, numbered in the order of the islands.

    Islands are linked if their boxes touch when extended by half of `LINK` to whole
    cells.
    """
    last = np.array([math.ceil(side / CELL) - 1 for side in shape[::-1]])
    grown = np.floor((boxes + np.array([-0.5, -0.5, 0.5, 0.5]) * LINK) / CELL)
    low = np.clip(grown[:, :2], 0, last).astype(int)
    high = np.clip(grown[:, 2:], 0, last).astype(int)
    small = (last < TILE).all()
    labels = _draw(low, high, last + 1) if small else _join_tiles(low, high, last)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _join_tiles(
    low: Int[np.ndarray, "k 2"],
    high: Int[np.ndarray, "k 2"],
    last: Int[np.ndarray, "2"],
) -> Int[np.ndarray, "k"]:
    """Returns for each rectangle the patch that it is in, as `_draw`, tile by tile.

    The grid of a mosaic does not fit into memory. A rectangle joins the patches that it
    is in on all its tiles.

    Args:
        low: First cell of each rectangle, `(x, y)`.
        high: Last cell.
        last: Last cell of the grid.
    """
    # A tile has one more cell on each side, so that boxes touch across its edge.
    tile, own = _spread(
        (low - 1).clip(min=0) // TILE, np.minimum(high + 1, last) // TILE
    )
    edges = np.flatnonzero(np.diff(tile, axis=0, prepend=-1).any(axis=1))
    patches, count = np.empty(len(tile), np.int64), len(low)
    for start, stop in itertools.pairwise([*edges.tolist(), len(tile)]):
        drawn = own[start:stop]
        origin = tile[start] * TILE - 1
        side = np.minimum(TILE + 2, last + 1 - origin)
        patch = _draw(low[drawn] - origin, high[drawn] - origin, side)
        patches[start:stop] = patch + count
        count += int(patch.max()) + 1
    links = coo_array((np.ones(len(own), bool), (own, patches)), shape=(count, count))
    return connected_components(links, directed=False)[1][: len(low)]


def _spread(
    low: Int[np.ndarray, "k 2"], high: Int[np.ndarray, "k 2"]
) -> tuple[Int[np.ndarray, "p 2"], Int[np.ndarray, "p"]]:
    """Returns `(x, y)` of all places in rectangles, sorted, and the rectangle of each.

    Args:
        low: First place of each rectangle, `(x, y)`.
        high: Last place.
    """
    width, height = (high - low + 1).T
    counts = width * height
    own = np.repeat(np.arange(len(low)), counts)
    number = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
    y, x = np.divmod(number, width[own])
    places = low[own] + np.stack([x, y], axis=1)
    order = np.lexsort((own, *places.T))
    return places[order], own[order]


def _draw(
    low: Int[np.ndarray, "k 2"],
    high: Int[np.ndarray, "k 2"],
    side: Int[np.ndarray, "2"],
) -> Int[np.ndarray, "k"]:
    """Returns for each rectangle the 8-connected patch that it is in, from 0.

    Args:
        low: First cell of each rectangle, `(x, y)`; may be outside.
        high: Last cell.
        side: Columns and rows of the grid.
    """
    mask = _filled(low, high, side)
    labels = np.asarray(cv2.connectedComponents(mask, connectivity=8)[1])
    x, y = low.clip(min=0).T
    return labels[y, x].astype(np.int64) - 1


def _filled(
    low: Int[np.ndarray, "k 2"],
    high: Int[np.ndarray, "k 2"],
    side: Int[np.ndarray, "2"],
) -> UInt8[np.ndarray, "rows columns"]:
    """Returns 1 for the cells in any rectangle, 0 for others; see `_draw`."""
    mask = np.zeros(side[::-1], np.uint8)
    edges = np.concatenate([low.clip(min=0), high + 1], axis=1)
    for x0, y0, x1, y1 in edges.tolist():
        mask[y0:y1, x0:x1] = 1
    return mask


def _cover(
    shape: tuple[int, int],
    boxes: Float[np.ndarray, "k 4"],
    starts: Int[np.ndarray, "c"],
) -> list[Window]:
    """Returns the windows that cover each cluster, cluster by cluster.

    Args:
        shape: Rows and columns of the scene.
        boxes: Of the islands, those of one cluster one after the other.
        starts: Row of the first island of each cluster.
    """
    bounds = union_boxes(boxes, starts)
    extent = (bounds[:, 2:] - bounds[:, :2]).max(axis=1)
    is_lone = np.diff(starts, append=len(boxes)) == 1
    is_lone &= extent <= LONE_SIZE - 2 * LONE_MARGIN
    sizes = np.array([*SIZES, 0])[np.searchsorted(SIZES, extent + 2 * MARGIN)]
    sizes[is_lone] = LONE_SIZE
    sides = np.array(shape[::-1])
    # Around the middle of the cluster, but inside of the field if it fits.
    middle = (bounds[:, :2] + bounds[:, 2:]) / 2
    low = np.rint(middle - sizes[:, None] / 2).astype(int)
    low = np.minimum(low, sides - sizes[:, None]).clip(min=0)
    around = np.concatenate([low, np.minimum(low + sizes[:, None], sides)], axis=1)
    edges = itertools.pairwise([*starts.tolist(), len(boxes)])
    windows = []
    for cluster, (size, (x0, y0, x1, y1), (start, stop)) in enumerate(
        zip(sizes.tolist(), around.tolist(), edges, strict=True)
    ):
        if size:
            windows.append(Window(bounds=(x0, y0, x1, y1), cluster=cluster))
        else:
            windows += _cover_large(shape, boxes[start:stop], cluster)
    return windows


def _cover_large(
    shape: tuple[int, int], boxes: Float[np.ndarray, "k 4"], cluster: int
) -> list[Window]:
    """Returns overlapping windows of a large cluster, those with an island of it.

    Args:
        shape: Rows and columns of the scene.
        boxes: Of the islands in the cluster.
        cluster: Its number.
    """
    bounds = union_box(boxes)
    xs, ys = (
        _tiles(float(bounds[axis]), float(bounds[axis + 2]), shape[1 - axis])
        for axis in (0, 1)
    )
    low = np.empty((len(boxes), 2), int)
    high = np.empty((len(boxes), 2), int)
    for axis, tiles in enumerate((xs, ys)):
        first, last = np.array([tile[:2] for tile in tiles]).T
        low[:, axis] = np.searchsorted(last, boxes[:, axis], side="right")
        high[:, axis] = np.searchsorted(first, boxes[:, axis + 2]) - 1
    shown = _filled(low, high, np.array([len(xs), len(ys)]))
    return [
        Window(bounds=(x0, y0, x1, y1), core=(cx0, cy0, cx1, cy1), cluster=cluster)
        for j, (y0, y1, cy0, cy1) in enumerate(ys)
        for i, (x0, x1, cx0, cx1) in enumerate(xs)
        if shown[j, i]
    ]


def _tiles(low: float, high: float, side: int) -> list[tuple[int, int, float, float]]:
    """Returns start and end of tiles that cover an interval, and of their cores."""
    size = SIZES[-1]
    first, last = max(0, math.floor(low) - MARGIN), min(side, math.ceil(high) + MARGIN)
    count = max(1, math.ceil((last - first - 2 * MARGIN) / (size - 2 * MARGIN)))
    if last - first <= size:
        return [(first, last, -math.inf, math.inf)]
    starts = np.round(np.linspace(first, last - size, count)).astype(int).tolist()
    # Cores meet in the middle of the overlap of two tiles.
    edges = [(a + size + b) / 2 for a, b in itertools.pairwise(starts)]
    cores = itertools.pairwise([-math.inf, *edges, math.inf])
    return [
        (start, start + size, *core) for start, core in zip(starts, cores, strict=True)
    ]
