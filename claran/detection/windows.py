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

import cv2
import numpy as np
from jaxtyping import Float, Int

from claran.fields.preprocessing import Bounds
from claran.sky.box_arrays import union_boxes

__all__ = ["Window", "find_windows"]

LINK = 64  # Largest gap between the boxes of neighboring islands in a cluster.
MARGIN = 48  # Sky around a cluster; a point source is seen as in a field of 3'.
SIZES = (128, 192, 256, 384, 512)  # Sides of windows; few, as each is compiled.
SAVING = 0.5  # Largest ratio of the windows' area to the field's to use windows.
WHOLE = 2**20  # Pixels; a larger field needs too much memory as a whole.
CELL = 4  # Pixels; side of the cells of the grid for linking.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """A part of a scene that is shown to the network.

    Attributes:
        bounds: `(x0, y0, x1, y1)`, pixels of the scene, y down; None for all of it.
        core: `(x0, y0, x1, y1)`, the same frame; detections are taken if their center
            is inside.
        cluster: Number of the cluster of islands in the window.
    """

    bounds: Bounds | None = None
    core: tuple[float, float, float, float] = (-math.inf, -math.inf, math.inf, math.inf)
    cluster: int = 0


def find_windows(
    shape: tuple[int, int], boxes: Float[np.ndarray, "k 4"]
) -> tuple[list[Window], Int[np.ndarray, "k"]]:
    """Returns the windows of a field, and the cluster of each island.

    A cluster too large for one window is shown in several overlapping windows. A
    detection is taken from the window with its center in the core.

    Args:
        shape: Rows and columns of the scene.
        boxes: Boxes of the islands, edges in pixels of the scene, y down.
    """
    if not len(boxes):
        return [], np.zeros(0, int)
    cluster = _link(shape, boxes)
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    bounds = union_boxes(boxes[order], starts)
    windows = [
        window
        for number, box in enumerate(bounds)
        for window in _cover(shape, box[:2], box[2:], number)
    ]
    area, shown = shape[0] * shape[1], sum(map(_area, windows))
    if area <= WHOLE and shown > SAVING * area:
        return [Window()], np.zeros(len(boxes), int)
    return windows, cluster


def _area(window: Window) -> int:
    assert window.bounds is not None  # noqa: S101 - only the whole field has none.
    x0, y0, x1, y1 = window.bounds
    return (x1 - x0) * (y1 - y0)


def _link(
    shape: tuple[int, int], boxes: Float[np.ndarray, "k 4"]
) -> Int[np.ndarray, "k"]:
    """Returns the cluster of each island.

    Islands are linked if their boxes touch when extended by half of `LINK`.
    """
    rows, columns = (math.ceil(side / CELL) for side in shape)
    mask = np.zeros((rows, columns), np.uint8)
    grown = (boxes + np.array([-LINK / 2, -LINK / 2, LINK / 2, LINK / 2])) / CELL
    for x0, y0, x1, y1 in np.floor(grown).astype(int).tolist():
        mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
    labels = np.asarray(cv2.connectedComponents(mask, connectivity=8)[1])
    middle = ((boxes[:, :2] + boxes[:, 2:]) / (2 * CELL)).astype(int)
    x, y = np.minimum(middle, [columns - 1, rows - 1]).T
    # Numbered in the order of the islands.
    _, first, inverse = np.unique(labels[y, x], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _cover(
    shape: tuple[int, int],
    low: Float[np.ndarray, "2"],
    high: Float[np.ndarray, "2"],
    cluster: int,
) -> list[Window]:
    """Returns the windows that cover a cluster with these bounds."""
    needed = float((high - low).max()) + 2 * MARGIN
    size = next((size for size in SIZES if size >= needed), None)
    if size is not None:
        middle = (low + high) / 2
        x0, y0 = (
            _start(float(c), size, side)
            for c, side in zip(middle, shape[::-1], strict=True)
        )
        bounds = x0, y0, min(x0 + size, shape[1]), min(y0 + size, shape[0])
        return [Window(bounds=bounds, cluster=cluster)]
    xs, ys = (
        _tiles(float(a), float(b), side)
        for a, b, side in zip(low, high, shape[::-1], strict=True)
    )
    return [
        Window(bounds=(x0, y0, x1, y1), core=(cx0, cy0, cx1, cy1), cluster=cluster)
        for (y0, y1, cy0, cy1), (x0, x1, cx0, cx1) in itertools.product(ys, xs)
    ]


def _start(center: float, size: int, side: int) -> int:
    """Returns the start of a window around a center, inside the field if it fits."""
    return max(0, min(round(center - size / 2), side - size))


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
