"""From fitted groups to the columns of the components."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from claran.photometry.deconvolution import deconvolve
from claran.photometry.fit_flags import FitFlag
from claran.photometry.fit_groups import Group
from claran.photometry.flood import IslandCutout
from claran.photometry.gaussian_errors import condon_errors
from claran.photometry.group_fits import crowding
from claran.photometry.pixel_beams import PixelBeam, ellipse, turned
from claran.photometry.pixel_measures import measure_pixels
from claran.sky.beams import fwhm_to_sigma

__all__ = ["component_columns"]

NEAR = 1 / fwhm_to_sigma(1.0)  # Beam sigmas: the FWHM.
OUTSIDE = 1.0  # Pixels.

Columns = dict[str, np.ndarray]


def component_columns(
    groups: Sequence[Group], cutouts: Sequence[IslandCutout], beam: PixelBeam
) -> Columns:
    """Returns the columns of `Components`, and whether each is `inside` its cutout.

    Args:
        groups: Fitted groups.
        cutouts: Their islands.
        beam: The beam.
    """
    rows = [_group_rows(group, cutouts[group.cutout], beam) for group in groups]
    found = (
        {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
        if rows
        else _no_rows()
    )
    shape = ellipse(turned(beam.to_pixels, found["covariance"]))
    found |= dict(zip(("major", "minor", "angle"), shape, strict=True))
    found["snr"] = found["peak"] / found["noise"]
    errors = _errors(found, beam)
    found |= _deconvolved(found, errors, beam)
    fixed = (found["flags"] & FitFlag.UNRESOLVED) > 0
    for name in "e_major", "e_minor", "e_angle":
        errors[name] = np.where(fixed, 0, errors[name])
    several = np.bincount(found["cutout"], found["inside"], minlength=1) > 1
    found["flags"] |= np.where(several[found["cutout"]], int(FitFlag.BLENDED), 0)
    for name in "covariance", "crowding", "beams":
        del found[name]
    return found | errors


def _no_rows() -> Columns:
    found: Columns = {name: np.zeros(0) for name in _FLOATS}
    found |= {name: np.zeros(0, np.int64) for name in ("cutout", "island", "flags")}
    found |= {"covariance": np.zeros((0, 2, 2)), "crowding": np.zeros((0, 6))}
    return found | {"inside": np.zeros(0, bool)}


_FLOATS = ("x", "y", "peak", "flux", "noise", "residual", "beams")


def _group_rows(group: Group, cutout: IslandCutout, beam: PixelBeam) -> Columns:
    """Returns what is measured group by group, in pixels and Jy/beam.

    Sizes are covariances in units of the beam's; `beams` is the number of beams that
    are summed up, or 0 for a Gaussian.
    """
    start = group.start.copy()
    a, b, c = start[:, 3:].T
    area = a * c - b * b
    covariance = np.stack([c, -b, -b, a], axis=-1).reshape(-1, 2, 2)
    covariance = covariance / area[:, None, None]
    found: Columns = {
        "peak": start[:, 0] * group.unit,
        "flux": start[:, 0] * group.unit / np.sqrt(area),
        "covariance": covariance,
        "beams": np.zeros(len(start)),
        "flags": np.where(group.free, 0, int(FitFlag.UNRESOLVED))
        | _cutout_flags(cutout),
        "crowding": crowding(group),
        "cutout": np.full(len(start), group.cutout),
        "residual": _residuals(group) * group.unit,
    }
    for pixels in measure_pixels(group, cutout.flood, beam.area):
        k = pixels.index
        found["peak"][k], found["flux"][k] = (
            group.unit * pixels.peak, group.unit * pixels.flux,
        )  # fmt: skip
        found["covariance"][k], found["beams"][k] = pixels.moments, pixels.beams
        found["flags"][k] = pixels.flag | _cutout_flags(cutout)
        if pixels.flag == FitFlag.MOMENTS:
            start[k, 1:3] = pixels.place
    return found | _places(start, group, cutout, beam)


def _places(
    start: Float[np.ndarray, "g 6"],
    group: Group,
    cutout: IslandCutout,
    beam: PixelBeam,
) -> Columns:
    """Returns positions, and noise and island there."""
    u, v = start[:, 1], start[:, 2]
    (xx, xy), (_, yy) = beam.to_pixels
    x = group.origin[0] + xx * u + xy * v + 0.5
    y = group.origin[1] + xy * u + yy * v + 0.5
    height, width = cutout.values.shape
    row = np.clip(np.floor(y), 0, height - 1).astype(int)
    column = np.clip(np.floor(x), 0, width - 1).astype(int)
    inside = (np.abs(x - width / 2) <= width / 2 + OUTSIDE) & (
        np.abs(y - height / 2) <= height / 2 + OUTSIDE
    )
    noise = cutout.noise[row, column].astype(float)
    return {
        "x": x + cutout.x0,
        "y": y + cutout.y0,
        "noise": np.where(noise > 0, noise, group.unit),
        "island": _islands(cutout, x, y, (row, column)),
        "inside": inside,
    }


def _islands(
    cutout: IslandCutout,
    x: Float[np.ndarray, "g"],
    y: Float[np.ndarray, "g"],
    pixels: tuple[Int[np.ndarray, "g"], Int[np.ndarray, "g"]],
) -> Int[np.ndarray, "g"]:
    """Returns the islands at places; beyond the emission that of the nearest pixel.

    The center of a Gaussian may lie on blank pixels or off the image.
    """
    found = cutout.islands[pixels].astype(np.int64) - 1
    rows, columns = np.nonzero(cutout.flood)
    for k in np.flatnonzero(~cutout.flood[pixels]):
        nearest = np.hypot(columns + 0.5 - x[k], rows + 0.5 - y[k]).argmin()
        found[k] = cutout.islands[rows[nearest], columns[nearest]] - 1
    return found


def _residuals(group: Group) -> Float[np.ndarray, "g"]:
    left = group.fit.residual / group.weight
    found = np.zeros(len(group.start))
    for k, (_, u, v, *_) in enumerate(group.start):
        near = np.hypot(group.points[0] - u, group.points[1] - v) < NEAR
        found[k] = math.sqrt(float(np.mean(left[near] ** 2))) if near.any() else 0.0
    return found


def _cutout_flags(cutout: IslandCutout) -> int:
    flood, flags = cutout.flood, 0
    if any(side.any() for side in (flood[0], flood[-1], flood[:, 0], flood[:, -1])):
        flags |= FitFlag.AT_EDGE
    if not np.isfinite(cutout.values).all():
        flags |= FitFlag.NEAR_BLANK
    return int(flags)


def _errors(found: Columns, beam: PixelBeam) -> Columns:
    """Returns the errors, those of sizes as if no shape were fixed to the beam."""
    grow, matrices = found["crowding"], found["covariance"]
    fixed = (found["flags"] & FitFlag.UNRESOLVED) > 0
    long, short, turn = _axes(matrices)
    snr = np.maximum(found["snr"], 1e-3)
    own = condon_errors(long, short, snr, fixed)
    size = condon_errors(long, short, snr, np.zeros(len(fixed), bool))
    # Of the position, along the axes of the round frame and then of the array.
    along, across = (own.along * NEAR) ** 2, (own.across * NEAR) ** 2
    cosine, sine = np.cos(turn), np.sin(turn)
    uu = along * cosine**2 + across * sine**2
    vv = along * sine**2 + across * cosine**2
    uv = (along - across) * sine * cosine
    uu, uv, vv = (
        uu * grow[:, 1] ** 2,
        uv * grow[:, 1] * grow[:, 2],
        vv * grow[:, 2] ** 2,
    )
    spread = np.stack([uu, uv, uv, vv], axis=-1).reshape(-1, 2, 2)
    spread = turned(beam.to_pixels, spread)
    wider = grow[:, 3:].max(axis=1, initial=1)
    peak, pixels = grow[:, 0], found["beams"]
    scale = np.sqrt(found["major"] * found["minor"] / (long * short))
    flux = own.flux * np.abs(found["flux"]) * np.maximum(peak, wider)
    summed = found["noise"] * np.sqrt(2 * np.maximum(pixels, 1))
    return {
        "e_x": np.sqrt(spread[:, 0, 0]),
        "e_y": np.sqrt(spread[:, 1, 1]),
        "e_peak": own.peak * found["peak"] * peak,
        "e_flux": np.where(pixels > 0, summed, flux),
        "e_major": size.major * scale * wider,
        "e_minor": size.minor * scale * wider,
        "e_angle": np.minimum(size.angle * wider, 90),
    }


def _axes(
    matrices: Float[np.ndarray, "n 2 2"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns both axes in beams, and the angle of the major one from `u`."""
    xx, xy, yy = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    turn = np.arctan2(2 * xy, xx - yy) / 2
    return np.sqrt(half + spread), np.sqrt(np.maximum(half - spread, 1e-4)), turn


def _deconvolved(found: Columns, errors: Columns, beam: PixelBeam) -> Columns:
    names = ("major", "minor", "angle")
    shape: Any = tuple(found[name] for name in names)
    spread: Any = tuple(errors[f"e_{name}"] for name in names)
    without = deconvolve(shape, spread, beam)
    keys = [f"dc_{name}" for name in names] + [f"e_dc_{name}" for name in names]
    return dict(zip(keys, without, strict=True))
