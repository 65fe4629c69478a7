"""Linear interpolation of an image, the same for all of it and for any part.

OpenCV's `resize` rounds the position of a pixel to 32 bits, and interpolates the last
columns of an image by other instructions than the first. So a part of a large image
would differ in the last bits from the same part of the whole.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

__all__ = [
    "Samples",
    "from_first",
    "interpolate",
    "linear_samples",
    "rescaled_part",
]


class Samples(NamedTuple):
    """Where pixels of a rescaled image lie between those of the image, on one axis."""

    low: Int[np.ndarray, "n"]
    """Pixel of the image at or before each."""
    high: Int[np.ndarray, "n"]
    """Pixel at or after it; the same one at the center of a pixel."""
    weight: Float32[np.ndarray, "n"]
    """Weight of `high`; that of `low` is `1 - weight`."""


def linear_samples(
    source: int, target: int, start: int = 0, stop: int | None = None
) -> Samples:
    """Returns the samples of some pixels of a rescaled image, on one axis.

    Args:
        source: Pixels of the image along the axis.
        target: Pixels of the rescaled image, which covers the same sky.
        start: First pixel of the rescaled image to sample.
        stop: End of these pixels; None for the end of the image.

    >>> linear_samples(4, 2)
    Samples(low=array([0, 2]), high=array([1, 3]), weight=array([0.5, 0.5], dtype=float32))
    """  # noqa: E501
    pixels = np.arange(start, target if stop is None else stop)
    places = np.clip((pixels + 0.5) * (source / target) - 0.5, 0, source - 1)
    low = np.floor(places)
    return Samples(
        low.astype(np.int64),
        np.ceil(places).astype(np.int64),
        (places - low).astype(np.float32),
    )


def interpolate(
    values: Float32[np.ndarray, "h w"], rows: Samples, columns: Samples
) -> Float32[np.ndarray, "rows columns"]:
    """Returns an image at these samples; NaN next to a NaN.

    Args:
        values: The image, or a part of it that `rows` and `columns` count in.
        rows: Samples along the first axis.
        columns: Samples along the second.
    """
    weight = rows.weight[:, None]
    part = values[rows.low] * (1 - weight) + values[rows.high] * weight
    weight = columns.weight
    low, high = (
        np.take(part, places, axis=1) for places in (columns.low, columns.high)
    )
    low *= 1 - weight
    high *= weight
    low += high
    return low


def rescaled_part(
    read: Callable[[slice, slice], Float32[np.ndarray, "h w"]],
    source: tuple[int, int],
    target: tuple[int, int],
    part: tuple[slice, slice],
) -> Float32[np.ndarray, "rows columns"]:
    """Returns a part of an image after it is enlarged, or made smaller by averages.

    It is what OpenCV's `resize` makes of the whole image with `INTER_LINEAR` and
    `INTER_AREA`, but for rounding.

    Args:
        read: Returns rows and columns of the image.
        source: Rows and columns of the image.
        target: Rows and columns of the rescaled image, which covers the same sky.
        part: Rows and columns of that.
    """
    if source == target:
        return read(*part)
    if source[0] > target[0]:
        axes = [_shares(*axis) for axis in zip(source, target, part, strict=True)]
        needed = [
            slice(int(first[0]), min(int(first[-1]) + weights.shape[1], side))
            for (first, weights), side in zip(axes, source, strict=True)
        ]
        values = read(needed[0], needed[1])
        for first, weights in axes:  # The rows; then, turned, the columns.
            values = _average(values, first - first[0], weights).T
        return np.ascontiguousarray(values)
    axes = [
        linear_samples(side, scaled, own.start, own.stop)
        for side, scaled, own in zip(source, target, part, strict=True)
    ]
    needed = [slice(int(axis.low[0]), int(axis.high[-1]) + 1) for axis in axes]
    return interpolate(read(needed[0], needed[1]), *map(from_first, axes))


def from_first(samples: Samples) -> Samples:
    """Returns samples counted from the first pixel that is needed."""
    first = samples.low[0]
    return Samples(samples.low - first, samples.high - first, samples.weight)


def _shares(
    source: int, target: int, part: slice
) -> tuple[Int[np.ndarray, "n"], Float32[np.ndarray, "n k"]]:
    """Returns the first pixel that each rescaled one covers, and the shares of all."""
    scale = source / target
    low = np.arange(part.start, part.stop) * scale
    first = np.floor(low).astype(np.int64)
    pixels = first[:, None] + np.arange(math.ceil(scale) + 1)
    covered = np.minimum(pixels + 1, low[:, None] + scale)
    covered -= np.maximum(pixels, low[:, None])
    covered = np.where(pixels < source, covered, 0).clip(min=0)
    return first, (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


def _average(
    values: Float32[np.ndarray, "h w"],
    first: Int[np.ndarray, "n"],
    weights: Float32[np.ndarray, "n k"],
) -> Float32[np.ndarray, "n w"]:
    """Returns weighted means of rows, added up in one order."""
    last = len(values) - 1
    found = values[first] * weights[:, :1]
    for offset in range(1, weights.shape[1]):
        rows = np.minimum(first + offset, last)
        found += values[rows] * weights[:, offset : offset + 1]
    return found
