"""What the pixels of an island say: its peak, flux, position, size and outline.

No shape is assumed, so that this holds for emission that no Gaussian describes.

An island is cut off at 5.196 sigma, and without its wings a point source of 10 sigma
would lose half of its flux. So the flux is summed over more pixels: those of the flood
island that are nearer to this island than to another one, and those up to one beam
around. There the wings of all but the widest sources have ended. A Gaussian of any
shape has the fraction T / A of its flux outside the contour at T, where A is its peak.
So the sum is divided by 1 - T / A, where T is the mean brightness of the pixels just
around. It is about 0 except for wide, faint sources, and no noise chose these pixels.

Positions are pixel edges of the mosaic, y up: pixel `i` covers `[i, i + 1]`.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32
from scipy import ndimage

from claran.photometry.flood import IslandCutout
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.polygons import mask_polygon
from claran.sky.beams import fwhm_to_sigma

__all__ = ["measure_islands"]

REACH = 3.0  # Sigmas of the beam within which its kernel is followed.
FLOOR = 0.05  # Of the peak. The logarithm of fainter neighbors would be that of noise.
# From 3 x 3 pixels to c, bx, by, axx, ayy, axy of the paraboloid
# c + bx x + by y + (axx x^2 + ayy y^2) / 2 + axy x y.
_Y, _X = np.mgrid[-1:2, -1:2].reshape(2, 9)
PARABOLOID = np.linalg.pinv(
    np.stack([np.ones(9), _X, _Y, _X**2 / 2, _Y**2 / 2, _X * _Y], axis=1)
)

FWHM = 1 / fwhm_to_sigma(1.0)  # In standard deviations.
LEAST_INSIDE = 0.5  # No flux is more than doubled for what lies outside.

NAMES = (
    "peak", "peak_x", "peak_y", "e_peak", "flux", "e_flux", "x", "y", "e_x", "e_y",
    "major", "minor", "angle", "rms", "snr",
)  # fmt: skip

Image = Float32[np.ndarray, "h w"]
Labels = Int32[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]


def measure_islands(cutout: IslandCutout, beam: PixelBeam) -> dict[str, np.ndarray]:
    """Returns the measurements of each island of a cutout; they follow from it alone.

    Args:
        cutout: A flood island with its islands, and with a margin of a beam or more. It
            is narrower only at the edge of the mosaic.
        beam: Of the mosaic.

    Returns:
        One row an island, in the order of their numbers; lengths in pixels:

        - `peak`, `peak_x`, `peak_y`, `e_peak`: top of a paraboloid through the
          logarithms of the brightest pixel and its neighbors, Jy/beam.
        - `flux`, `e_flux`: Jy, see the top of this module. The error is that of white
          noise seen through the beam. On empty sky of LoTSS, VLASS and FIRST, sums over
          up to seven beams scatter by 0.8 to 1.2 times as much.
        - `x`, `y`, `e_x`, `e_y`: centroid of the pixels of the flood island that are
          nearest to this island, weighted by what they have above its lowest contour:
          so a pixel that noise lifts over the contour has no weight yet.
        - `major`, `minor`, `angle`: FWHM of the Gaussian with the second moments of
          these pixels, and its angle from +y to -x, degrees. The beam is in it.
        - `rms`: noise at the brightest pixel, Jy/beam; `snr`: that pixel over `rms`.
        - `at_edge`, `beside_blank`: whether one of these pixels is the last of the
          mosaic, or touches a blank one.
        - `corners`: number of corners of the outline. One row a corner, of one island
          after the other: `outline_x`, `outline_y`, as `mask_polygon` gives them.
    """
    count = int(cutout.islands.max(initial=0))
    blank = ~(np.isfinite(cutout.values) & (cutout.noise > 0))
    values = np.where(blank, 0, cutout.values).astype(np.float32)
    noise = np.where(blank, 0, cutout.noise).astype(np.float32)
    own, wide, rim = _shares(cutout, blank, beam, count)
    rows, outlines = [], [np.zeros((0, 2))]
    for number, window in _windows(np.maximum(wide, rim), count):
        island, share, sums, edge = (
            one[window] == number for one in (cutout.islands, own, wide, rim)
        )
        if values[window][sums].sum() <= 0:  # In the bowl of a brighter source.
            sums = share
        corner = cutout.x0 + window[1].start, cutout.y0 + window[0].start
        outlines.append(mask_polygon(island) + np.array(corner))
        rows.append(
            _top(values[window], noise[window], island, corner)
            | _flux(values[window], noise[window], sums, edge, beam)
            | _centroid_and_size(values[window], noise[window], share, corner, beam)
        )
    corners = np.concatenate(outlines)
    return {name: np.array([row[name] for row in rows]) for name in NAMES} | {
        "at_edge": _present(_border(own), count),
        "beside_blank": _present(own[_grown(blank)], count),
        "corners": np.array([len(one) for one in outlines[1:]], np.int64),
        "outline_x": corners[:, 0],
        "outline_y": corners[:, 1],
    }


def _windows(labels: Labels, count: int) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Yields each island and the part of the cutout that it is measured in."""
    if count == 1:  # All but the margin: not worth a search.
        yield 1, (slice(0, None), slice(0, None))
        return
    yield from enumerate(ndimage.find_objects(labels, max_label=count), start=1)


def _grown(mask: Mask) -> Mask:
    """Returns a mask with all pixels that touch it."""
    return cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _border(labels: Labels) -> Int32[np.ndarray, "_"]:
    return np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])


def _present(labels: Int32[np.ndarray, "_"], count: int) -> Bool[np.ndarray, "{count}"]:
    """Returns which of the islands are among some pixels."""
    return np.bincount(labels, minlength=count + 1)[1:] > 0


def _shares(
    cutout: IslandCutout, blank: Mask, beam: PixelBeam, count: int
) -> tuple[Labels, Labels, Labels]:
    """Returns the island that each pixel counts to, from 1; 0 for none.

    Of the pixels of the flood island, of those up to a beam around, and of those that
    touch these.
    """
    grown = cv2.dilate(cutout.flood.view(np.uint8), _disk(beam)) > 0
    ring = _grown(grown) & ~grown
    usable = ~(cutout.others | blank)
    if count == 1:
        nearest: np.ndarray = np.ones(usable.shape, np.int32)
    else:
        places: Any = ndimage.distance_transform_edt(
            cutout.islands == 0, return_distances=False, return_indices=True
        )
        nearest = cutout.islands[tuple(places)]
    nearest = nearest * usable
    return nearest * cutout.flood, nearest * grown, nearest * ring


def _top(
    values: Image, noise: Image, island: Mask, corner: tuple[int, int]
) -> dict[str, float]:
    """Returns the peak of an island; `corner` is the first pixel in the mosaic."""
    place = int(np.where(island, values, -np.inf).argmax())
    row, column = divmod(place, values.shape[1])
    brightest, rms = float(values[row, column]), float(noise[row, column])
    height, x, y = brightest, 0.0, 0.0
    around = values[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    if around.shape == (3, 3):
        height, x, y = _vertex(around / brightest)
        height *= brightest
    return {
        "peak": height, "e_peak": rms, "peak_x": corner[0] + column + 0.5 + x,
        "peak_y": corner[1] + row + 0.5 + y, "rms": rms, "snr": brightest / rms,
    }  # fmt: skip


def _vertex(around: Float32[np.ndarray, "3 3"]) -> tuple[float, float, float]:
    """Returns height and place of the top of 3 x 3 pixels, the middle one being 1."""
    logs = np.log(np.maximum(around, FLOOR).astype(np.float64)).ravel()
    c, bx, by, axx, ayy, axy = (PARABOLOID @ logs).tolist()
    determinant = axx * ayy - axy * axy
    if determinant <= 0 or axx >= 0:  # No top.
        return 1.0, 0.0, 0.0
    x = (axy * by - ayy * bx) / determinant
    y = (axy * bx - axx * by) / determinant
    if max(abs(x), abs(y)) > 1:
        return 1.0, 0.0, 0.0
    return math.exp(c + (bx * x + by * y) / 2), x, y


def _flux(
    values: Image, noise: Image, wide: Mask, rim: Mask, beam: PixelBeam
) -> dict[str, float]:
    """Returns the flux of an island and its error; see the top of this module."""
    lit = values[wide]
    around = values[rim].mean(dtype=np.float64) if rim.any() else 0.0
    inside = max(1 - float(around) / float(lit.max()), LEAST_INSIDE)
    area = beam.area * inside
    (error,) = _noise_of_sums((wide * noise)[..., None], beam)
    return {"flux": float(lit.sum(dtype=np.float64)) / area, "e_flux": error / area}


def _centroid_and_size(
    values: Image, noise: Image, share: Mask, corner: tuple[int, int], beam: PixelBeam
) -> dict[str, float]:
    rows, columns = share.nonzero()
    lit, sigma = values[share].astype(np.float64), noise[share].astype(np.float64)
    above = lit - (lit / sigma).min() * sigma
    if not above.any():  # A single pixel.
        above = lit
    total = float(above.sum())
    x, y = float(above @ columns) / total, float(above @ rows) / total
    dx, dy = columns - x, rows - y
    weights = np.zeros((*values.shape, 2), np.float32)
    weights[rows, columns] = sigma[:, None] * np.stack([dx, dy], axis=1)
    e_x, e_y = _noise_of_sums(weights, beam)
    weight = lit / lit.sum()
    xx, yy = float(weight @ dx**2), float(weight @ dy**2)
    xy = float(weight @ (dx * dy))
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    return {
        "x": corner[0] + x + 0.5,
        "y": corner[1] + y + 0.5,
        "e_x": e_x / total,
        "e_y": e_y / total,
        "major": FWHM * math.sqrt(middle + half),
        "minor": FWHM * math.sqrt(max(middle - half, 0.0)),
        "angle": math.degrees(math.atan2(-2 * xy, yy - xx)) / 2 % 180,
    }


def _noise_of_sums(
    weights: Float32[np.ndarray, "h w k"], beam: PixelBeam
) -> list[float]:
    """Returns the standard deviation of weighted sums over noise of a variance of 1.

    White noise seen through the beam B has, in a sum with the weights w, the variance
    sum((B * w)^2), where * is the convolution.
    """
    kernel = _noise_kernel(beam)
    reach = kernel.shape[0] // 2
    framed = cv2.copyMakeBorder(
        weights, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0
    )
    seen = cv2.filter2D(framed, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    seen = seen.reshape(-1, weights.shape[2])
    return np.sqrt(np.square(seen, dtype=np.float64).sum(axis=0)).tolist()


def _ellipse(beam: PixelBeam, reach: float) -> Float[np.ndarray, "k k"]:
    """Returns the squared distance from the middle, in sigmas of the beam."""
    half = math.ceil(reach * fwhm_to_sigma(beam.major))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    turn = math.radians(beam.angle)
    along = -math.sin(turn) * x + math.cos(turn) * y
    beside = math.cos(turn) * x + math.sin(turn) * y
    major, minor = fwhm_to_sigma(beam.major), fwhm_to_sigma(beam.minor)
    return (along / major) ** 2 + (beside / minor) ** 2


@functools.lru_cache(maxsize=64)
def _noise_kernel(beam: PixelBeam) -> Float32[np.ndarray, "k k"]:
    """Returns the beam as a kernel that keeps the variance of white noise."""
    kernel = np.exp(-_ellipse(beam, REACH) / 2)
    return (kernel / np.sqrt((kernel**2).sum())).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _disk(beam: PixelBeam) -> np.ndarray:
    """Returns the pixels up to one FWHM of the beam around the middle one."""
    return (_ellipse(beam, FWHM) <= FWHM**2).astype(np.uint8)
