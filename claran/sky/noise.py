"""The noise of a radio image, of the whole and about each pixel."""

import math

import numpy as np
from jaxtyping import Float, Float32, Int

__all__ = ["local_noise", "noise"]

# Why `local_noise` is ours. 640 x 640 pixels of noise 1, window 100: it takes 22 ms,
# photutils's Background2D (MAD, box 100, median of 3 x 3) 49 ms, SEP (mesh 100) 4 ms.
# Largest error in flat noise: 10%, 3%, 11%; with noise that rises fourfold along the
# image: 30%, 72%, 12%; a window or more from a step from 1 to 5: 10%, 42%, 39%; beside
# a source that fills a fifth of a window: 41%, 3%, 3%. So the other two are better at
# bright sources (photutils by its filter, SEP by clipping) and worse where the noise
# changes. The labels count in units of the MAD of one window, sources included.
MAD_TO_SIGMA = 1.482602218505602  # 1 / (quantile 0.75 of a Gaussian of sigma 1).
FEW_WINDOWS = 1.5  # Up to so many on a side, a field has one noise.


def noise(values: Float[np.ndarray, "ny nx"]) -> float:
    """Returns the standard deviation of the noise, from the median absolute deviation.

    The medians survive sources in the image, a plain standard deviation does not.
    Non-finite pixels are left out; NaN if there are no others, 0 if more than half of
    the pixels have one value.

    >>> noise(np.array([[1.0, 2.0, 3.0, np.nan]]))
    1.482602218505602
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan")
    # 100 x 100 pixels in float32 take 0.14 ms. Astropy's `mad_std`, which keeps
    # infinities, takes 0.27 ms, and sorting 0.33 ms.
    finite -= _median(finite)
    return MAD_TO_SIGMA * float(_median(np.abs(finite, out=finite)))


def local_noise(
    values: Float[np.ndarray, "ny nx"], window: float
) -> Float32[np.ndarray, "ny nx"] | None:
    """Returns the noise of a square window about each pixel, as `noise` measures it.

    Windows lie half a window apart, within the image, and between their centers the
    noise changes linearly. Those without noise to measure, because they are blank or
    padded, have the whole image's.

    Args:
        values: The image; non-finite pixels are left out.
        window: Side of a window in pixels.

    Returns:
        None if the image is at most one and a half windows high and wide: it is about
        one window then, and has one noise.
    """
    side = max(1, round(window))
    if max(values.shape) <= FEW_WINDOWS * side:
        return None
    rows, columns = (_window_starts(length, side) for length in values.shape)
    sigmas = np.array(
        [[noise(values[y : y + side, x : x + side]) for x in columns] for y in rows]
    )
    is_blank = ~(sigmas > 0)
    if is_blank.any():
        sigmas[is_blank] = noise(values)
    height, width = values.shape
    center = (side - 1) / 2
    x = np.arange(width)
    # Linear along x at the height of each window's center, then along y.
    lines = np.array([np.interp(x, columns + center, line) for line in sigmas])
    place = np.interp(np.arange(height), rows + center, np.arange(len(rows)))
    below = place.astype(int).clip(max=max(0, len(rows) - 2))
    above = (below + 1).clip(max=len(rows) - 1)
    found = np.empty(values.shape, np.float32)
    for row, (low, high) in enumerate(zip(below, above, strict=True)):
        share = place[row] - low
        found[row] = lines[low] + share * (lines[high] - lines[low])
    return found


def _window_starts(length: int, side: int) -> Int[np.ndarray, "k"]:
    """Returns where windows begin, at most half a window apart, from edge to edge."""
    room = max(0, length - side)
    count = math.ceil(2 * room / side) + 1
    return np.round(np.linspace(0, room, count)).astype(int)


def _median(values: Float[np.ndarray, "n"]) -> np.floating:
    """Returns the median, and leaves `values` in another order.

    NumPy has vector instructions for a partition at one place, not at two.
    """
    half = len(values) // 2
    values.partition(half)
    upper = values[half]
    return upper if len(values) % 2 else (values[:half].max() + upper) / 2
