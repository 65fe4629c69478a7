"""Where a network looks in a large field: windows about what is close together.

Most of a large field is empty sky, and what a network computes there is lost. So the
islands of a field are put into clusters, and each cluster is shown in a window of its
own, where that saves half of the work or more. Which islands are one source is decided
within a cluster; islands of two clusters are never joined. A small or crowded field is
shown whole: the more sky around a source, the better the network groups its islands (of
157 simulated sources of several components in fields of 9', 0.873 are put together
exactly in whole fields, 0.847 in windows).

All lengths are in pixels of the network's input, whose beam is three pixels wide. A gap
of `LINK` is 115" for FIRST: the widest gap between neighboring components that it has.
"""

import dataclasses
import itertools
import math

import cv2
import numpy as np
from jaxtyping import Float, Int

from claran.sky.box_arrays import union_boxes

__all__ = ["Bounds", "Window", "find_windows"]

LINK = 64  # Islands with no larger gap between their boxes are in one cluster.
MARGIN = 48  # Sky around a cluster: a point source is seen as in a field of 3'.
SIZES = (128, 192, 256, 384, 512)  # Sides of windows: few, as each one is compiled.
SAVING = 0.5  # Windows are shown if their area is at most this part of the field's.
WHOLE = 2**20  # Pixels; a larger field takes too much memory whole.
CELL = 4  # Linking is done on a grid of cells of so many pixels.

Bounds = tuple[int, int, int, int]
"""(x0, y0, x1, y1), y down."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """A part of a field that is shown to the network, and what is decided there.

    Attributes:
        bounds: The part; None for the whole field.
        core: Detections whose center is in here are taken.
        cluster: Number of the cluster of islands that it shows.
    """

    bounds: Bounds | None = None
    core: tuple[float, float, float, float] = (-math.inf, -math.inf, math.inf, math.inf)
    cluster: int = 0


def find_windows(
    shape: tuple[int, int], boxes: Float[np.ndarray, "k 4"]
) -> tuple[list[Window], Int[np.ndarray, "k"]]:
    """Returns the windows of a field, and the cluster of each island.

    A cluster too large for one window is shown in several that overlap; a detection
    counts in the one whose core holds its center.

    Args:
        shape: Rows and columns of the field.
        boxes: Boxes of its islands, edges, y down.
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
    """Returns the cluster of each island: boxes grown by half the gap touch."""
    rows, columns = (math.ceil(side / CELL) for side in shape)
    mask = np.zeros((rows, columns), np.uint8)
    grown = (boxes + np.array([-LINK / 2, -LINK / 2, LINK / 2, LINK / 2])) / CELL
    for x0, y0, x1, y1 in np.floor(grown).astype(int).tolist():
        mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
    labels = np.asarray(cv2.connectedComponents(mask, connectivity=8)[1])
    middle = ((boxes[:, :2] + boxes[:, 2:]) / (2 * CELL)).astype(int)
    x, y = np.minimum(middle, [columns - 1, rows - 1]).T
    # Numbered in the order of the islands, which is that of the scan.
    _, first, inverse = np.unique(labels[y, x], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _cover(
    shape: tuple[int, int],
    low: Float[np.ndarray, "2"],
    high: Float[np.ndarray, "2"],
    cluster: int,
) -> list[Window]:
    """Returns windows over a cluster with these bounds."""
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
    """Returns where a window about a center begins, within the field if it fits."""
    return max(0, min(round(center - size / 2), side - size))


def _tiles(low: float, high: float, side: int) -> list[tuple[int, int, float, float]]:
    """Returns start and end of tiles over an interval, and of their cores."""
    size = SIZES[-1]
    first, last = max(0, math.floor(low) - MARGIN), min(side, math.ceil(high) + MARGIN)
    count = max(1, math.ceil((last - first - 2 * MARGIN) / (size - 2 * MARGIN)))
    if last - first <= size:
        return [(first, last, -math.inf, math.inf)]
    starts = np.round(np.linspace(first, last - size, count)).astype(int).tolist()
    # Cores meet in the middle of what two tiles share.
    edges = [(a + size + b) / 2 for a, b in itertools.pairwise(starts)]
    cores = itertools.pairwise([-math.inf, *edges, math.inf])
    return [
        (start, start + size, *core) for start, core in zip(starts, cores, strict=True)
    ]
