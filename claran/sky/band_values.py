"""The values in bands of an image, and the sentinels among them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32

from claran.sky.bands import Rows, any_is, edges

__all__ = ["IMPOSSIBLE", "BandValues", "band_values", "sentinels"]

IMPOSSIBLE = np.float32(1e18)
"""No unit of brightness has such values."""

GAP = 10.0  # A sentinel is this much beyond all other values.
COLUMNS = 1024


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
    number: float = 0  # Of values in `total`.
    without_low: float = False  # Whether `total` is without the lowest.
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
    known = known.ravel()
    is_low, is_high = known == low, known == high
    next_low, next_high = -_next_high(-known, -low), _next_high(known, high)
    # Where values of the whole image are far beyond all others, those of a band are.
    without_high = bool(low < high and high >= GAP * max(-low, next_high))
    top = next_high if without_high else high
    without_low = bool(next_low > top or -low >= GAP * max(-next_low, top))
    counted = known
    if without_low or without_high:
        counted = known[~(is_low & without_low | is_high & without_high)]
    rim = edges(values, band, shape)
    third = values[-band[0] % 3 :: 3]  # Every square has one of these rows.
    equal = third[:, 1:] == third[:, :-1]
    third = np.abs(third)
    quiet = np.maximum(np.maximum(third[:, 2:], third[:, 1:-1]), third[:, :-2])
    return BandValues(
        low=float(low), lows=int(is_low.sum()), low_edge=any_is(rim, low),
        next_low=float(next_low), high=float(high), highs=int(is_high.sum()),
        high_edge=any_is(rim, high), next_high=float(next_high),
        total=cv2.norm(counted, cv2.NORM_L1) if counted.size else 0.0,
        number=counted.size, without_low=without_low, without_high=without_high,
        is_flat=bool((equal[:, 1:] & equal[:, :-1]).any()),
        quietest=float(np.fmin.reduce(quiet, axis=None, initial=np.inf)),
    )  # fmt: skip


def _next_high(
    known: Float32[np.ndarray, "n"], high: np.floating
) -> np.floating | float:
    """Returns the highest value but one, -inf without any.

    Almost all columns of a table of the values do not hold the highest.
    """
    size = len(known) // COLUMNS * COLUMNS
    table = known[:size].reshape(-1, COLUMNS)
    tops = table.max(axis=0, initial=-np.inf)
    held = np.concatenate([tops, table[:, tops == high].ravel(), known[size:]])
    return held[held < high].max(initial=-np.inf)


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
