"""Components: elliptical Gaussians fitted to the islands of emission."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from claran.photometry.deconvolution import deconvolve
from claran.photometry.fit_flags import FitFlag
from claran.photometry.fit_groups import fit_groups
from claran.photometry.flood import IslandCutout
from claran.photometry.gaussian_errors import condon_errors
from claran.photometry.pixel_beams import PixelBeam, ellipse

__all__ = ["Components", "IslandCutout", "PixelBeam", "fit_components"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Components:
    """Components by cutout, the brightest of each first; one row each.

    Positions are in pixel edges of the image, lengths in pixels (FWHM), angles in
    degrees from +y counter-clockwise, brightness in Jy/beam. Names with `e_` are
    standard deviations.

    Attributes:
        cutout: Index of the cutout.
        island: Index of the island within the cutout, -1 if it lies in none.
        x: Position.
        y: Position.
        peak: Brightness of the Gaussian.
        flux: Integrated flux, Jy.
        major: Fitted axis.
        minor: Fitted axis.
        angle: Of the major axis.
        dc_major: Without the beam; 0 if not resolved, and `e_` is an upper limit.
        dc_minor: Without the beam; 0 if not resolved, and `e_` is an upper limit.
        dc_angle: Without the beam.
        noise: At the component.
        snr: Peak over noise.
        residual: Root mean square of what the fit leaves near the component.
        flags: See `claran.photometry.fit_flags.FitFlag`.
    """

    cutout: Int[np.ndarray, "n"]
    island: Int[np.ndarray, "n"]
    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    peak: Float[np.ndarray, "n"]
    flux: Float[np.ndarray, "n"]
    major: Float[np.ndarray, "n"]
    minor: Float[np.ndarray, "n"]
    angle: Float[np.ndarray, "n"]
    e_x: Float[np.ndarray, "n"]
    e_y: Float[np.ndarray, "n"]
    e_peak: Float[np.ndarray, "n"]
    e_flux: Float[np.ndarray, "n"]
    e_major: Float[np.ndarray, "n"]
    e_minor: Float[np.ndarray, "n"]
    e_angle: Float[np.ndarray, "n"]
    dc_major: Float[np.ndarray, "n"]
    dc_minor: Float[np.ndarray, "n"]
    dc_angle: Float[np.ndarray, "n"]
    e_dc_major: Float[np.ndarray, "n"]
    e_dc_minor: Float[np.ndarray, "n"]
    e_dc_angle: Float[np.ndarray, "n"]
    noise: Float[np.ndarray, "n"]
    snr: Float[np.ndarray, "n"]
    residual: Float[np.ndarray, "n"]
    flags: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.x)


def fit_components(cutouts: Sequence[IslandCutout], beam: PixelBeam) -> Components:
    """Returns the components of flood islands.

    Those of a cutout depend on this cutout alone, bit for bit.

    Args:
        cutouts: One of each flood island.
        beam: The beam.
    """
    groups = fit_groups(cutouts, beam)
    # One row per component: A, u, v, a, b, c of the fit and what belongs to it.
    rows = np.concatenate([np.zeros((0, 6)), *[g.start for g in groups]])
    counts = [len(group.start) for group in groups]
    owner = np.repeat(np.arange(len(groups)), counts)
    cutout = np.array([g.cutout for g in groups], int)[owner]
    unit = np.array([g.unit for g in groups], float)[owner]
    free = np.concatenate([np.zeros(0, bool), *[g.free for g in groups]])
    columns = _places(rows, owner, groups, cutouts, beam)
    columns["peak"] = rows[:, 0] * unit
    noise = _noise(columns, cutout, cutouts)
    shape = _shapes(rows, beam)
    columns |= dict(zip(("major", "minor", "angle"), shape, strict=True))
    inverse = _matrices(rows)
    area = np.sqrt(np.linalg.det(inverse))
    columns["flux"] = columns["peak"] * area
    columns |= _errors(columns, inverse, noise, free, _crowding(groups), beam)
    columns |= _deconvolved(columns, noise, beam)
    columns |= {"noise": noise, "snr": columns["peak"] / noise, "cutout": cutout}
    columns["residual"] = _residuals(rows, owner, groups) * unit
    columns["flags"] = _flags(columns, free, cutouts, groups, owner)
    columns["island"] = _islands(columns, cutout, cutouts)
    order = np.lexsort((-columns["peak"], cutout))
    return Components(**{name: column[order] for name, column in columns.items()})


def _places(rows, owner, groups, cutouts, beam):
    """Returns the positions in the image."""
    origin = np.array([g.origin for g in groups], float).reshape(-1, 2)
    corner = np.array(
        [(cutouts[g.cutout].x0, cutouts[g.cutout].y0) for g in groups], float
    ).reshape(-1, 2)
    offset = rows[:, 1:3] @ np.linalg.inv(beam.to_sigmas).T
    place = (origin + corner)[owner] + offset + 0.5
    return {"x": place[:, 0], "y": place[:, 1]}


def _noise(columns, cutout, cutouts):
    found = np.empty(len(cutout))
    for index, (x, y, c) in enumerate(
        zip(columns["x"], columns["y"], cutout, strict=True)
    ):
        found[index] = _pixel(cutouts[c].noise, cutouts[c], x, y)
    return found


def _pixel(values, cutout, x, y):
    height, width = values.shape
    row = min(max(int(y - cutout.y0), 0), height - 1)
    column = min(max(int(x - cutout.x0), 0), width - 1)
    return values[row, column]


def _matrices(rows):
    """Returns the covariances in units of the beam's."""
    a, b, c = rows[:, 3:].T
    inverse = np.stack([c, -b, -b, a], axis=-1).reshape(-1, 2, 2)
    return inverse / (a * c - b**2)[:, None, None]


def _shapes(rows, beam):
    back = np.linalg.inv(beam.to_sigmas)
    return ellipse(back @ _matrices(rows) @ back.T)


def _crowding(groups):
    """Returns by what the variances of amplitude, u, v, a, b, c grow by neighbors."""
    joint = np.concatenate([np.zeros((0, 6)), *[g.fit.joint for g in groups]])
    alone = np.concatenate([np.zeros((0, 6)), *[g.fit.alone for g in groups]])
    return np.where(alone > 0, joint / np.where(alone > 0, alone, 1), 1).clip(1, 1e4)


def _errors(columns, matrices, noise, free, crowding, beam):
    widths, axes = np.linalg.eigh(matrices)
    short, long = np.sqrt(widths).T
    found = condon_errors(long, short, columns["peak"] / noise, ~free)
    grow = np.sqrt(crowding)
    # Along the axes of the beam's frame, then of the array.
    squares = np.stack([found.across, found.along], axis=1) ** 2
    spread = np.einsum("nij,nj,nkj->nik", axes, squares, axes)
    spread = spread * grow[:, 1:3, None] * grow[:, None, 1:3]
    sigma_to_pixel = np.linalg.inv(beam.to_sigmas)
    # `condon_errors` counts in FWHM of the beam, the matrix in its sigmas.
    fwhm = np.sqrt(8 * np.log(2))
    spread = sigma_to_pixel @ spread @ sigma_to_pixel.T * fwhm**2
    size = grow[:, 3:].max(axis=1, initial=1)
    scale = np.sqrt(columns["major"] * columns["minor"] / (long * short))
    return {
        "e_x": np.sqrt(spread[:, 0, 0]),
        "e_y": np.sqrt(spread[:, 1, 1]),
        "e_peak": found.peak * columns["peak"] * grow[:, 0],
        "e_flux": found.flux * columns["flux"] * np.maximum(grow[:, 0], size),
        "e_major": found.major * scale * size,
        "e_minor": found.minor * scale * size,
        "e_angle": np.minimum(found.angle * size, 90),
    }


def _deconvolved(columns, noise, beam):
    major, minor = columns["major"], columns["minor"]
    free = condon_errors(
        np.maximum(major / beam.major, 0.1), np.maximum(minor / beam.minor, 0.1),
        columns["peak"] / noise, np.zeros(len(noise), bool),
    )  # fmt: skip
    errors = (
        np.maximum(columns["e_major"], free.major * beam.major),
        np.maximum(columns["e_minor"], free.minor * beam.minor),
        columns["e_angle"],
    )
    found = deconvolve((major, minor, columns["angle"]), errors, beam)
    names = ("dc_major", "dc_minor", "dc_angle")
    names += tuple(f"e_{name}" for name in names)
    return dict(zip(names, found, strict=True))


def _residuals(rows, owner, groups):
    found = np.empty(len(rows))
    for index, (row, group) in enumerate(
        zip(rows, (groups[k] for k in owner), strict=True)
    ):
        near = ((group.points - row[1:3, None]) ** 2).sum(0) < 2.355**2
        left = group.fit.residual[near] / group.weight[near]
        found[index] = np.sqrt(np.mean(left**2)) if len(left) else np.nan
    return found


def _flags(columns, free, cutouts, groups, owner):
    flags = np.where(free, 0, int(FitFlag.UNRESOLVED))
    cutout = columns["cutout"]
    several = np.bincount(cutout, minlength=len(cutouts)) > 1
    flags |= np.where(several[cutout], int(FitFlag.BLENDED), 0)
    edge = np.array([_touches(c) for c in cutouts], bool)
    flags |= np.where(edge[cutout], int(FitFlag.AT_EDGE), 0)
    blank = np.array([np.isnan(c.values).any() for c in cutouts], bool)
    flags |= np.where(blank[cutout], int(FitFlag.NEAR_BLANK), 0)
    failed = np.array([not g.fit.converged for g in groups], bool)
    return flags | np.where(failed[owner], int(FitFlag.MOMENTS), 0)


def _touches(cutout):
    flood = cutout.flood
    return flood[0].any() or flood[-1].any() or flood[:, 0].any() or flood[:, -1].any()


def _islands(columns, cutout, cutouts):
    return np.array(
        [
            int(_pixel(cutouts[c].islands, cutouts[c], x, y)) - 1
            for x, y, c in zip(columns["x"], columns["y"], cutout, strict=True)
        ],
        int,
    )
