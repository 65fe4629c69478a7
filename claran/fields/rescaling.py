"""Linear interpolation of an image, the same for all of it and for any part.

OpenCV's `resize` rounds the position of a pixel to 32 bits, and interpolates the last
columns of an image by other instructions than the first. So a part of a large image
would differ in the last bits from the same part of the whole.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

__all__ = ["Samples", "interpolate", "linear_samples"]


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
