"""Emission that no Gaussian describes, measured by its pixels."""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.photometry.fit_flags import FitFlag
from claran.photometry.fit_groups import Group, gaussian

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
        index: Of the Gaussian in its group.
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
    group: Group, flood: Bool[np.ndarray, "h w"], beam_area: float
) -> list[PixelMeasures]:
    """Returns measures for those Gaussians of a group that describe nothing.

    They are all, if the residuals are large, and otherwise those at a limit.

    Each pixel belongs to the Gaussian that is brightest there.

    Args:
        group: A fitted group.
        flood: Pixels of its flood island in the cutout.
        beam_area: Pixels of a beam.
    """
    a, b, c = group.start[:, 3:].T
    sizes = (a + c) / np.maximum(a * c - b * b, 1e-9)  # Sum of the squared axes.
    failed = (sizes > LARGEST) | (group.start[:, 0] < FAINTEST)
    inside = flood[group.rows, group.columns]
    left = (group.fit.residual / group.weight)[inside]
    misfit = math.sqrt(float(np.mean(left**2))) if len(left) else 0.0
    level = max(MISFIT, MISFIT_SHARE * float(np.median(group.start[:, 0])))
    flag = FitFlag.PIXELS if misfit > level else FitFlag.MOMENTS
    if misfit <= level and not failed.any():
        return []
    shapes = np.stack([gaussian(group.points, row) for row in group.start])
    owner = np.where(inside, shapes.argmax(0), -1)
    places = [np.flatnonzero(owner == k) for k in range(len(group.start))]
    return [
        _measure(group, index, flag, own, beam_area)
        for index, own in enumerate(places)
        if len(own) and (misfit > level or failed[index])
    ]


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
