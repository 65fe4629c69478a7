"""The noise of a radio image, of the whole and about each pixel."""

import math

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy import ndimage

__all__ = ["local_noise", "noise"]

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
    finite = np.sort(values[np.isfinite(values)])
    if finite.size == 0:
        return float("nan")
    deviations = np.sort(np.abs(finite - _middle(finite)))
    return MAD_TO_SIGMA * float(_middle(deviations))


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
    sigmas[~(sigmas > 0)] = noise(values)
    places = [
        np.interp(np.arange(length), starts + (side - 1) / 2, np.arange(len(starts)))
        for length, starts in zip(values.shape, (rows, columns), strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij")
    return ndimage.map_coordinates(sigmas, grid, np.float32, order=1)


def _window_starts(length: int, side: int) -> Int[np.ndarray, "k"]:
    """Returns where windows begin, at most half a window apart, from edge to edge."""
    room = max(0, length - side)
    count = math.ceil(2 * room / side) + 1
    return np.round(np.linspace(0, room, count)).astype(int)


def _middle(values: Float[np.ndarray, "n"]) -> np.floating:
    """Returns the median of sorted values.

    Sorting is vectorised: with `np.median`, which partitions, the noise of a field took
    three times as long.
    """
    half = len(values) // 2
    return values[half - 1 + len(values) % 2 : half + 1].mean()
