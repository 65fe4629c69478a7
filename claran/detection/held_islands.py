"""Which islands the boxes of detections hold."""

from itertools import chain

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from claran.detection.alternatives import INSIDE
from claran.sky.box_arrays import area, intersection

__all__ = ["held_islands"]

TOUCHED = 0.1  # Part that it must hold of one it needs to be of its class.
SEARCHED = 2**14  # Detections whose islands are searched at once, to save memory.


def held_islands(
    boxes: Float[np.ndarray, "n 4"],
    islands: Float[np.ndarray, "k 4"],
    components: Int[np.ndarray, "n"],
    clusters: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "k"]] | None,
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"]]:
    """Returns all pairs of a detection and an island that it holds, in order.

    Args:
        boxes: Of the detections.
        islands: Boxes of the islands.
        components: Components that each detection has by its class.
        clusters: See `claran.detection.counting.count_groups`.
    """
    rows, own, part = _touching(boxes, islands, clusters)
    order = np.lexsort((own, -part, rows))
    rows, own, part = rows[order], own[order], part[order]
    # Rank 0 is the island that is most inside.
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    held = (part > INSIDE) | (rank < components[rows])
    rows, own = rows[held], own[held]
    order = np.lexsort((own, rows))
    return rows[order], own[order]


def _touching(
    boxes: Float[np.ndarray, "n 4"],
    islands: Float[np.ndarray, "k 4"],
    clusters: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "k"]] | None,
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"], Float[np.ndarray, "p"]]:
    """Returns detections, islands they touch, and what part of an island is inside.

    Islands whose sizes differ by up to a factor of four are searched at once. With one
    search for all, the reach of the largest would let every detection find all the
    small ones around it.
    """
    centers, halves = _centers(boxes)
    middles, extents = _centers(islands)
    classes = np.floor(np.log2(np.maximum(extents, 1.0)) / 2).astype(int)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for size in np.unique(classes):
        (members,) = np.nonzero(classes == size)
        tree = KDTree(middles[members])
        reach = halves + extents[members].max()
        for start in range(0, len(boxes), SEARCHED):
            part = slice(start, start + SEARCHED)
            near = tree.query_ball_point(
                centers[part], reach[part], p=np.inf, return_sorted=False
            )
            counts = [len(one) for one in near]
            rows = np.repeat(np.arange(len(near)) + start, counts)
            own = members[np.fromiter(chain.from_iterable(near), np.int64)]
            share = intersection(boxes[rows], islands[own]) / area(islands[own])
            touched = share > TOUCHED
            if clusters is not None:
                touched &= clusters[0][rows] == clusters[1][own]
            found.append((rows[touched], own[touched], share[touched]))
    rows, own, share = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, own, share


def _centers(
    boxes: Float[np.ndarray, "n 4"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Returns the center of each box, and half its longer side; 0 if it is inverted."""
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) / 2
    return (boxes[:, :2] + boxes[:, 2:]) / 2, halves
