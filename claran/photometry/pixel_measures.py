"""Emission that no Gaussian describes, measured by its pixels."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.photometry.fit_flags import FitFlag
from claran.photometry.fit_groups import Group, gaussian
from claran.photometry.flood import IslandCutout
from claran.photometry.stacked_groups import StackedGroups

__all__ = ["PixelMeasures", "measure_pixels"]

# Root mean square of the residuals of an island from which its Gaussians are none, in
# units of the noise, and of their median peak.
MISFIT, MISFIT_SHARE = 3.0, 0.1
# At the limits of `claran.ops.gaussians`, a fit has failed.
LARGEST, FAINTEST = 11.9**2, 0.11
LEAST_SIZE = 0.5  # Beam sigmas of a second moment.


@dataclasses.dataclass(frozen=True)
class PixelMeasures:
    """What the pixels nearest to a Gaussian say.

    Attributes:
        index: Of the Gaussian among those of all groups.
        flag: Why the Gaussian is not used.
        flux: Sum of the pixels over the beam's, in units of the group.
        beams: Number of beams that the pixels cover.
        peak: Brightest pixel, in units of the group.
        place: (2,) its flux-weighted centroid, in beam sigmas.
        moments: (2, 2) second moments about it, in beam sigmas squared.
    """

    index: int
    flag: FitFlag
    flux: float
    beams: float
    peak: float
    place: Float[np.ndarray, "2"]
    moments: Float[np.ndarray, "2 2"]


def measure_pixels(
    stacked: StackedGroups, cutouts: Sequence[IslandCutout], beam_area: float
) -> list[PixelMeasures]:
    """Returns measures for those Gaussians that describe nothing.

    They are all of a group, if its residuals are large, and otherwise those at a limit.
    Each pixel belongs to the Gaussian that is brightest there.

    Args:
        stacked: Fitted groups.
        cutouts: Their islands.
        beam_area: Pixels of a beam.
    """
    failed = _failed(stacked.start)
    owner = np.repeat(np.arange(len(stacked.groups)), stacked.counts)
    misfit = _misfits(stacked, cutouts)
    firsts = (np.cumsum(stacked.counts) - stacked.counts).tolist()
    found = []
    for number in np.flatnonzero(misfit | (np.bincount(owner, failed) > 0)).tolist():
        group, first = stacked.groups[number], firsts[number]
        flag = FitFlag.PIXELS if misfit[number] else FitFlag.MOMENTS
        shapes = np.stack([gaussian(group.points, row) for row in group.start])
        inside = cutouts[group.cutout].flood[group.rows, group.columns]
        nearest = np.where(inside, shapes.argmax(0), -1)
        for k in range(len(group.start)):
            own = np.flatnonzero(nearest == k)
            if len(own) and (misfit[number] or failed[first + k]):
                found.append(_measure(group, first + k, flag, own, beam_area))
    return found


def _failed(start: Float[np.ndarray, "n 6"]) -> Bool[np.ndarray, "n"]:
    """Returns which Gaussians are at a limit."""
    a, b, c = start[:, 3:].T
    sizes = (a + c) / np.maximum(a * c - b * b, 1e-9)  # Sum of the squared axes.
    return (sizes > LARGEST) | (start[:, 0] < FAINTEST)


def _misfits(
    stacked: StackedGroups, cutouts: Sequence[IslandCutout]
) -> Bool[np.ndarray, "m"]:
    """Returns which groups leave large residuals in their islands."""
    groups = stacked.groups
    inside = stacked.pixels(
        [cutouts[one.cutout].flood[one.rows, one.columns] for one in groups]
    )
    owner = np.repeat(np.arange(len(groups)), stacked.pixel_counts)
    squares = np.bincount(owner, inside * stacked.residual**2, len(groups))
    count = np.bincount(owner, inside, len(groups))
    peaks = [one.start[:, 0] for one in groups]
    middle = np.array([np.median(p) if len(p) > 1 else p[0] for p in peaks])
    level = np.maximum(MISFIT, MISFIT_SHARE * middle)
    return np.sqrt(squares / np.maximum(count, 1)) > level


def _measure(
    group: Group,
    index: int,
    flag: FitFlag,
    own: Int[np.ndarray, "k"],
    beam_area: float,
) -> PixelMeasures:
    values = group.values[own].astype(float)
    points = group.points[:, own]
    weights = np.maximum(values, 0) / max(np.maximum(values, 0).sum(), 1e-30)
    place = (points * weights).sum(1)
    offset = points - place[:, None]
    moments = (offset[:, None] * offset[None] * weights).sum(2)
    moments += LEAST_SIZE**2 * np.eye(2)
    pixels = group.step**2 / beam_area
    return PixelMeasures(
        index, flag, float(values.sum() * pixels), len(own) * pixels,
        float(values.max()), place, moments,
    )  # fmt: skip
