"""Groups of Gaussians of one island that are fitted together, and how many there are.

The noise of neighboring pixels is not independent, so that chi2 falls by more than one
for each parameter too many: by the number of pixels in a quarter of the beam. All
comparisons of chi2 are in this unit.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from claran.photometry.fit_batches import (
    LARGEST_GROUP,
    MOST_PIXELS,
    Fit,
    Problem,
    fit_problems,
)
from claran.photometry.flood import IslandCutout
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.seeds import find_seeds, split_seeds

__all__ = ["Group", "fit_groups"]

FOOTPRINT = 2.2  # Beam sigmas about each seed; all pixels of the island are used too.
FINEST = 3.0  # Pixels to the minor axis of the beam; more are thinned out.
ROUNDS = 3  # Most seeds added to a group.
RESIDUAL, RESIDUAL_SHARE = 5.0, 0.05  # Sigmas, share of the brightest peak.
NEW_GAIN = 25.0  # Fall of chi2 that justifies one more Gaussian, of 6 parameters.
SHAPE_GAIN = 9.0  # And a shape, of 3 parameters.
FAINTEST_PEAK = 4.0  # Sigmas; fainter Gaussians are dropped.


@dataclasses.dataclass(eq=False)
class Group:
    """Gaussians that are fitted together, and the pixels they are fitted to.

    Attributes:
        cutout: Index of the cutout.
        origin: (2,) column and row, pixel centers, of the origin of `points`.
        rows: (p,) of the pixels in the cutout.
        columns: (p,) of the pixels in the cutout.
        unit: Noise that is the unit of `data`, Jy/beam.
        points: (2, p) see `Problem`.
        values: (p,) brightness in `unit`.
        data: (p,) `values` without the Gaussians of the island's other groups.
        weight: (p,) see `Problem`.
        start: (g, 6) see `Problem`.
        free: (g,) see `Problem`.
        variance: Chi2 that one needless parameter takes away.
        fit: The last fit.
    """

    cutout: int
    origin: Float[np.ndarray, "2"]
    rows: Int[np.ndarray, "p"]
    columns: Int[np.ndarray, "p"]
    unit: float
    points: Float[np.ndarray, "2 p"]
    values: Float32[np.ndarray, "p"]
    data: Float32[np.ndarray, "p"]
    weight: Float32[np.ndarray, "p"]
    start: Float[np.ndarray, "g 6"]
    free: Bool[np.ndarray, "g"]
    variance: float
    fit: Fit | None = None

    def problem(self, **changes: Any) -> Problem:
        """Returns what is to be fitted, with some changes."""
        parts = {
            name: getattr(self, name)
            for name in ("points", "data", "weight", "start", "free")
        }
        return Problem(**(parts | changes))


def fit_groups(cutouts: Sequence[IslandCutout], beam: PixelBeam) -> list[Group]:
    """Returns the fitted groups of all islands, in the order of the cutouts."""
    per_cutout = [
        _make_groups(index, cutout, beam) for index, cutout in enumerate(cutouts)
    ]
    groups = [group for some in per_cutout for group in some]
    _refit(groups)
    several = [some for some in per_cutout if len(some) > 1]
    if several:
        for some in several:
            _take_others_off(some)
        _refit([group for some in several for group in some])
    _add_seeds(groups)
    _drop_faint(groups)
    _fix_shapes(groups)
    return groups


def _make_groups(index: int, cutout: IslandCutout, beam: PixelBeam) -> list[Group]:
    usable = np.isfinite(cutout.values) & (cutout.noise > 0) & ~cutout.others
    ratio = np.where(usable, cutout.values / cutout.noise, np.float32(0))
    matrix = beam.to_sigmas
    seeds = find_seeds(ratio, cutout.flood, matrix)
    origin = seeds[0, ::-1].astype(float)
    wide = cv2.dilate(cutout.flood.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    y, x = np.indices(ratio.shape)
    points = np.tensordot(matrix, np.stack([x - origin[0], y - origin[1]]), 1)
    places = np.tensordot(matrix, (seeds[:, ::-1] - origin).T, 1)
    distances = ((points[:, None] - places[:, :, None, None]) ** 2).sum(0)
    footprint = (wide | (distances.min(0) < FOOTPRINT**2)) & usable
    parts = split_seeds(places.T, LARGEST_GROUP)
    nearest = np.stack([distances[part].min(0) for part in parts]).argmin(0)
    unit = float(cutout.noise[tuple(seeds[0])])
    found = []
    for number, part in enumerate(parts):
        step = max(1, int(min(beam.major, beam.minor) / FINEST))
        own = footprint & (nearest == number)
        kept = _thin(own, step, MOST_PIXELS[min(len(part) + ROUNDS, LARGEST_GROUP)])
        rows, columns = np.nonzero(kept[0])
        values = cutout.values[rows, columns] / np.float32(unit)
        start = np.zeros((len(part), 6))
        start[:, 0] = cutout.values[tuple(seeds[part].T)] / unit
        start[:, 1:3] = places[:, part].T
        start[:, [3, 5]] = 0.8  # A little larger than the beam.
        found.append(
            Group(
                index, origin, rows, columns, unit, points[:, rows, columns], values,
                values, np.float32(unit) / cutout.noise[rows, columns], start,
                np.ones(len(part), bool), max(1.0, beam.area / kept[1] ** 2 / 4),
            )
        )  # fmt: skip
    return found


def _thin(
    footprint: Bool[np.ndarray, "h w"], step: int, most: int
) -> tuple[Bool[np.ndarray, "h w"], int]:
    """Returns each so manieth pixel along both axes, at most so many, and the step."""
    while True:
        kept = np.zeros_like(footprint)
        kept[::step, ::step] = footprint[::step, ::step]
        if np.count_nonzero(kept) <= most:
            return kept, step
        step += 1


def _refit(groups: Sequence[Group]) -> None:
    for group, fit in zip(
        groups, fit_problems([group.problem() for group in groups]), strict=True
    ):
        group.fit = fit
        group.start = fit.parameters


def _shape(points: Float[np.ndarray, "2 p"], row: Float[np.ndarray, "6"]) -> np.ndarray:
    height, u, v, a, b, c = row
    du, dv = points[0] - u, points[1] - v
    return height * np.exp(-0.5 * (a * du**2 + c * dv**2) - b * du * dv)


def _take_others_off(groups: Sequence[Group]) -> None:
    """Subtracts from each group of an island the Gaussians of the others."""
    for group in groups:
        rest = group.values.astype(float)
        for other in groups:
            if other is group:
                continue
            scale = other.unit / group.unit
            for row in other.start:
                rest -= scale * _shape(group.points, row)
        group.data = rest.astype(np.float32)


def _add_seeds(groups: Sequence[Group]) -> None:
    """Adds Gaussians where the residuals show them, if chi2 agrees."""
    waiting = list(groups)
    for _ in range(ROUNDS):
        tried = [(group, start) for group in waiting for start in _more(group)]
        problems = [
            group.problem(start=start, free=np.ones(len(start), bool))
            for group, start in tried
        ]
        waiting = []
        for (group, _), fit in zip(tried, fit_problems(problems), strict=True):
            gain = (group.fit.chi2 - fit.chi2) / group.variance
            if gain > NEW_GAIN and fit.parameters[:, 0].min() > FAINTEST_PEAK:
                group.fit, group.start = fit, fit.parameters
                group.free = np.ones(len(fit.parameters), bool)
                waiting.append(group)


def _more(group: Group) -> list[Float[np.ndarray, "g 6"]]:
    """Returns where to start with one more Gaussian; none if it is not needed."""
    residual = group.fit.residual
    place = int(residual.argmax())
    needed = max(RESIDUAL, RESIDUAL_SHARE * float(group.start[:, 0].max()))
    if len(group.start) >= LARGEST_GROUP or residual[place] < needed:
        return []
    new = [residual[place] / group.weight[place], *group.points[:, place], 1, 0, 1]
    return [np.vstack([group.start, new])]


def _drop_faint(groups: Sequence[Group]) -> None:
    changed = []
    for group in groups:
        bright = group.start[:, 0] > FAINTEST_PEAK
        if bright.all() or len(bright) == 1:
            continue
        bright[group.start[:, 0].argmax()] = True
        group.start, group.free = group.start[bright], group.free[bright]
        changed.append(group)
    _refit(changed)


def _fix_shapes(groups: Sequence[Group]) -> None:
    """Fixes to the beam the shapes that the data do not ask for."""
    tried = [(group, _beams(group)) for group in groups]
    fits = fit_problems(
        [
            group.problem(start=start, free=np.zeros(len(start), bool))
            for group, start in tried
        ]
    )
    for (group, _), fit in zip(tried, fits, strict=True):
        gain = (fit.chi2 - group.fit.chi2) / group.variance
        if not group.fit.converged or gain < SHAPE_GAIN * len(group.free):
            group.fit, group.start = fit, fit.parameters
            group.free = np.zeros(len(group.free), bool)


def _beams(group: Group) -> Float[np.ndarray, "g 6"]:
    start = group.start.copy()
    start[:, 3:] = 1, 0, 1
    return start
