"""Groups of Gaussians of one island that are fitted together, and their pixels."""

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

__all__ = ["Group", "gaussian", "make_groups", "refit"]

FOOTPRINT = 2.2  # Beam sigmas about each seed; all pixels of the island are used too.
FINEST = 3.0  # Pixels to the minor axis of the beam; more are thinned out.
ROOM = 3  # Gaussians that may be added to a group.
TOUCHING = np.ones((3, 3), np.uint8)  # A pixel and its neighbors.
START = 0.8  # Inverse square size of a Gaussian at first: a little more than the beam.


@dataclasses.dataclass(eq=False)
class Group:
    """Gaussians that are fitted together, and the pixels they are fitted to.

    Attributes:
        cutout: Index of the cutout.
        origin: (2,) column and row of the pixel whose center is the origin of `points`.
        rows: (p,) of the pixels in the cutout.
        columns: (p,) of the pixels in the cutout.
        unit: Noise that is the unit of brightness, Jy/beam.
        points: (2, p) see `Problem`.
        values: (p,) brightness.
        data: (p,) brightness without the Gaussians of the island's other groups.
        even: (p,) `unit` over the noise of each pixel.
        weight: (p,) see `Problem`.
        start: (g, 6) parameters, see `Problem`; those of the fit once there is one.
        free: (g,) see `Problem`.
        step: Of the pixels, along both axes of the cutout.
        correlated: Pixels in a quarter of the beam. A needless parameter takes so much
            away from chi2, and not 1, as the noise of neighboring pixels is not
            independent.
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
    even: Float32[np.ndarray, "p"]
    weight: Float32[np.ndarray, "p"]
    start: Float[np.ndarray, "g 6"]
    free: Bool[np.ndarray, "g"]
    step: int
    correlated: float
    fit: Fit = dataclasses.field(init=False)

    def problem(
        self, start: Float[np.ndarray, "h 6"], free: Bool[np.ndarray, "h"]
    ) -> Problem:
        """Returns the fit of some Gaussians to the group's pixels."""
        return Problem(self.points, self.data, self.weight, start, free)

    def accept(self, fit: Fit, free: Bool[np.ndarray, "h"]) -> None:
        """Makes a fit the group's."""
        self.fit, self.start, self.free = fit, fit.parameters, free

    @property
    def model(self) -> Float[np.ndarray, "p"]:
        """Brightness of all Gaussians at each pixel."""
        return sum((gaussian(self.points, row) for row in self.start), np.zeros(1))


def gaussian(
    points: Float[np.ndarray, "2 p"], row: Sequence[Any] | Float[np.ndarray, "6"]
) -> Float[np.ndarray, "p"]:
    """Returns the brightness of one Gaussian.

    Args:
        points: Coordinates, in beam sigmas.
        row: Its parameters, see `claran.ops.gaussians.fit_gaussians`; or those of
            another one for each pixel.
    """
    height, u, v, a, b, c = row
    du, dv = points[0] - u, points[1] - v
    return height * np.exp(-0.5 * (a * du * du + c * dv * dv) - b * du * dv)


def refit(groups: Sequence[Group]) -> None:
    """Fits all groups again from where they are."""
    problems = [group.problem(group.start, group.free) for group in groups]
    for group, fit in zip(groups, fit_problems(problems), strict=True):
        group.accept(fit, group.free)


def make_groups(index: int, cutout: IslandCutout, beam: PixelBeam) -> list[Group]:
    """Returns the groups of an island, each with the pixels nearest to its seeds.

    Args:
        index: Of the cutout.
        cutout: The island.
        beam: The beam.
    """
    usable = np.isfinite(cutout.values) & (cutout.noise > 0) & ~cutout.others
    ratio = np.zeros(usable.shape, np.float32)
    np.divide(cutout.values, cutout.noise, out=ratio, where=usable)
    seeds = find_seeds(ratio, cutout.flood, beam.to_sigmas)
    origin = seeds[0, ::-1].astype(float)
    height, width = cutout.flood.shape
    x, y = np.arange(width) - origin[0], (np.arange(height) - origin[1])[:, None]
    (xx, xy), (_, yy) = beam.to_sigmas
    points = np.stack([xx * x + xy * y, xy * x + yy * y])
    places = points[:, seeds[:, 0], seeds[:, 1]].T
    squares = np.stack([(points[0] - u) ** 2 + (points[1] - v) ** 2 for u, v in places])
    wide = cv2.dilate(cutout.flood.view(np.uint8), TOUCHING) > 0
    footprint = (wide | (squares.min(0) < FOOTPRINT**2)) & usable
    parts = split_seeds(places, LARGEST_GROUP)
    if len(parts) == 1:
        nearest = np.zeros(ratio.shape, np.intp)
    else:
        nearest = np.stack([squares[part].min(0) for part in parts]).argmin(0)
    finest = max(1, int(min(beam.major, beam.minor) / FINEST))
    unit = float(cutout.noise[tuple(seeds[0])])
    found = []
    for number, part in enumerate(parts):
        most = MOST_PIXELS[min(len(part) + ROOM, LARGEST_GROUP)]
        kept, step = _thin(footprint & (nearest == number), finest, most)
        rows, columns = np.nonzero(kept)
        values = cutout.values[rows, columns] / np.float32(unit)
        even = np.float32(unit) / cutout.noise[rows, columns]
        start = np.zeros((len(part), 6))
        start[:, 0] = cutout.values[tuple(seeds[part].T)] / unit
        start[:, 1:3] = places[part]
        start[:, [3, 5]] = START
        group = Group(
            index, origin, rows, columns, unit, points[:, rows, columns], values,
            values, even, even, start, np.ones(len(part), bool), step,
            max(1.0, beam.area / step**2 / 4),
        )  # fmt: skip
        found.append(group)
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
