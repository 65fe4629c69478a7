"""Ridges: the way along a source from its one end through its parts to the other.

The parts are the centers of its components. A step between two of them costs the fourth
power of its length, or of a beam if it is shorter. So the cheapest way goes through all
that lies between its ends, also around a bend of up to 107 degrees, but not to what
lies at its side, and it does not zigzag within a beam. The ridge is the longest of the
cheapest ways.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = ["MOST_PARTS", "Ridges", "find_ridges"]

MOST_PARTS = 128  # Of a source; the time rises with their third power.
POWER = 4


class Ridges(NamedTuple):
    """The ridges of many sources, one row a source; parts are rows of `points`.

    Attributes:
        length: From the center of the first part to that of the last one.
        ends: (n, 2) the part at each end; twice the same of a source of one part.
        inward: (n, 2) the part next to each end.
        along: (p,) way along the ridge from its first end to each part; NaN if the
            ridge does not pass the part.
    """

    length: Float[np.ndarray, "n"]
    ends: Int[np.ndarray, "n 2"]
    inward: Int[np.ndarray, "n 2"]
    along: Float[np.ndarray, "p"]


def find_ridges(
    points: Float[np.ndarray, "p 2"], counts: Int[np.ndarray, "n"], beam: float
) -> Ridges:
    """Returns the ridge of each source.

    Sources of equally many parts are computed at once.

    Args:
        points: `(x, y)` of the parts of one source after the other, pixels.
        counts: Parts of each source, from 1 to `MOST_PARTS`.
        beam: FWHM, pixels.
    """
    starts = np.cumsum(counts) - counts
    found = Ridges(
        length=np.zeros(len(counts)),
        ends=np.stack([starts, starts], axis=1),
        inward=np.stack([starts, starts], axis=1),
        along=np.full(len(points), np.nan),
    )
    found.along[starts] = 0
    for count in np.unique(counts[counts > 1]).tolist():
        (sources,) = np.nonzero(counts == count)
        parts = starts[sources, None] + np.arange(count)
        length, path, along = _longest(points[parts], beam)
        found.length[sources] = length
        rows = np.arange(len(sources))
        last = (~np.isnan(along)).sum(axis=1) - 1
        found.ends[sources] = parts[rows[:, None], path[:, [0, 0]]]
        found.ends[sources, 1] = parts[rows, path[rows, last]]
        found.inward[sources, 0] = parts[rows, path[:, 1]]
        found.inward[sources, 1] = parts[rows, path[rows, last - 1]]
        passed = ~np.isnan(along)
        found.along[starts[sources]] = np.nan
        found.along[parts[np.nonzero(passed)[0], path[passed]]] = along[passed]
    return found


def _longest(
    points: Float[np.ndarray, "m c 2"], beam: float
) -> tuple[Float[np.ndarray, "m"], Int[np.ndarray, "m c"], Float[np.ndarray, "m c"]]:
    """Returns the longest of the cheapest ways within each of m sources of c parts.

    The cheapest ways are found as by Floyd (1962, CACM 5, 345).

    Returns:
        The length; the parts passed, in order, and the way to each; NaN beyond the end.
    """
    many, count = points.shape[:2]
    offsets = points[:, :, None] - points[:, None, :]
    length = np.hypot(offsets[..., 0], offsets[..., 1])
    cost = (np.maximum(length, beam) / beam) ** POWER
    follow = np.broadcast_to(np.arange(count), cost.shape).copy()
    step = length.copy()
    for k in range(count):
        over = cost[:, :, k, None] + cost[:, None, k, :]
        better = over < cost
        cost = np.where(better, over, cost)
        length = np.where(better, length[:, :, k, None] + length[:, None, k, :], length)
        follow = np.where(better, follow[:, :, k, None], follow)
    rows = np.arange(many)
    at, end = np.divmod(length.reshape(many, -1).argmax(axis=1), count)
    path = np.zeros((many, count), np.int64)
    along = np.full((many, count), np.nan)
    path[:, 0], along[:, 0] = at, 0.0
    for k in range(1, count):
        after = follow[rows, at, end]
        way = along[:, k - 1] + step[rows, at, after]
        along[:, k] = np.where(at == end, np.nan, way)
        path[:, k] = at = after
    return length.reshape(many, -1).max(axis=1), path, along
