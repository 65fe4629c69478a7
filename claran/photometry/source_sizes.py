"""Largest size, angle and core of a source, from the parts that it is made of.

A part is a component, or an island without any. Parts are given as columns, sorted by
source, with one part at least of each.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from claran.photometry.pixel_beams import covariance
from claran.photometry.ridges import Ridges
from claran.sky.beams import fwhm_to_sigma

__all__ = ["find_cores", "find_sizes"]

# The hosts of 142 sources of FIRST are within 3" of the positions that follow from this
# for 59%; of the mean weighted by flux for 49%, of the component nearest to it for 48%.
COMPACT = 1.5  # Largest size of a core without the beam, in beams.
CORE_RANGE = 1 / 3, 2 / 3  # Where on the ridge a core may be.
HALF = 0.5 / fwhm_to_sigma(1.0)  # Half of a FWHM, in standard deviations.

Columns = Mapping[str, np.ndarray]


def find_sizes(parts: Columns, ridges: Ridges) -> dict[str, np.ndarray]:
    """Returns `las`, its error and `angle` of each source.

    See `claran.photometry.source_measures.measure_sources` for what they are.

    Args:
        parts: `source`, `x`, `y`, `e_x`, `e_y`, `major`, `minor`, `angle`, `e_major`:
            the axes without the beam, the error an upper limit where an axis is 0.
        ridges: Of these parts.
    """
    spread = covariance(parts["major"], parts["minor"], parts["angle"])
    places = np.stack([parts["x"], parts["y"]], axis=1)
    total, variance = ridges.length.copy(), np.zeros(len(ridges.length))
    for end, inner in zip(ridges.ends.T, ridges.inward.T, strict=True):
        outward = _directions(places[end] - places[inner])
        total += HALF * np.sqrt(
            np.einsum("ni,nij,nj->n", outward, spread[end], outward)
        )
        variance += (outward[:, 0] * parts["e_x"][end]) ** 2
        variance += (outward[:, 1] * parts["e_y"][end]) ** 2
        resolved = parts["major"][end] > 0
        variance += np.where(resolved, parts["e_major"][end] / 2, 0) ** 2
    longest = _first(parts["source"], parts["major"])
    alone = parts["major"][longest] >= total
    line = places[ridges.ends[:, 1]] - places[ridges.ends[:, 0]]
    angle = np.degrees(np.arctan2(-line[:, 0], line[:, 1])) % 180
    unresolved = alone & (parts["major"][longest] == 0)
    own = np.where(unresolved, np.nan, parts["angle"][longest])
    return {
        "las": np.where(alone, parts["major"][longest], total),
        "e_las": np.where(alone, parts["e_major"][longest], np.sqrt(variance)),
        "angle": np.where(alone, own, angle),
    }


def find_cores(parts: Columns, ridges: Ridges, beam: float) -> Int[np.ndarray, "n"]:
    """Returns the part that is the core of each source, -1 without any.

    Args:
        parts: As in `find_sizes`, and whether each is `fitted`.
        ridges: Of these parts.
        beam: FWHM, pixels.
    """
    length = ridges.length[parts["source"]]
    along = np.nan_to_num(ridges.along, nan=-1.0)
    low, high = np.array(CORE_RANGE)[:, None] * length
    able = parts["fitted"] & (parts["major"] < COMPACT * beam)
    able &= (along >= np.maximum(low, beam)) & (
        along <= np.minimum(high, length - beam)
    )
    off = np.where(able, np.abs(along - length / 2), np.inf)
    nearest = _first(parts["source"], -off)
    return np.where(able[nearest], nearest, -1)


def _directions(lines: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Returns lines of length 1; 0 if they had none."""
    length = np.hypot(*lines.T)[:, None]
    return np.divide(lines, length, out=np.zeros_like(lines), where=length > 0)


def _first(
    sources: Int[np.ndarray, "p"], values: Float[np.ndarray, "p"]
) -> Int[np.ndarray, "n"]:
    """Returns the row of the largest value of each source; sources are sorted."""
    order = np.lexsort((-values, sources))
    return order[np.flatnonzero(np.diff(sources, prepend=-1))]
