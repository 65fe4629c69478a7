"""How many Gaussians describe an island, and which of them have the beam's shape."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from claran.photometry.fit_batches import LARGEST_GROUP, fit_problems
from claran.photometry.fit_groups import Group, gaussian, make_groups, refit
from claran.photometry.flood import IslandCutout
from claran.photometry.gaussian_errors import condon_errors
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.stacked_groups import StackedGroups

__all__ = ["axes", "crowding", "fit_groups"]

ROUNDS = 3  # Most Gaussians added to a group.
RESIDUAL, RESIDUAL_SHARE = 3.5, 0.05  # Sigmas, and share of the model there.
NEW_GAIN = 25.0  # Fall of chi2 that justifies a Gaussian more, of 6 parameters.
NEW_PEAK, CLOSEST = 7.0, 1.8  # Sigmas of its peak; beam sigmas to the next one.
FAINTEST_PEAK = 4.0  # Sigmas; fainter Gaussians are dropped.

LONG, SHORT = 1.25, 1.5  # Axes, in beams, of a Gaussian that may be two beams.
SPLIT_GAIN = 3.0  # Fall of chi2 by two beams, which have as many parameters.

# A shape is that of the beam if its area is larger by less than so many errors. With
# 1.5, simulated sources of half a beam lose 6% of their flux at a signal-to-noise of
# 10, and those of SDC1 of 4 to 7 uJy 4%; with 0.75 neither. Point sources of 10 then
# seem brighter by 1.5%. Sizes without the beam are limits below 2 errors all the same.
RESOLVED = 0.75

# See `_taper`. In SDC1, with the shape itself instead of this power of it, positions
# are better by 2% and fluxes lower by 0.2%, as few sources are Gaussians; with its
# square, lower by 1%. A mismatch of 0.1 has fluxes higher by 0.4%, but errors of
# positions that are larger by a tenth at a signal-to-noise of 50.
TAPER, LEAST_WEIGHT = 0.7, 0.01
MISMATCH = 0.05


def fit_groups(
    images: Sequence[tuple[Sequence[IslandCutout], PixelBeam]],
) -> list[list[Group]]:
    """Returns the fitted groups of each image, in the order of its cutouts.

    Args:
        images: Cutouts and beam of each.
    """
    per_image = [
        [make_groups(k, cutout, beam) for k, cutout in enumerate(cutouts)]
        for cutouts, beam in images
    ]
    per_cutout = [groups for image in per_image for groups in image]
    groups = [group for some in per_cutout for group in some]
    refit(groups)
    several = [some for some in per_cutout if len(some) > 1]
    for some in several:
        _take_others_off(some)
    refit([group for some in several for group in some])
    _try_one(groups)
    _add_gaussians(groups)
    _drop_needless(groups)
    _taper(groups)
    _split_long(groups)
    _fix_shapes(groups)
    _taper(groups)
    return [[group for some in image for group in some] for image in per_image]


def axes(
    parameters: Float[np.ndarray, "n 6"],
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns the major and minor axes of Gaussians, in beams of the round frame."""
    a, b, c = parameters[:, 3:].T
    half, spread = (a + c) / 2, np.hypot((a - c) / 2, b)
    return 1 / np.sqrt(half - spread), 1 / np.sqrt(half + spread)


def crowding(groups: Sequence[Group]) -> Float[np.ndarray, "n 6"]:
    """Returns by what the errors of all parameters grow as neighbors are fitted too.

    One row a Gaussian, one group after the other.
    """
    none = np.zeros((0, 6))
    joint = np.concatenate([none, *(group.fit.joint for group in groups)])
    alone = np.concatenate([none, *(group.fit.alone for group in groups)])
    known = (alone > 0) & np.isfinite(alone)  # Fixed ones have 0, lost ones infinity.
    ratio = np.divide(joint, alone, np.ones_like(alone), where=known)
    return np.sqrt(ratio.clip(1, 1e4))


def _take_others_off(groups: Sequence[Group]) -> None:
    """Subtracts from each group of an island the Gaussians of the others."""
    for group in groups:
        rest = group.values.astype(float)
        for other in groups:
            if other is not group:
                for row in other.start:
                    rest -= gaussian(group.points, row)
        group.data = rest.astype(np.float32)


def _add_gaussians(groups: Sequence[Group]) -> None:
    """Adds Gaussians where the residuals show them, if chi2 agrees."""
    waiting = list(groups)
    for _ in range(ROUNDS):
        tried = [
            (group, start, np.append(group.free, True))
            for group in waiting
            if (start := _one_more(group)) is not None
        ]
        waiting = []
        fits = fit_problems([group.problem(*trial) for group, *trial in tried])
        for (group, _, free), fit in zip(tried, fits, strict=True):
            gain = (group.fit.chi2 - fit.chi2) / group.correlated
            if gain > NEW_GAIN and _is_new(fit.parameters):
                group.accept(fit, free)
                waiting.append(group)


def _one_more(group: Group) -> Float[np.ndarray, "g 6"] | None:
    """Returns where to start with one more Gaussian; None if it is not needed."""
    if len(group.start) >= LARGEST_GROUP:
        return None
    residual = group.fit.residual
    model = group.data * group.weight - residual
    excess = residual - RESIDUAL_SHARE * model
    place = int(excess.argmax())
    if excess[place] < RESIDUAL:
        return None
    height = residual[place] / group.weight[place]
    return np.vstack([group.start, [height, *group.points[:, place], 1, 0, 1]])


def _is_new(parameters: Float[np.ndarray, "g 6"]) -> bool:
    """Returns whether the last Gaussian is bright, and apart from the others."""
    last = parameters[-1]
    distances = np.hypot(*(parameters[:-1, 1:3] - last[1:3]).T)
    return bool(last[0] > NEW_PEAK and distances.min() > CLOSEST)


def _try_one(groups: Sequence[Group]) -> None:
    """Replaces all Gaussians of a group by one, if that is as good.

    Noise has several maxima on extended emission.
    """
    # Of some, in sidelobes, the Gaussians of the other groups have left nothing.
    tried = [
        (group, _moments(group))
        for group in groups
        if len(group.start) > 1 and group.data.max() > 0
    ]
    one = np.ones(1, bool)
    fits = fit_problems([group.problem(start, one) for group, start in tried])
    for (group, _), fit in zip(tried, fits, strict=True):
        loss = (fit.chi2 - group.fit.chi2) / group.correlated
        if loss < NEW_GAIN * (len(group.start) - 1):
            group.accept(fit, one)


def _moments(group: Group) -> Float[np.ndarray, "1 6"]:
    """Returns one Gaussian with the first and second moments of a group's pixels."""
    weights = np.maximum(group.data, 0).astype(float)
    weights /= weights.sum()
    place = (group.points * weights).sum(1)
    offset = group.points - place[:, None]
    moments = (offset[:, None] * offset[None] * weights).sum(2) + 0.25 * np.eye(2)
    (a, b), (_, c) = np.linalg.inv(moments)
    return np.array([[float(group.data.max()), *place, a, b, c]])


def _drop_needless(groups: Sequence[Group]) -> None:
    """Drops Gaussians one by one as long as chi2 does not mind."""
    waiting = [group for group in groups if len(group.start) > 1]
    while waiting:
        tried = [(group, *_one_less(group)) for group in waiting]
        waiting = []
        fits = fit_problems([group.problem(*trial) for group, *trial in tried])
        for (group, start, free), fit in zip(tried, fits, strict=True):
            faintest = group.start[:, 0].min()
            loss = (fit.chi2 - group.fit.chi2) / group.correlated
            if loss < NEW_GAIN or faintest < FAINTEST_PEAK:
                group.accept(fit, free)
                if len(start) > 1:
                    waiting.append(group)


def _one_less(
    group: Group,
) -> tuple[Float[np.ndarray, "h 6"], Bool[np.ndarray, "h"]]:
    """Returns all Gaussians but the least certain one."""
    error = np.sqrt(np.maximum(group.fit.joint[:, 0], 1e-12))
    least = int(np.argmin(group.start[:, 0] / error))
    return np.delete(group.start, least, axis=0), np.delete(group.free, least)


def _split_long(groups: Sequence[Group]) -> None:
    """Replaces a long Gaussian by two beams along it, where they fit better."""
    tried = [
        (group, *halves) for group in groups if (halves := _halves(group)) is not None
    ]
    fits = fit_problems([group.problem(*trial) for group, *trial in tried])
    for (group, _, free), fit in zip(tried, fits, strict=True):
        gain = (group.fit.chi2 - fit.chi2) / group.correlated
        if gain > SPLIT_GAIN and fit.parameters[:, 0].min() > FAINTEST_PEAK:
            group.accept(fit, free)


def _halves(
    group: Group,
) -> tuple[Float[np.ndarray, "h 6"], Bool[np.ndarray, "h"]] | None:
    """Returns where to start with two beams instead of the longest Gaussian.

    Two equal ones at `d` from their middle have the second moment `1 + d^2`.
    """
    long, short = axes(group.start)
    fits = group.free & (long > LONG) & (short < SHORT)
    if len(long) >= LARGEST_GROUP or not fits.any():
        return None
    k = int(np.argmax(np.where(fits, long, 0)))
    _, _, _, a, b, c = group.start[k]
    turn = np.arctan2(2 * b, a - c) / 2 + np.pi / 2
    offset = np.sqrt(long[k] ** 2 - 1) * np.array([np.cos(turn), np.sin(turn)])
    pair = np.tile(group.start[k], (2, 1))
    pair[:, 0] *= 0.6 * long[k]
    pair[:, 1:3] += [offset, -offset]
    pair[:, 3:] = 1, 0, 1
    start = np.vstack([np.delete(group.start, k, axis=0), pair])
    return start, np.append(np.delete(group.free, k), [False, False])


def _fix_shapes(groups: Sequence[Group]) -> None:
    """Fixes to the beam the shapes that are not larger than it, within the errors."""
    stacked = StackedGroups(groups)
    long, short = axes(stacked.start)
    snr = np.maximum(stacked.start[:, 0], 1)
    errors = condon_errors(long, short, snr, np.zeros(len(snr), bool))
    error = np.hypot(errors.major / long, errors.minor / short)
    error *= crowding(groups)[:, 3:].max(axis=1)
    larger = np.log(long * short) > RESOLVED * error
    ends = np.cumsum(stacked.counts).tolist()
    for group, end in zip(groups, ends, strict=True):
        # Not in place: groups may share the array.
        group.free = group.free & larger[end - len(group.start) : end]
        group.start[~group.free, 3:] = 1, 0, 1


def _taper(groups: Sequence[Group]) -> None:
    """Fits again, with weights that fall off as the Gaussians do.

    In noise that is correlated over the beam, a pixel on the flank of a source says
    little beyond what its peak does, so that errors are up to a third smaller. Where a
    source is bright, it matters more that its shape is not quite a Gaussian.
    """
    stacked = StackedGroups(groups)
    (own, pixel), shapes = stacked.pairs, stacked.shapes
    even = stacked.pixels([group.even for group in groups])
    near = np.full(len(even), LEAST_WEIGHT)
    np.maximum.at(near, pixel, shapes**TAPER)
    model = np.bincount(pixel, stacked.start[own, 0] * shapes, len(even))
    noise = np.sqrt((1 + (MISMATCH * model) ** 2) / near)
    weights = stacked.by_group((even / noise).astype(np.float32))
    for group, weight in zip(groups, weights, strict=True):
        group.weight = weight
    refit(groups)
