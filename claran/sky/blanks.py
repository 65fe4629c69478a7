"""Blank pixels that are not NaN: the padding of mosaics, and sentinels."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float32

__all__ = ["blank_pixels"]

IMPOSSIBLE = np.float32(1e18)  # No unit of brightness has such values.
GAP = 10.0  # A sentinel is this much beyond all other values.
TINY = 1e-6  # In units of the mean absolute value; padding that was resampled.
LEAST_IN_SQUARES = 0.2  # Share of the pixels of a value; noise has few in squares.
MOSTLY = 0.5
BAND = 2**20  # Pixels.
LEAST_NEGATIVE = 0.1  # Share of the pixels of an image with noise.
SQUARE = np.ones((3, 3), np.uint8)


def blank_pixels(values: Float32[np.ndarray, "ny nx"]) -> Bool[np.ndarray, "ny nx"]:
    """Returns the pixels that hold no measurement.

    They are pixels that

    * are not finite or beyond 1e18;
    * have the lowest or the highest value, if several do and it is at least 10 times
      beyond all others, such as -9999 or 1e6;
    * lie in squares of 3 x 3 pixels of one value, or have the value of such squares
      unless it is 0. In an image of integers noise has such squares too; there the side
      must be three times that of the largest square of any other value. Tiny values, as
      resampling leaves them, count as 0.

    A positive value must reach the edge of the image, as it could be a source whose top
    is flat. If squares of zeros fill half of the image, and what is left has no noise,
    it is a model, and they are not blank.

    Args:
        values: The image, in any unit.
    """
    blank = np.empty(values.shape, bool)
    for rows in _bands(values.shape):
        blank[rows] = ~(np.abs(values[rows]) < IMPOSSIBLE)
    for sign in (1, -1):
        blank |= _sentinel(values, blank, sign)
    padding = blank | _padding(values, blank)
    return blank if padding.all() else padding


def _sentinel(
    values: Float32[np.ndarray, "ny nx"], blank: Bool[np.ndarray, "ny nx"], sign: int
) -> Bool[np.ndarray, "ny nx"] | bool:
    """Returns the pixels with a repeated extreme that is far beyond the others."""
    low, high = _extremes(values, ~blank)
    extreme = high if sign > 0 else low
    same = values == extreme
    low, high = _extremes(values, ~(blank | same))
    if np.count_nonzero(same) < 2 or not low <= high or not (low or high):
        return False
    if not sign * extreme >= GAP * max(-low, high):
        return False
    return _at_edge(same, extreme)


def _padding(
    values: Float32[np.ndarray, "ny nx"], blank: Bool[np.ndarray, "ny nx"]
) -> Bool[np.ndarray, "ny nx"] | bool:
    """Returns the pixels in squares of one value."""
    total = sum(
        np.abs(values[rows]).sum(where=~blank[rows], dtype=float)
        for rows in _bands(values.shape)
    )
    tiny = TINY * total / max(values.size - np.count_nonzero(blank), 1)
    flat = _flat_centers(values, blank, tiny)
    if not flat.any():
        return False
    found = np.where(np.abs(values[flat]) < tiny, np.float32(0), values[flat])
    levels, counts = np.unique(found, return_counts=True)
    level = levels[counts.argmax()]
    same = _has_level(values, level, tiny) & ~blank
    squares = _squares(same, 3 * _largest_square(flat & ~same))
    if np.count_nonzero(squares) < LEAST_IN_SQUARES * np.count_nonzero(same):
        return False
    if level != 0:
        return _at_edge(same, level)
    rest = ~(squares | blank)
    negative = np.count_nonzero((values < 0) & (values <= -tiny) & rest)
    has_noise = negative > LEAST_NEGATIVE * np.count_nonzero(rest)
    return squares if has_noise or squares.mean() < MOSTLY else False


def _bands(shape: tuple[int, int]) -> Iterator[slice]:
    """Yields rows of about a million pixels, so that copies need little memory."""
    step = max(1, BAND // shape[1])
    for start in range(0, shape[0], step):
        yield slice(start, start + step)


def _extremes(
    values: Float32[np.ndarray, "ny nx"], known: Bool[np.ndarray, "ny nx"]
) -> tuple[np.floating, np.floating]:
    """Returns the lowest and the highest known value, inf and -inf without any."""
    low = values.min(where=known, initial=np.inf)
    return low, values.max(where=known, initial=-np.inf)


def _flat_centers(
    values: Float32[np.ndarray, "ny nx"], blank: Bool[np.ndarray, "ny nx"], tiny: float
) -> Bool[np.ndarray, "ny nx"]:
    """Returns the centers of squares of 3 x 3 known pixels of one value."""
    flat = np.zeros(values.shape, bool)
    for rows in _bands(values.shape):
        start = max(rows.start - 1, 0)
        around = slice(start, rows.stop + 1)
        unknown = blank[around]
        known = np.where(unknown, np.float32(0), values[around])
        known[np.abs(known) < tiny] = 0
        same = cv2.dilate(known, SQUARE) == cv2.erode(known, SQUARE)
        same &= ~cv2.dilate(unknown.view(np.uint8), SQUARE).view(bool)
        inner = flat[rows]
        inner[:] = same[rows.start - start :][: len(inner)]
    flat[[0, -1]] = False
    flat[:, [0, -1]] = False
    return flat


def _has_level(
    values: Float32[np.ndarray, "ny nx"], level: np.floating, tiny: float
) -> Bool[np.ndarray, "ny nx"]:
    """Returns the pixels of a level; tiny values have the level 0."""
    if level != 0:
        return values == level
    return (values == 0) | ((values < tiny) & (values > -tiny))


def _at_edge(
    same: Bool[np.ndarray, "ny nx"], level: np.floating
) -> Bool[np.ndarray, "ny nx"] | bool:
    """Returns the pixels of a level; False if it is positive and not at the edge."""
    edge = same[[0, -1]].any() or same[:, [0, -1]].any()
    return same if edge or level < 0 else False


def _largest_square(flat: Bool[np.ndarray, "ny nx"]) -> int:
    """Returns the side of the largest square of one value, 1 without any.

    Args:
        flat: Centers of squares of 3 x 3 pixels.
    """
    centers, side = flat.view(np.uint8), 1
    while centers.any():
        centers = cv2.erode(centers, SQUARE, borderValue=0)
        side += 2
    return side


def _squares(same: Bool[np.ndarray, "ny nx"], side: int) -> Bool[np.ndarray, "ny nx"]:
    """Returns the pixels in squares that are all set."""
    opened = cv2.morphologyEx(
        same.view(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8),
        borderType=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return opened.view(bool)
