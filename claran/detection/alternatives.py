"""Which detections are alternatives: other readings of emission that is taken.

By falling probability, each detection takes the emission that it holds. One that would
need emission that is taken is an alternative. What remains without the alternatives is
a catalog: no two of its rows share an island. It does not depend on a threshold, as
whether a detection is an alternative follows from more probable ones alone.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from claran.sky.box_arrays import area, intersection

__all__ = ["INSIDE", "sharing_islands", "sharing_places"]

INSIDE = 0.5  # Part of a box from which another box holds it.


def sharing_islands(groups: Iterable[Sequence[int]]) -> Bool[np.ndarray, "n"]:
    """Returns which detections are alternatives, if their islands are known.

    Args:
        groups: Islands of each detection, by falling probability.

    >>> sharing_islands([(0, 1), (2,), (1,), (2, 3), (3,)]).tolist()
    [False, False, True, True, False]
    """
    taken: set[int] = set()
    found = []
    for group in groups:
        found.append(not taken.isdisjoint(group))
        if not found[-1]:
            taken.update(group)
    return np.array(found, bool)


def sharing_places(
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, "n"],
    islands: Float[np.ndarray, "k 4"],
) -> Bool[np.ndarray, "n"]:
    """Returns which detections are alternatives, if all that is known are their boxes.

    Two of them share a place if they hold a common island, or if one holds more than
    half of the other.

    Args:
        boxes: Edges, pixels of the FITS array.
        scores: Of the detections.
        islands: Boxes of the field's islands; none for a picture.
    """
    common = intersection(boxes[:, None], boxes[None])
    sizes = area(boxes)
    share = common > INSIDE * np.minimum(sizes[:, None], sizes[None])
    held = intersection(boxes[:, None], islands[None]) > INSIDE * area(islands)
    share |= held.astype(np.float32) @ held.T.astype(np.float32) > 0
    kept: list[int] = []
    found = np.zeros(len(boxes), bool)
    for i in np.argsort(-scores, kind="stable").tolist():
        found[i] = share[i, kept].any()
        if not found[i]:
            kept.append(i)
    return found
