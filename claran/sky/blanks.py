"""Blank pixels that are not NaN: the padding of mosaics, and sentinels."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

__all__ = ["blank_pixels"]

IMPOSSIBLE = np.float32(1e18)  # No unit of brightness has such values.
GAP = 10.0  # A sentinel is this much beyond all other values.
TINY = 1e-6  # In units of the mean absolute value; padding that was resampled.
LEAST_IN_SQUARES = 0.2  # Share of the pixels of a value; noise has few in squares.
MOSTLY = 0.5
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
    with np.errstate(invalid="ignore"):
        blank = ~(np.abs(values) < IMPOSSIBLE)
    for sign in (1, -1):
        blank |= _sentinel(values, blank, sign)
    padding = blank | _padding(values, blank)
    return blank if padding.all() else padding


def _sentinel(
    values: Float32[np.ndarray, "ny nx"], blank: Bool[np.ndarray, "ny nx"], sign: int
) -> Bool[np.ndarray, "ny nx"] | bool:
    """Returns the pixels with a repeated extreme that is far beyond the others."""
    known = values[~blank]
    if not known.size:
        return False
    extreme = known.max() if sign > 0 else known.min()
    others = known[known != extreme]
    if len(known) - len(others) < 2 or not others.any():
        return False
    if not sign * extreme >= GAP * np.abs(others).max():
        return False
    return _at_edge(values == extreme, extreme)


def _padding(
    values: Float32[np.ndarray, "ny nx"], blank: Bool[np.ndarray, "ny nx"]
) -> Bool[np.ndarray, "ny nx"] | bool:
    """Returns the pixels in squares of one value."""
    known = np.where(blank, np.float32(0), values)
    filled = values.size - np.count_nonzero(blank)
    tiny = TINY * np.abs(known).sum(dtype=float) / max(filled, 1)
    known[np.abs(known) < tiny] = 0
    flat = cv2.dilate(known, SQUARE) == cv2.erode(known, SQUARE)
    # Squares with all nine pixels.
    flat &= ~cv2.dilate(blank.view(np.uint8), SQUARE).view(bool)
    flat[[0, -1]] = False
    flat[:, [0, -1]] = False
    if not flat.any():
        return False
    levels, counts = np.unique(known[flat], return_counts=True)
    level = levels[counts.argmax()]
    same = (known == level) & ~blank
    found = _squares(same, 3 * _largest_square(flat & (known != level)))
    if np.count_nonzero(found) < LEAST_IN_SQUARES * np.count_nonzero(same):
        return False
    if level != 0:
        return _at_edge(same, level)
    rest = known[~(found | blank)]
    has_noise = rest.size > 0 and (rest < 0).mean() > LEAST_NEGATIVE
    return found if has_noise or found.mean() < MOSTLY else False


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
