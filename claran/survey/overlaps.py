"""Overlapping mosaics: each source once, from the mosaic that shows it best.

A source of one mosaic and one of another are the same emission if their components are
within a beam of each other (the larger one of both mosaics), or if their outlines
overlap. A component without a source takes part like a source. What hangs together in
this way is decided at once, so that of a double here and two single sources there only
one version remains:

1. The best mosaic is the one that cuts the fewest of these sources at its edge or at
   blank pixels; of equal ones, the one that covers the most of their components; then
   one in which there is a source among them, if its noise is at most 1.5 times the
   lowest; then the one with the lowest noise, in steps of 5%; then the one with the
   fewest components without a source; then the one in which they are furthest from the
   edge; then the first one by name.
2. Its sources are kept, and all that are the same emission are dropped.
3. What is left is decided in the same way. So of each two that are the same emission
   at most one is kept, and none is dropped without such a one that is kept.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from claran.photometry.fit_flags import FitFlag
from claran.photometry.sky_measures import sky_directions
from claran.photometry.source_flags import SourceFlag
from claran.survey.sky_polygons import SkyPolygons, are_inside, sky_polygons

__all__ = ["Kept", "MosaicCatalog", "merge_mosaics"]

NOISE_STEP = 0.05  # Noise of mosaics that differs by less is as good.
AS_DEEP = 1.5  # Times the noise; then a source is better than components in doubt.
CUT_SOURCE = int(SourceFlag.AT_EDGE | SourceFlag.NEAR_BLANK)
CUT_COMPONENT = int(FitFlag.AT_EDGE | FitFlag.NEAR_BLANK)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MosaicCatalog:
    """What was found in one mosaic.

    Attributes:
        name: Of the mosaic; no two have the same.
        wcs: Celestial WCS; without one, nothing of the mosaic is anywhere else.
        shape: Rows and columns.
        beam_arcsec: FWHM.
        sources: Columns `x`, `y` (pixel edges), `rms`, `flags`.
        components: Columns `x`, `y`, `noise`, `flags`, and `source`, a row in `sources`
            or -1.
        outlines: (v, 2) corners of the islands of sources, one after the other.
        corners: Corners of each island.
        outline_sources: Row in `sources` of each island.
    """

    name: str
    wcs: WCS | None
    shape: tuple[int, int]
    beam_arcsec: float
    sources: Mapping[str, np.ndarray]
    components: Mapping[str, np.ndarray]
    outlines: Float[np.ndarray, "v 2"]
    corners: Int[np.ndarray, "k"]
    outline_sources: Int[np.ndarray, "k"]


class Kept(NamedTuple):
    """Which rows of a mosaic's tables are kept."""

    sources: Bool[np.ndarray, "n"]
    components: Bool[np.ndarray, "c"]


def merge_mosaics(catalogs: Sequence[MosaicCatalog]) -> list[Kept]:
    """Returns which sources and components of each mosaic to keep.

    The answer does not depend on the order of the mosaics.

    Args:
        catalogs: One of each mosaic.

    Raises:
        ValueError: Two mosaics have the same name.
    """
    order = sorted(range(len(catalogs)), key=lambda i: catalogs[i].name)
    names = [catalogs[i].name for i in order]
    if len(set(names)) < len(names):
        twice = next(a for a, b in pairwise(names) if a == b)
        raise ValueError(f"two mosaics have the name {twice!r}.")
    units = [_units(catalogs[i]) for i in order]
    counts = [len(one.rms) for one in units]
    starts = np.cumsum([0, *counts])
    links = [np.zeros((0, 2), np.int64)]
    for i, j in _neighbors(units):
        links.append(_links(units[i], units[j]) + starts[[i, j]])
    keep = _resolve(np.concatenate(links), units, [catalogs[i] for i in order])
    found: dict[int, Kept] = {}
    for i, one, start, count in zip(order, units, starts, counts, strict=False):
        own = keep[start : start + count]
        number = len(catalogs[i].sources["x"])
        found[i] = Kept(own[:number], own[one.owners])
    return [found[i] for i in range(len(catalogs))]


class Units(NamedTuple):
    """The sources of a mosaic, then its components without one: what is kept or not.

    Points are directions, distances between them chords of the unit sphere.
    """

    rms: Float[np.ndarray, "n"]
    is_cut: Bool[np.ndarray, "n"]
    is_alone: Bool[np.ndarray, "n"]  # A component without a source.
    edge: Float[np.ndarray, "n"]  # Distance from the edge of the mosaic, degrees.
    components: Float[np.ndarray, "c 3"]
    owners: Int[np.ndarray, "c"]  # The unit of each component.
    outlines: SkyPolygons
    outlined: Int[np.ndarray, "k"]  # The unit of each outline.
    beam: float
    middle: Float[np.ndarray, "3"]  # Of a ball around all points.
    reach: float  # Its radius; negative without points.


def _units(catalog: MosaicCatalog) -> Units:
    sources, components = catalog.sources, catalog.components
    (alone,) = np.nonzero(components["source"] < 0)
    owners = np.array(components["source"], np.int64)
    owners[alone] = len(sources["x"]) + np.arange(len(alone))
    x, y = (np.append(sources[n], components[n][alone]) for n in ("x", "y"))
    ny, nx = catalog.shape
    edge = np.minimum(np.minimum(x, nx - x), np.minimum(y, ny - y))
    points = sky_directions(catalog.wcs, components["x"], components["y"])
    outlines = sky_polygons(catalog.wcs, catalog.outlines, catalog.corners)
    middle, reach = _ball(np.concatenate([points, outlines.corners]))
    return Units(
        rms=np.append(sources["rms"], components["noise"][alone]),
        is_cut=np.append(
            (sources["flags"] & CUT_SOURCE) > 0,
            (components["flags"][alone] & CUT_COMPONENT) > 0,
        ),
        is_alone=np.arange(len(x)) >= len(sources["x"]),
        edge=edge if catalog.wcs is None else edge * _pixel_degrees(catalog.wcs),
        components=points,
        owners=owners,
        outlines=outlines,
        outlined=np.asarray(catalog.outline_sources, np.int64),
        beam=float(np.radians(catalog.beam_arcsec / 3600)),
        middle=middle,
        reach=reach,
    )


def _ball(points: Float[np.ndarray, "p 3"]) -> tuple[Float[np.ndarray, "3"], float]:
    """Returns middle and radius of a ball around points; a negative one if none."""
    known = points[np.isfinite(points).all(axis=1)]
    if not len(known):
        return np.zeros(3), -1.0
    middle = known.mean(axis=0)
    return middle, float(np.linalg.norm(known - middle, axis=1).max())


def _pixel_degrees(wcs: WCS) -> float:
    return float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))))


def _neighbors(units: Sequence[Units]) -> Iterator[tuple[int, int]]:
    """Yields each pair of mosaics whose circles touch."""
    known = [i for i, one in enumerate(units) if one.reach >= 0]
    if len(known) < 2:
        return
    widest = max(units[i].reach + units[i].beam for i in known)
    tree = KDTree(np.array([units[i].middle for i in known]))
    for a, b in sorted(tree.query_pairs(2 * widest)):
        one, other = units[known[a]], units[known[b]]
        far = np.linalg.norm(one.middle - other.middle)
        if far <= one.reach + other.reach + max(one.beam, other.beam):
            yield known[a], known[b]


def _links(one: Units, other: Units) -> Int[np.ndarray, "l 2"]:
    """Returns the pairs of a unit of each mosaic that are the same emission."""
    beam = max(one.beam, other.beam)
    close = _close(one, other, beam)
    pairs = [close]
    for a, b, turn in ((one, other, 1), (other, one, -1)):
        rows, polygons, points = _candidates(a, b)
        found = np.stack([rows, b.outlined[polygons]], axis=1)[:, ::turn]
        open_ = ~_known(found, close)
        inside = are_inside(points[open_], b.outlines, polygons[open_])
        pairs.append(found[open_][inside])
    return np.unique(np.concatenate(pairs), axis=0)


def _close(one: Units, other: Units, beam: float) -> Int[np.ndarray, "l 2"]:
    """Returns the pairs of units with components within a beam of each other."""
    mine, yours = (
        np.flatnonzero(
            np.linalg.norm(a.components - b.middle, axis=1) <= b.reach + beam
        )
        for a, b in ((one, other), (other, one))
    )
    if not (len(mine) and len(yours)):
        return np.zeros((0, 2), np.int64)
    tree = KDTree(other.components[yours])
    rows, found = _flat(tree.query_ball_point(one.components[mine], beam))
    pairs = np.stack([one.owners[mine[rows]], other.owners[yours[found]]], axis=1)
    return np.unique(pairs, axis=0)


def _candidates(
    one: Units, other: Units
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Float[np.ndarray, "m 3"]]:
    """Returns points of one mosaic that may be inside an outline of another one.

    Returns:
        The unit of the point, the outline, the point: a component or a corner.
    """
    mine, outlines = one.outlines, other.outlines
    points = np.concatenate([one.components, mine.corners])
    owners = np.append(one.owners, np.repeat(one.outlined, mine.counts))
    near = np.linalg.norm(points - other.middle, axis=1) <= other.reach
    points, owners = points[near], owners[near]
    off = np.linalg.norm(outlines.middles - one.middle, axis=1)
    polygons = np.flatnonzero(off <= one.reach + outlines.reaches)
    if not (len(points) and len(polygons)):
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros((0, 3))
    around = KDTree(points).query_ball_point(
        outlines.middles[polygons], outlines.reaches[polygons]
    )
    rows, found = _flat(around)
    return owners[found], polygons[rows], points[found]


def _flat(lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number of the list that each entry is in, and the entries."""
    counts = [len(one) for one in lists]
    entries = np.fromiter(chain.from_iterable(lists), np.int64, sum(counts))
    return np.repeat(np.arange(len(counts)), counts), entries


def _known(
    pairs: Int[np.ndarray, "m 2"], known: Int[np.ndarray, "l 2"]
) -> Bool[np.ndarray, "m"]:
    """Returns which pairs are among the known ones."""
    width = 1 + max(pairs.max(initial=0), known.max(initial=0))
    return np.isin(pairs @ [width, 1], known @ [width, 1])


def _resolve(
    links: Int[np.ndarray, "l 2"],
    units: Sequence[Units],
    catalogs: Sequence[MosaicCatalog],
) -> Bool[np.ndarray, "n"]:
    """Returns which units are kept; see the top of this module.

    Args:
        links: Pairs of units of all mosaics, one after the other, of the same emission.
        units: Of each mosaic.
        catalogs: Of each mosaic, ordered by name.
    """
    mosaic = np.repeat(np.arange(len(units)), [len(one.rms) for one in units])
    keep = np.ones(len(mosaic), bool)
    while len(links):
        # Only what is linked is looked at.
        nodes, ends = np.unique(links, return_inverse=True)
        ends = ends.reshape(-1, 2)
        shape = (len(nodes), len(nodes))
        graph = coo_matrix((np.ones(len(ends)), ends.T), shape)
        groups = connected_components(graph, directed=False)[1]
        best = _best_mosaics(nodes, groups, mosaic, units, catalogs)
        chosen = mosaic[nodes] == best[groups]
        dropped = np.zeros(len(nodes), bool)
        dropped[ends[chosen[ends[:, ::-1]]]] = True
        keep[nodes[dropped]] = False
        done = chosen | dropped
        links = links[~done[ends].any(axis=1)]
    return keep


def _best_mosaics(
    nodes: Int[np.ndarray, "a"],
    groups: Int[np.ndarray, "a"],
    mosaic: Int[np.ndarray, "n"],
    units: Sequence[Units],
    catalogs: Sequence[MosaicCatalog],
) -> Int[np.ndarray, "g"]:
    """Returns the mosaic that shows each group of units best."""
    pairs, which = np.unique(
        np.stack([groups, mosaic[nodes]], axis=1), axis=0, return_inverse=True
    )
    which = which.ravel()
    is_cut, is_alone, rms, edge = (
        np.concatenate([getattr(one, name) for one in units])[nodes]
        for name in ("is_cut", "is_alone", "rms", "edge")
    )
    number = len(pairs)
    cut, alone = (np.bincount(which, of, number) for of in (is_cut, is_alone))
    noise = np.bincount(which, np.log(rms), number) / np.bincount(which)
    nearest = np.full(number, np.inf)
    np.minimum.at(nearest, which, edge)
    beyond = _beyond(nodes, groups, pairs, units, catalogs)
    steps = np.round(noise / NOISE_STEP)
    lowest = np.full(pairs[:, 0].max() + 1, np.inf)
    np.minimum.at(lowest, pairs[:, 0], noise)
    no_better = noise > lowest[pairs[:, 0]] + np.log(AS_DEEP)
    no_better |= alone == np.bincount(which)
    order = np.lexsort(
        (
            pairs[:, 1], -nearest, alone, steps, no_better, beyond, cut, pairs[:, 0],
        )
    )  # fmt: skip
    first = order[np.flatnonzero(np.diff(pairs[order, 0], prepend=-1))]
    return pairs[first, 1]


def _beyond(
    nodes: Int[np.ndarray, "a"],
    groups: Int[np.ndarray, "a"],
    pairs: Int[np.ndarray, "p 2"],
    units: Sequence[Units],
    catalogs: Sequence[MosaicCatalog],
) -> Int[np.ndarray, "p"]:
    """Returns how many components of a group each mosaic does not cover.

    Args:
        nodes: The units in groups.
        groups: The group of each.
        pairs: A group, and a mosaic with a unit in it.
        units: Of each mosaic.
        catalogs: Of each mosaic.
    """
    starts = np.cumsum([0, *(len(one.rms) for one in units)])
    group_of = np.full(starts[-1], -1)
    group_of[nodes] = groups
    points = np.concatenate([one.components for one in units])
    owner = np.concatenate(
        [one.owners + start for one, start in zip(units, starts, strict=False)]
    )
    held = group_of[owner] >= 0
    points, group = points[held], group_of[owner[held]]
    beyond = np.zeros(len(pairs), np.int64)
    for number in np.unique(pairs[:, 1]):
        (rows,) = np.nonzero(pairs[:, 1] == number)
        place = np.full(groups.max() + 1, -1)
        place[pairs[rows, 0]] = rows
        mine = place[group] >= 0
        outside = ~_covers(catalogs[number], points[mine])
        np.add.at(beyond, place[group[mine][outside]], 1)
    return beyond


def _covers(
    catalog: MosaicCatalog, points: Float[np.ndarray, "p 3"]
) -> Bool[np.ndarray, "p"]:
    """Returns which directions are within the frame of a mosaic."""
    assert catalog.wcs is not None  # noqa: S101 - without one it has no pairs.
    sky = SkyCoord(*points.T, representation_type="cartesian", frame="icrs")
    sky.representation_type = "unitspherical"
    x, y = catalog.wcs.world_to_pixel(sky)
    ny, nx = catalog.shape
    return (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)
