"""Polygons on the sky, and which directions are inside them.

Directions are unit vectors and distances are chords, so that neither the poles nor a
right ascension of 0 is special.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Bool, Float, Int

from claran.photometry.sky_measures import sky_directions

__all__ = ["SkyPolygons", "are_inside", "sky_polygons"]

MOST_EDGES = 2**21  # Tested at once.


class SkyPolygons(NamedTuple):
    """Polygons, small against the sky.

    Attributes:
        corners: Those of one polygon after the other.
        starts: First corner of each polygon.
        counts: Corners of each polygon.
        middles: Mean of the corners of each.
        reaches: Largest distance of a corner from it.
    """

    corners: Float[np.ndarray, "v 3"]
    starts: Int[np.ndarray, "k"]
    counts: Int[np.ndarray, "k"]
    middles: Float[np.ndarray, "k 3"]
    reaches: Float[np.ndarray, "k"]


def sky_polygons(
    wcs: WCS | None, corners: Float[np.ndarray, "v 2"], counts: Int[np.ndarray, "k"]
) -> SkyPolygons:
    """Returns polygons in pixels as polygons on the sky.

    Args:
        wcs: Celestial WCS; without one, all is NaN.
        corners: `(x, y)`, pixel edges, of one polygon after the other.
        counts: Corners of each polygon.
    """
    directions = sky_directions(wcs, *corners.T)
    counts = np.asarray(counts, np.int64)
    starts = np.cumsum(counts) - counts
    middles, reaches = np.zeros((0, 3)), np.zeros(0)
    if len(counts):
        middles = np.add.reduceat(directions, starts) / counts[:, None]
        off = np.linalg.norm(directions - np.repeat(middles, counts, axis=0), axis=1)
        reaches = np.maximum.reduceat(off, starts)
    return SkyPolygons(directions, starts, counts, middles, reaches)


def are_inside(
    points: Float[np.ndarray, "m 3"], polygons: SkyPolygons, which: Int[np.ndarray, "m"]
) -> Bool[np.ndarray, "m"]:
    """Returns whether each point is inside the polygon beside it.

    Args:
        points: Directions, near the polygon.
        polygons: All polygons.
        which: The polygon to compare each point with.
    """
    inside = np.zeros(len(points), bool)
    edges = np.cumsum(polygons.counts[which])
    blocks = np.searchsorted(edges, np.arange(0, edges[-1:].sum(), MOST_EDGES))
    for start, stop in pairwise([*np.unique(blocks).tolist(), len(points)]):
        part = slice(start, stop)
        inside[part] = _cross_odd(points[part], polygons, which[part])
    return inside


def _cross_odd(
    points: Float[np.ndarray, "m 3"], polygons: SkyPolygons, which: Int[np.ndarray, "m"]
) -> Bool[np.ndarray, "m"]:
    """Returns whether a ray from each point crosses an odd number of edges."""
    counts = polygons.counts[which]
    starts = np.cumsum(counts) - counts
    rank = np.arange(counts.sum()) - np.repeat(starts, counts)
    off = polygons.corners[np.repeat(polygons.starts[which], counts) + rank]
    off -= np.repeat(points, counts, axis=0)
    # Two directions across the point; the axis furthest from it leads to them.
    axis = np.eye(3)[np.abs(points).argmin(axis=1)]
    right = np.cross(points, axis)
    up = np.cross(points, right)
    x, y = ((off * np.repeat(u, counts, axis=0)).sum(axis=1) for u in (right, up))
    follow = np.arange(1, len(x) + 1)
    follow[starts + counts - 1] = starts
    crosses = (y > 0) != (y[follow] > 0)
    rise = np.where(crosses, y[follow] - y, 1.0)
    crosses &= x - y * (x[follow] - x) / rise > 0
    return np.add.reduceat(crosses.astype(np.int64), starts) % 2 == 1
