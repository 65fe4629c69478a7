"""The values in bands of an image, and the sentinels among them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from claran.sky.bands import Rows, any_is, edges

__all__ = ["IMPOSSIBLE", "BandValues", "band_values", "sentinels"]

IMPOSSIBLE = np.float32(1e18)
"""No unit of brightness has such values."""

GAP = 10.0  # A sentinel is this much beyond all other values.


class BandValues(NamedTuple):
    """What a band holds, apart from pixels that are not finite or beyond 1e18."""

    low: float = math.inf
    lows: float = 0
    low_edge: float = False  # Whether pixels of this value are at the image's edge.
    next_low: float = math.inf
    high: float = -math.inf
    highs: float = 0
    high_edge: float = False
    next_high: float = -math.inf
    total: float = 0.0  # Of absolute values, without those that may be sentinels.
    count: float = 0
    without_low: float = False  # Whether `total` and `count` are without the lowest.
    without_high: float = False
    is_flat: float = False  # Whether three pixels side by side are the same.
    quietest: float = math.inf  # Largest absolute value of three pixels, the lowest.


def band_values(
    values: Float32[np.ndarray, "h nx"], band: Rows, shape: tuple[int, int]
) -> BandValues:
    """Returns what a band holds.

    Args:
        values: The rows, over the whole width of the image.
        band: First row, and the row after the last one.
        shape: `(ny, nx)` of the image.
    """
    low, high = values.min(), values.max()
    known = values
    if not (low > -IMPOSSIBLE and high < IMPOSSIBLE):  # Also NaN.
        known = values[np.abs(values) < IMPOSSIBLE]
        if not known.size:
            return BandValues()
        low, high = known.min(), known.max()
    is_low, is_high = known == low, known == high
    next_low = np.where(is_low, np.float32(np.inf), known).min()
    next_high = np.where(is_high, np.float32(-np.inf), known).max()
    # Where values of the whole image are far beyond all others, those of a band are.
    without_high = low < high and high >= GAP * max(-low, next_high)
    top = next_high if without_high else high
    without_low = next_low > top or -low >= GAP * max(-next_low, top)
    size, counted = np.abs(known), known.size
    for without, same in (without_low, is_low), (without_high, is_high):
        if without:
            size[same], counted = 0, counted - np.count_nonzero(same)
    rim = edges(values, band, shape)
    third = values[-band[0] % 3 :: 3]  # Every square has one of these rows.
    equal = third[:, 1:] == third[:, :-1]
    third = np.abs(third)
    quiet = np.maximum(np.maximum(third[:, 2:], third[:, 1:-1]), third[:, :-2])
    return BandValues(
        low=low, lows=np.count_nonzero(is_low), low_edge=any_is(rim, low),
        next_low=next_low, high=high, highs=np.count_nonzero(is_high),
        high_edge=any_is(rim, high), next_high=next_high,
        total=size.sum(dtype=float), count=counted, without_low=without_low,
        without_high=without_high, is_flat=(equal[:, 1:] & equal[:, :-1]).any(),
        quietest=np.fmin.reduce(quiet, axis=None, initial=np.inf),
    )  # fmt: skip


def sentinels(bands: Sequence[BandValues]) -> tuple[float, ...]:
    """Returns the repeated extremes that are far beyond the other values."""
    low, high = min(b.low for b in bands), max(b.high for b in bands)
    next_low = min(b.low if b.low > low else b.next_low for b in bands)
    next_high = max(b.high if b.high < high else b.next_high for b in bands)
    found = ()
    highs = [band for band in bands if band.high == high]
    at_edge = high < 0 or any(band.high_edge for band in highs)
    count = sum(band.highs for band in highs)
    if at_edge and _is_beyond(high, count, low if low < high else math.inf, next_high):
        found, high = (high,), next_high
    if next_low > high:
        return found  # The lowest is the only one left.
    lows = [band for band in bands if band.low == low]
    at_edge = low < 0 or any(band.low_edge for band in lows)
    if at_edge and _is_beyond(-low, sum(b.lows for b in lows), next_low, high):
        found = (*found, low)
    return found


def _is_beyond(extreme: float, count: float, low: float, high: float) -> bool:
    """Returns whether an extreme is a sentinel, by the other values."""
    if count < 2 or not low <= high or not (low or high):
        return False
    return extreme >= GAP * max(-low, high)
