"""From fitted groups to the columns of the components."""

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
from claran.photometry.stacked_groups import StackedGroups
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
    found = _gaussians(StackedGroups(groups), cutouts, beam)
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


def _gaussians(
    stacked: StackedGroups, cutouts: Sequence[IslandCutout], beam: PixelBeam
) -> Columns:
    """Returns what is measured, in pixels and Jy/beam.

    Sizes are covariances in units of the beam's; `beams` is the number of beams that
    are summed up, or 0 for a Gaussian.
    """
    groups, counts = stacked.groups, stacked.counts
    start = stacked.start.copy()
    a, b, c = start[:, 3:].T
    area = a * c - b * b
    covariance = np.stack([c, -b, -b, a], axis=-1).reshape(-1, 2, 2)
    unit = np.repeat(np.array([group.unit for group in groups], float), counts)
    number = np.array([group.cutout for group in groups], np.int64)
    free = np.concatenate([np.zeros(0, bool), *(group.free for group in groups)])
    found: Columns = {
        "peak": start[:, 0] * unit,
        "flux": start[:, 0] * unit / np.sqrt(area),
        "covariance": covariance / area[:, None, None],
        "beams": np.zeros(len(start)),
        "flags": np.where(free, 0, int(FitFlag.UNRESOLVED)),
        "crowding": crowding(groups),
        "cutout": np.repeat(number, counts),
        "residual": _residuals(stacked) * unit,
    }
    for pixels in measure_pixels(stacked, cutouts, beam.area):
        k = pixels.index
        found["peak"][k], found["flux"][k] = (
            unit[k] * pixels.peak,
            unit[k] * pixels.flux,
        )
        found["covariance"][k], found["beams"][k] = pixels.moments, pixels.beams
        found["flags"][k] = pixels.flag
        if pixels.flag == FitFlag.MOMENTS:
            start[k, 1:3] = pixels.place
    flags = np.array([_cutout_flags(cutout) for cutout in cutouts], np.int64)
    found["flags"] |= flags[found["cutout"]]
    origin = np.array([group.origin for group in groups], float).reshape(-1, 2)
    place = np.repeat(origin, counts, axis=0), start[:, 1:3]
    found |= _places(place, cutouts, found["cutout"], beam)
    found["noise"] = np.where(found["noise"] > 0, found["noise"], unit)
    return found


def _places(
    place: tuple[np.ndarray, np.ndarray],
    cutouts: Sequence[IslandCutout],
    number: Int[np.ndarray, "n"],
    beam: PixelBeam,
) -> Columns:
    """Returns positions, and noise and island there.

    Args:
        place: Origins, and offsets from them in beam sigmas.
        cutouts: The islands.
        number: Of the cutout of each Gaussian.
        beam: The beam.
    """
    (x0, y0), (u, v) = place[0].T, place[1].T
    (xx, xy), (_, yy) = beam.to_pixels
    x, y = x0 + xx * u + xy * v + 0.5, y0 + xy * u + yy * v + 0.5
    about = [(c.x0, c.y0, *c.values.shape) for c in cutouts]
    left, bottom, height, width = np.array(about).reshape(-1, 4)[number].T
    row = np.clip(np.floor(y), 0, height - 1).astype(int)
    column = np.clip(np.floor(x), 0, width - 1).astype(int)
    inside = (np.abs(x - width / 2) <= width / 2 + OUTSIDE) & (
        np.abs(y - height / 2) <= height / 2 + OUTSIDE
    )
    pixels = [
        (cutouts[k], (i, j))
        for k, i, j in zip(number.tolist(), row.tolist(), column.tolist(), strict=True)
    ]
    islands = [
        cutout.islands[pixel] if cutout.flood[pixel] else _nearest(cutout, x[k], y[k])
        for k, (cutout, pixel) in enumerate(pixels)
    ]
    return {
        "x": x + left,
        "y": y + bottom,
        "noise": np.array([cutout.noise[pixel] for cutout, pixel in pixels], float),
        "island": np.array(islands, np.int64) - 1,
        "inside": inside,
    }


def _nearest(cutout: IslandCutout, x: float, y: float) -> int:
    """Returns the label of the pixel of emission that is nearest to a place.

    The center of a Gaussian may lie on blank pixels or off the image.
    """
    rows, columns = np.nonzero(cutout.flood)
    nearest = np.hypot(columns + 0.5 - x, rows + 0.5 - y).argmin()
    return int(cutout.islands[rows[nearest], columns[nearest]])


def _residuals(stacked: StackedGroups) -> Float[np.ndarray, "n"]:
    """Returns the root mean square of what is left within the beam's FWHM."""
    own, pixel = stacked.pairs
    u, v = stacked.points[:, pixel] - stacked.start[own, 1:3].T
    near = np.hypot(u, v) < NEAR
    count = np.bincount(own, near, len(stacked.start))
    squares = np.bincount(own, near * stacked.residual[pixel] ** 2, len(stacked.start))
    return np.sqrt(squares / np.maximum(count, 1))


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
