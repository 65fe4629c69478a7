"""Sources from their islands and components: flux, position and size.

What Gaussians describe is measured by Gaussians: of faint sources their fluxes are
twice as precise as sums of pixels. They do describe a flood island if the sum of their
fluxes agrees with that of its pixels within 5 sigma or 25%; at an edge or a blank pixel
they know better what is missing. Otherwise, and of an island without a component or
with one that says so itself, the pixels are summed (see
`claran.photometry.island_measures`). A source is the sum of its islands.

Positions are pixel edges of the mosaic, y up: pixel `i` covers `[i, i + 1]`. Angles are
degrees from +y to -x, in [0, 180). `claran.photometry.sky_measures` brings all this to
the sky.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.photometry.deconvolution import deconvolve
from claran.photometry.fit_flags import FitFlag
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.ridges import MOST_PARTS, find_ridges
from claran.photometry.source_flags import (
    SourceFlag,
    are_blended,
    are_near_bright,
    are_too_large,
)
from claran.photometry.source_sizes import find_cores, find_sizes
from claran.sky.box_arrays import union_boxes

__all__ = ["AMBIGUOUS", "measure_sources"]

AGREE_SIGMAS, AGREE_SHARE = 5.0, 0.25
AMBIGUOUS = 0.2  # Probability of another grouping from which on it is told.

Columns = Mapping[str, np.ndarray]
"""Columns by name, all of one length."""


def measure_sources(
    members: Int[np.ndarray, "m"],
    counts: Int[np.ndarray, "n"],
    islands: Mapping[str, np.ndarray],
    components: Mapping[str, np.ndarray],
    beam: PixelBeam,
    *,
    second: Float[np.ndarray, "n"] | None = None,
    window: float = np.inf,
    overlap: float = np.inf,
) -> dict[str, np.ndarray]:
    """Returns the measurements of the sources of a mosaic, one row a source.

    - **Position.** That of the core, if there is one: a component in the middle third
      of the ridge, more than a beam from both ends, and, without the beam, smaller than
      1.5 beams; of several, the one nearest to the middle. Else the mean of the parts,
      weighted by flux.
    - **Largest size.** Of a source of one part, its major axis (FWHM) without the beam;
      0 if it is not resolved, and then `e_las` is the upper limit. Of more parts, the
      length of the ridge (see `claran.photometry.ridges`) between the centers of its
      outermost parts, and half the FWHM of each of these without the beam, in the
      direction in which the ridge ends. It is never shorter than the straight distance
      of the ends, nor than the major axis of a part.
    - **Angle.** Of the straight line between the ends, or of the part whose axis is the
      size; NaN if that is not resolved.

    Args:
        members: Islands of one source after the other; no island is in two.
        counts: Islands of each source, one at least.
        islands: All islands of the mosaic: columns of `measure_islands`, `boxes` (k,
            4), `flood`, the number of their flood island, and, if there are windows,
            `cluster`, the number of their cluster.
        components: All components of the mosaic: columns of `Components`, with `island`
            the row in `islands`, or -1, and `flood` as in `islands`.
        beam: Of the mosaic.
        second: Probability of the best other grouping of each source's islands.
        window: Longest side of a cluster that the network sees at once, pixels.
        overlap: Side of a source that is whole in one of several windows, pixels.

    Returns:
        `x`, `y`, `e_x`, `e_y`, `position_kind` ("core" or "flux"); `flux`, `e_flux`,
        Jy; `peak_flux`, `e_peak_flux`, of the brightest part, and the noise `rms`
        there, Jy/beam; `snr`, their ratio; `las`, `e_las`, pixels; `angle`;
        `n_components`, `n_gaussians`, `n_peaks`, of islands, components and peaks;
        `boxes` (n, 4); `flags`, of `claran.photometry.source_flags.SourceFlag`.
    """
    links = _link(members, counts, islands, components)
    pieces = _pieces(links, islands, components)
    parts = _parts(links, islands, components, beam)
    fwhm = float(np.sqrt(beam.major * beam.minor))
    ridges = find_ridges(
        np.stack([parts["x"], parts["y"]], axis=1), np.bincount(parts["source"]), fwhm
    )
    found = find_sizes(parts, ridges) | _totals(pieces)
    found |= _positions(pieces, parts, find_cores(parts, ridges, fwhm))
    starts = np.cumsum(counts) - counts
    found |= {
        "n_components": np.asarray(counts, np.int64),
        "n_gaussians": np.bincount(
            links.components[links.components >= 0], minlength=len(counts)
        ),
        "n_peaks": _sums(islands["peaks"][members, 0], starts),
        "boxes": union_boxes(islands["boxes"][members], starts),
    }
    clusters = _cluster_boxes(islands)[members[starts]]
    bits = {
        **_flags_of_islands(members, len(counts), islands, links),
        SourceFlag.NEAR_BRIGHT: are_near_bright(
            found["x"], found["y"], found["peak_flux"], fwhm
        ),
        SourceFlag.TOO_LARGE: are_too_large(found["boxes"], clusters, window, overlap),
    }
    if second is not None:
        bits[SourceFlag.AMBIGUOUS] = second > AMBIGUOUS
    found["flags"] = np.zeros(len(counts), np.int64)
    for bit, marked in bits.items():
        found["flags"] |= int(bit) * marked
    return found


class Links(NamedTuple):
    """Which source islands and components are of, and what is known of each island."""

    islands: Int[np.ndarray, "k"]  # Source of each island, or -1.
    components: Int[np.ndarray, "c"]  # Source of each component, or -1.
    by_pixels: Bool[np.ndarray, "k"]  # Gaussians do not give its flux.
    failed: Bool[np.ndarray, "k"]  # It has a component that could not be fitted.
    empty: Bool[np.ndarray, "k"]  # It has no component.


def _link(
    members: Int[np.ndarray, "m"],
    counts: Int[np.ndarray, "n"],
    islands: Columns,
    components: Columns,
) -> Links:
    number = len(islands["x"])
    source = np.full(number + 1, -1)  # The last one for components in no island.
    source[members] = np.repeat(np.arange(len(counts)), counts)
    held = components["island"] >= 0
    island, flags = components["island"][held], components["flags"][held]

    def are_any(bad: FitFlag) -> Bool[np.ndarray, "k"]:
        return np.bincount(island[(flags & int(bad)) > 0], minlength=number) > 0

    failed = are_any(FitFlag.MOMENTS)
    empty = np.bincount(island, minlength=number) == 0
    poor = are_any(FitFlag.PIXELS) | _disagree(islands, components)
    return Links(
        islands=source[:-1],
        components=source[components["island"]],
        by_pixels=empty | failed | poor,
        failed=empty | failed,
        empty=empty,
    )


def _disagree(islands: Columns, components: Columns) -> Bool[np.ndarray, "k"]:
    """Returns which islands are in flood islands that Gaussians do not describe."""
    floods, place = np.unique(islands["flood"], return_inverse=True)
    pixels = np.bincount(place, islands["flux"], len(floods))
    error = np.sqrt(np.bincount(place, islands["e_flux"] ** 2, len(floods)))
    cut = np.bincount(place, islands["at_edge"] | islands["beside_blank"]) > 0
    known = np.isin(components["flood"], floods)
    own = np.searchsorted(floods, components["flood"][known])
    off = np.abs(np.bincount(own, components["flux"][known], len(floods)) - pixels)
    return ((off > AGREE_SIGMAS * error) & (off > AGREE_SHARE * pixels) & ~cut)[place]


def _pieces(links: Links, islands: Columns, components: Columns) -> Columns:
    """Returns what adds up to the flux of each source, the brightest of each first."""
    names = "x", "y", "e_x", "e_y", "flux", "e_flux", "peak", "e_peak"
    source, owner = links.components, links.islands
    one = source >= 0
    one[one] = ~links.by_pixels[components["island"][one]]
    other = (owner >= 0) & links.by_pixels
    found = {n: np.append(components[n][one], islands[n][other]) for n in names}
    found["rms"] = np.append(components["noise"][one], islands["rms"][other])
    found["source"] = np.append(source[one], owner[other])
    order = np.lexsort((-found["peak"], found["source"]))
    return {name: column[order] for name, column in found.items()}


def _parts(
    links: Links, islands: Columns, components: Columns, beam: PixelBeam
) -> Columns:
    """Returns what the ridge of each source leads through, the brightest first."""
    source, owner = links.components, links.islands
    one = source >= 0
    other = (owner >= 0) & links.empty
    found = {
        name: np.append(components[name][one], islands[name][other])
        for name in ("x", "y", "e_x", "e_y", "flux", "e_flux")
    }
    major, minor, angle, snr = (
        islands[name][other] for name in ("major", "minor", "angle", "snr")
    )
    # Of moments, roughly.
    errors = (major / snr, minor / snr, np.full(len(snr), 90.0))
    sizes = deconvolve((major, minor, angle), errors, beam)
    for name in ("major", "minor", "angle", "e_major"):
        fitted = components[f"e_dc_{name[2:]}" if name[:2] == "e_" else f"dc_{name}"]
        found[name] = np.append(fitted[one], getattr(sizes, name))
    fitted = (components["flags"][one] & int(FitFlag.MOMENTS)) == 0
    found["fitted"] = np.append(fitted, np.zeros(other.sum(), bool))
    found["source"] = np.append(source[one], owner[other])
    order = np.lexsort((-found["flux"], found["source"]))
    sources = found["source"][order]
    rank = np.arange(len(order)) - np.searchsorted(sources, sources)
    order = order[rank < MOST_PARTS]
    return {name: column[order] for name, column in found.items()}


def _totals(pieces: Columns) -> dict[str, np.ndarray]:
    starts = _starts(pieces["source"])
    return {
        "flux": _sums(pieces["flux"], starts),
        "e_flux": np.sqrt(_sums(pieces["e_flux"] ** 2, starts)),
        "peak_flux": pieces["peak"][starts],
        "e_peak_flux": pieces["e_peak"][starts],
        "rms": pieces["rms"][starts],
        "snr": pieces["peak"][starts] / pieces["rms"][starts],
    }


def _positions(
    pieces: Columns, parts: Columns, cores: Int[np.ndarray, "n"]
) -> dict[str, np.ndarray]:
    """Returns the position of each source: its core's, or weighted by flux."""
    starts, source = _starts(pieces["source"]), pieces["source"]
    weight = np.maximum(pieces["flux"], 0)
    total = _sums(weight, starts)[source]
    even = 1 / np.bincount(source)[source]
    share = np.divide(weight, total, out=even, where=total > 0)
    e_share = np.divide(
        pieces["e_flux"], total, out=np.zeros_like(even), where=total > 0
    )
    has_core = cores >= 0
    found = {"position_kind": np.where(has_core, "core", "flux")}
    for name in ("x", "y"):
        middle = _sums(share * pieces[name], starts)
        off = pieces[name] - middle[source]
        variance = (share * pieces[f"e_{name}"]) ** 2 + (e_share * off) ** 2
        error = np.sqrt(_sums(variance, starts))
        found[name] = np.where(has_core, parts[name][cores], middle)
        found[f"e_{name}"] = np.where(has_core, parts[f"e_{name}"][cores], error)
    return found


def _flags_of_islands(
    members: Int[np.ndarray, "m"], number: int, islands: Columns, links: Links
) -> dict[SourceFlag, Bool[np.ndarray, "n"]]:
    sources = links.islands[members]

    def are_any(marked: Bool[np.ndarray, "k"]) -> Bool[np.ndarray, "n"]:
        return np.bincount(sources[marked[members]], minlength=number) > 0

    return {
        SourceFlag.AT_EDGE: are_any(islands["at_edge"]),
        SourceFlag.NEAR_BLANK: are_any(islands["beside_blank"]),
        SourceFlag.FIT_FAILED: are_any(links.failed),
        SourceFlag.PIXEL_FLUX: are_any(links.by_pixels),
        SourceFlag.BLENDED: are_blended(islands["flood"][members], sources, number),
    }


def _cluster_boxes(islands: Columns) -> Float[np.ndarray, "k 4"]:
    """Returns the box of the cluster of each island; its own without clusters."""
    boxes = islands["boxes"]
    if "cluster" not in islands:
        return boxes
    order = np.argsort(islands["cluster"], kind="stable")
    unions = union_boxes(boxes[order], _starts(islands["cluster"][order]))
    return unions[np.unique(islands["cluster"], return_inverse=True)[1]]


def _starts(sources: Int[np.ndarray, "p"]) -> Int[np.ndarray, "n"]:
    """Returns the first row of each source; sources are sorted, each has a row."""
    return np.flatnonzero(np.diff(sources, prepend=-1))


def _sums(values: np.ndarray, starts: Int[np.ndarray, "n"]) -> np.ndarray:
    """Returns the sum of the rows of each source."""
    return np.add.reduceat(values, starts) if len(starts) else values[:0]
