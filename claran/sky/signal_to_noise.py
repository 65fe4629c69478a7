"""A radio image in units of its noise, wherever the noise is uneven."""

import math
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.special import ndtr

from claran.sky.bands import around_part, crop
from claran.sky.mesh import Part
from claran.sky.surveys import FIRST

__all__ = [
    "EVEN_START",
    "NOISE_WINDOW_ARCMIN",
    "excess_halo",
    "noise_excess",
    "noise_window",
    "one_window_start",
    "raw_ratio",
]

NOISE_WINDOW_ARCMIN = 3.0
"""Side of the window for the noise, for FIRST's beam: the field of Radio Galaxy Zoo.

Its labels are in units of the noise of such a field.
"""

EVEN_START = 1.4
"""Excess from which the noise of windows is corrected, see `noise_excess`."""

ONE_WINDOW_START = 1.6
DYNAMIC_RANGE = 500.0  # Of a source to its artifacts, such as sidelobes.
HIGHEST_RATIO = np.float32(1e9)  # No image has such a dynamic range.

EXCESS_BEAMS = 10  # Side of the windows in which excess noise is sought.
EXCESS_RAMP = 0.4  # See `noise_excess`.
LEAST_NEGATIVE = 0.08  # Share of a window that must be negative: 7 beams.
# Shares of its measured pixels. With fewer, sources fill it; with more it is a bowl.
LEAST_SHARE, LARGEST_SHARE = 0.3, 0.7
DEEPEST = 1e4  # Sigma; deeper holes count as this.
EXACT_BITS = 52  # Of a sum in 64 bits.


def noise_window(beam_pixels: float) -> float:
    """Returns the side of the windows for noise and background, in pixels.

    Args:
        beam_pixels: Full width at half maximum of the beam, pixels.

    >>> round(noise_window(3.0), 6)
    100.0
    """
    return 60 * NOISE_WINDOW_ARCMIN / FIRST.beam_arcsec * beam_pixels


def raw_ratio(
    values: Float32[np.ndarray, "ny nx"],
    noise: Float32[np.ndarray, "ny nx"] | np.float32,
) -> Float32[np.ndarray, "ny nx"]:
    """Returns an image in units of the noise of wide windows, see `noise_excess`.

    Args:
        values: Brightness above the background.
        noise: Noise of the windows.
    """
    # Numbers of a damaged file may overflow, or their noise be 0 in 32 bits.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = values / noise
    return np.clip(ratio, -HIGHEST_RATIO, HIGHEST_RATIO, out=ratio)


def one_window_start(ratio: Float32[np.ndarray, "ny nx"]) -> float:
    """Returns from where the noise of an image of one window is corrected.

    It is later than elsewhere, and beyond what the artifacts of the brightest source
    explain, as labels are in units of the noise of the whole field. With 1.6 alone the
    mean AP of simulated FIRST fields was 0.968 instead of 0.971, and a labeled source
    of the real ones (of 168) had other islands.

    Args:
        ratio: The whole image, see `raw_ratio`.
    """
    return ONE_WINDOW_START + float(np.fmax.reduce(ratio, None)) / DYNAMIC_RANGE


def excess_halo(beam_pixels: float) -> int:
    """Returns how far from a pixel others change its excess noise, in pixels.

    Args:
        beam_pixels: Full width at half maximum of the beam, pixels.
    """
    return _excess_side(beam_pixels) - 1


def noise_excess(
    signal_to_noise: Float32[np.ndarray, "ny nx"], beam: float, *, start: float
) -> Float32[np.ndarray, "ny nx"] | None:
    """Returns by what the noise is underestimated about each pixel, at least 1.

    The noise of a wide window is too low where it changes within the window: at the
    edge of a primary beam, in a strip or a spot, among sidelobes. Sources are positive,
    so that the root mean square of the negative pixels in a small window, of 10 beams,
    shows the noise whatever the sources. It scatters by 9% in even noise. So up to
    `start` nothing is changed, from `start + 0.4` on the noise is that of the small
    window, and between them the factor rises linearly. A pixel has the largest factor
    of all windows that it is in, so that all of a noisy spot has its noise.

    In four empty fields of 500 x 500 pixels with noise that rises to the edge, in a
    strip of 60 pixels, in a half or in a spot, 15 to 68 false sources became none.

    Pixels further away than `excess_halo` have no effect, not even in the last bit.

    Args:
        signal_to_noise: Brightness without background in units of the noise; NaN is
            blank.
        beam: Full width at half maximum of the beam, pixels.
        start: See above.

    Returns:
        None if the noise is nowhere underestimated.
    """
    side = _excess_side(beam)
    box: dict[str, Any] = {
        "ksize": (side, side), "normalize": False, "borderType": cv2.BORDER_CONSTANT,
    }  # fmt: skip
    squares, unit = _squares(signal_to_noise, side)
    total = cv2.boxFilter(squares, -1, **box)
    negative = (signal_to_noise < 0).view(np.uint8)
    count = cv2.boxFilter(negative, cv2.CV_32F, **box)
    raised = total > np.float32(start**2 / unit) * count
    raised &= count >= LEAST_NEGATIVE * side**2
    if not raised.any():
        return None
    # What follows is rare: only the part about it is looked at.
    part = _bounds(raised)
    wide = around_part(part, side // 2, raised.shape)
    measured = np.isfinite(signal_to_noise[wide]).view(np.uint8)
    area = cv2.boxFilter(measured, cv2.CV_32F, **box)[crop(part, wide)]
    own = raised[part]
    factors = _factor(total[part][own] * unit, count[part][own], area[own], start=start)
    factor = np.ones(raised.shape, np.float32)
    factor[part][own] = factors
    if not (factors > 1).any():
        return None
    own[own] = factors > 1  # Also in `raised`.
    wide = around_part(_bounds(raised), side // 2, raised.shape)
    factor[wide] = cv2.dilate(factor[wide], np.ones((side, side), np.uint8))
    return factor


def _bounds(marked: Bool[np.ndarray, "ny nx"]) -> Part:
    """Returns the part of an image that holds all pixels that are true."""
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _excess_side(beam: float) -> int:
    return 2 * max(1, round(EXCESS_BEAMS * beam / 2)) + 1


def _squares(
    ratio: Float32[np.ndarray, "ny nx"], side: int
) -> tuple[Float32[np.ndarray, "ny nx"], float]:
    """Returns the squares of negative pixels in whole units, and that unit.

    OpenCV moves a window by adding and subtracting pixels. In whole numbers that is
    exact, so that a sum does not depend on where the image begins.
    """
    bits = EXACT_BITS - math.ceil(math.log2(side**2 * DEEPEST**2))
    scale = 2.0 ** (bits // 2)
    squares = np.fmin(ratio, np.float32(0))  # Also of NaN 0.
    np.maximum(squares, np.float32(-DEEPEST), out=squares)
    squares *= np.float32(scale)
    np.square(squares, out=squares)
    return np.rint(squares, out=squares), scale**-2


def _factor(
    total: Float32[np.ndarray, "n"],
    count: Float32[np.ndarray, "n"],
    area: Float32[np.ndarray, "n"],
    *,
    start: float,
) -> Float[np.ndarray, "n"]:
    """Returns the factor of windows with negative pixels, see `noise_excess`."""
    share = count / area
    ratio = np.sqrt(total / count) / _bowl_ratio(share)
    ratio[~_is_even(share)] = 1
    full = start + EXCESS_RAMP
    return np.interp(ratio, [0, start, full, DEEPEST], [1, 1, full, DEEPEST])


def _is_even(share: Float32[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    return (LEAST_SHARE < share) & (share < LARGEST_SHARE)


def _bowl_ratio(negative: Float32[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Returns the rms of the negative pixels of a window in units of its noise.

    It is 1 if half of the pixels are negative. If more are, the window lies in a bowl:
    for Gaussian noise about `-z`, a share of `Phi(z)` is negative, with the mean square
    `1 + z^2 + z phi(z) / Phi(z)`.

    Args:
        negative: Share of negative pixels.
    """
    z = np.linspace(0, 1, 21)
    share = ndtr(z)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.interp(negative, share, np.sqrt(1 + z**2 + z * density / share))
