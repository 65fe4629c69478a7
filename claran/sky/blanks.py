"""Blank pixels that are not NaN: the padding of mosaics, and sentinels.

What is blank depends on the whole image. So it is read in bands, and what they hold
gives a rule, which is then applied to any part of it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from claran.sky.band_values import IMPOSSIBLE, BandValues, band_values, sentinels
from claran.sky.bands import (
    CHUNK,
    Found,
    Pixels,
    Rows,
    RunJobs,
    any_is,
    around,
    bands,
    edges,
    run_here,
)

__all__ = ["BlankRule", "blank_pixels", "find_blanks"]

TINY = 1e-6  # In units of the mean absolute value; padding that was resampled.
LEAST_IN_SQUARES = 0.2  # Share of the pixels of a value; noise has few in squares.
MOSTLY = 0.5
LEAST_NEGATIVE = 0.1  # Share of the pixels of an image with noise.
LARGEST_SQUARE = 33  # Pixels; those of integer noise are smaller.
SQUARE = np.ones((3, 3), np.uint8)


@dataclasses.dataclass(frozen=True)
class BlankRule:
    """What is blank in an image, besides what is not finite or beyond 1e18.

    Attributes:
        sentinels: Values of blank pixels.
        tiny: Smaller values count as 0.
        side: Side of the squares of zeros that are blank; 0 for none.
    """

    sentinels: tuple[float, ...] = ()
    tiny: float = 0.0
    side: int = 0

    @property
    def halo(self) -> int:
        """How far from a pixel others decide whether it is blank, in pixels."""
        return max(self.side - 1, 0)

    def may_have(self, values: Float32[np.ndarray, "h w"]) -> bool:
        """Returns whether a part of the image may have blank pixels.

        It takes a fifth of the time of `pixels`.

        Args:
            values: As stored.
        """
        if self.sentinels or self.side:
            return True
        return not (values.min() > -IMPOSSIBLE and values.max() < IMPOSSIBLE)  # NaN.

    def pixels(self, values: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
        """Returns the blank pixels of a part of the image with its halo.

        Args:
            values: As stored. Beyond its edges nothing is taken for 0.
        """
        blank = ~(np.abs(values) < IMPOSSIBLE)
        for value in self.sentinels:
            blank |= values == np.float32(value)
        if self.side:
            same = _has_level(values, 0.0, self.tiny)
            if same.any():
                blank |= _squares(same & ~blank, self.side)
        return blank


def blank_pixels(values: Float32[np.ndarray, "ny nx"]) -> Bool[np.ndarray, "ny nx"]:
    """Returns the pixels that hold no measurement, see `find_blanks`.

    Args:
        values: The image, in any unit.
    """
    pixels = _Array(values)
    rule = find_blanks(pixels)
    blank = np.empty(values.shape, bool)
    for rows in bands((0, len(values)), values.shape):
        part, inner = around(pixels, rows, rule.halo)
        blank[slice(*rows)] = rule.pixels(part)[inner]
    return blank


def find_blanks(pixels: Pixels, run: RunJobs = run_here) -> BlankRule:
    """Returns what pixels hold no measurement.

    They are pixels that

    * are not finite or beyond 1e18;
    * have the lowest or the highest value, if several do and it is at least 10 times
      beyond all others, such as -9999 or 1e6;
    * lie in squares of 3 x 3 pixels of one value, or have the value of such squares
      unless it is 0. In an image of integers noise has such squares too; there the side
      must be three times that of the largest square of any other value, or 99 pixels if
      that is larger. Tiny values, as resampling leaves them, count as 0.

    A positive value must reach the edge of the image, as it could be a source whose top
    is flat. If squares of zeros fill half of the image, and what is left has no noise,
    it is a model, and they are not blank.

    The image is read once, or three or four times if it has squares of one value.

    Args:
        pixels: The image.
        run: Runs the jobs that read it.
    """
    chunks = list(bands((0, pixels.shape[0]), pixels.shape, CHUNK))
    found = list(run("blank-values", _chunk_values, pixels, chunks))
    held = [BandValues(*row) for part in found for row in part["values"].tolist()]
    rule = _with_tiny(BlankRule(sentinels(held)), held)
    suspects = [
        chunk
        for i, chunk in enumerate(chunks)
        # A square may reach into the next chunk.
        if any(
            _may_be_flat(near["values"], rule) for near in found[max(i - 1, 0) : i + 2]
        )
    ]
    return _with_padding(pixels, rule, chunks, suspects, run) if suspects else rule


def _with_padding(
    pixels: Pixels,
    rule: BlankRule,
    chunks: Sequence[Rows],
    suspects: Sequence[Rows],
    run: RunJobs,
) -> BlankRule:
    """Returns the rule with the value of most squares, if that is padding.

    Args:
        pixels: The image.
        rule: The rule so far.
        chunks: Rows of the whole image.
        suspects: Rows that may have squares of one value.
        run: Runs the jobs.
    """
    flat = run("blank-squares", _chunk_levels, (pixels, rule), suspects)
    levels, counts = _summed([(one["levels"], one["counts"]) for one in flat])
    if not len(levels):
        return rule
    level, side = float(levels[counts.argmax()]), 1
    if len(levels) > 1:
        others = run("blank-others", _chunk_others, (pixels, rule, level), suspects)
        side = max(int(one["side"]) for one in others)
    padded = dataclasses.replace(rule, side=3 * side)
    context = (pixels, rule, padded, level)
    found = run("blank-counts", _chunk_counts, context, chunks)
    sums = np.sum([one["counts"] for one in found], axis=0)
    if not _is_padding(_Counts(*sums.tolist()), level, math.prod(pixels.shape)):
        return rule
    if level != 0:
        return dataclasses.replace(rule, sentinels=(*rule.sentinels, level))
    return padded


class _Counts(NamedTuple):
    """Numbers of pixels."""

    same: int  # Of the level of most squares.
    squares: int
    at_edge: int
    blank: int  # Without the squares.
    rest: int  # Neither blank nor in squares.
    negative: int  # Of those.
    known: int  # Neither blank nor of that level.


@dataclasses.dataclass(frozen=True)
class _Array:
    """Pixels in memory."""

    values: Float32[np.ndarray, "ny nx"]

    @property
    def shape(self) -> tuple[int, int]:
        ny, nx = self.values.shape
        return ny, nx

    def stored(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        return self.values[rows, columns]


def _chunk_values(pixels: Pixels, chunk: Rows) -> Found:
    rows = [
        band_values(around(pixels, band, 0)[0], band, pixels.shape)
        for band in bands(chunk, pixels.shape)
    ]
    return {"values": np.array(rows, float)}


def _with_tiny(rule: BlankRule, held: Sequence[BandValues]) -> BlankRule:
    """Returns the rule with what counts as 0, from the mean of what is not blank."""
    total, count = 0.0, 0.0
    for band in held:
        total, count = total + band.total, count + band.number
        for value, number, without in (
            (band.low, band.lows, band.without_low),
            (band.high, band.highs, band.without_high),
        ):
            if without and value not in rule.sentinels:
                total, count = total + abs(value) * number, count + number
    return dataclasses.replace(rule, tiny=TINY * total / max(count, 1))


def _may_be_flat(values: np.ndarray, rule: BlankRule) -> bool:
    """Returns whether a chunk may have squares of one value."""
    return any(
        band.is_flat or band.quietest < rule.tiny
        for band in (BandValues(*row) for row in values.tolist())
    )


def _chunk_levels(context: tuple[Pixels, BlankRule], chunk: Rows) -> Found:
    """Returns the values of squares of 3 x 3 pixels, and how many squares have them."""
    pixels, rule = context
    found = []
    for band in bands(chunk, pixels.shape):
        values, inner = around(pixels, band, 1)
        flat = _flat_centers(values, rule)[inner]
        levels = values[inner][flat]
        levels[np.abs(levels) < rule.tiny] = 0
        found.append(np.unique(levels, return_counts=True))
    levels, counts = _summed(found)
    return {"levels": levels, "counts": counts}


def _summed(found: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the values of several counts, and their sums."""
    values, counts = (np.concatenate(column) for column in zip(*found, strict=True))
    levels, place = np.unique(values, return_inverse=True)
    return levels, np.bincount(place, counts, len(levels)).astype(np.int64)


def _flat_centers(
    values: Float32[np.ndarray, "h nx"], rule: BlankRule
) -> Bool[np.ndarray, "h nx"]:
    """Returns the centers of squares of 3 x 3 known pixels of one value."""
    unknown = dataclasses.replace(rule, side=0).pixels(values)
    known = np.where(unknown, np.float32(0), values)
    known[np.abs(known) < rule.tiny] = 0
    flat = cv2.dilate(known, SQUARE) == cv2.erode(known, SQUARE)
    flat &= ~cv2.dilate(unknown.view(np.uint8), SQUARE).view(bool)
    flat[[0, -1]] = False
    flat[:, [0, -1]] = False
    return flat


def _chunk_others(context: tuple[Pixels, BlankRule, float], chunk: Rows) -> Found:
    """Returns the side of the largest square that is not of a level."""
    pixels, rule, level = context
    side = 1
    for band in bands(chunk, pixels.shape):
        values, _ = around(pixels, band, LARGEST_SQUARE)
        flat = _flat_centers(values, rule)
        flat &= ~_has_level(values, level, rule.tiny)
        side = max(side, _largest_square(flat))
    return {"side": np.array(side)}


def _largest_square(flat: Bool[np.ndarray, "h nx"]) -> int:
    """Returns the side of the largest square of one value, 1 without any.

    Args:
        flat: Centers of squares of 3 x 3 pixels.
    """
    centers, side = flat.view(np.uint8), 1
    while side < LARGEST_SQUARE and centers.any():
        centers = cv2.erode(centers, SQUARE, borderValue=0)
        side += 2
    return side


def _chunk_counts(
    context: tuple[Pixels, BlankRule, BlankRule, float], chunk: Rows
) -> Found:
    pixels, rule, padded, level = context
    counts = [
        _band_counts(pixels, rule, padded, level, band)
        for band in bands(chunk, pixels.shape)
    ]
    return {"counts": np.sum(counts, axis=0)}


def _band_counts(
    pixels: Pixels, rule: BlankRule, padded: BlankRule, level: float, band: Rows
) -> _Counts:
    values, inner = around(pixels, band, padded.halo)
    blank = rule.pixels(values)
    same = _has_level(values, level, rule.tiny) & ~blank
    squares = _squares(same, padded.side)[inner]
    same, blank, values = same[inner], blank[inner], values[inner]
    rest = ~(squares | blank)
    return _Counts(
        same=_number(same),
        squares=_number(squares),
        at_edge=any_is(edges(same, band, pixels.shape), True),
        blank=_number(blank),
        rest=_number(rest),
        negative=_number((values < 0) & (values <= -rule.tiny) & rest),
        known=_number(~(blank | same)),
    )


def _number(pixels: Bool[np.ndarray, "h nx"]) -> int:
    return int(np.count_nonzero(pixels))


def _is_padding(counts: _Counts, level: float, size: int) -> bool:
    """Returns whether the pixels of a level are blank."""
    if counts.squares < LEAST_IN_SQUARES * counts.same:
        return False
    if level != 0:
        return counts.known > 0 and (bool(counts.at_edge) or level < 0)
    has_noise = counts.negative > LEAST_NEGATIVE * counts.rest
    return counts.rest > 0 and (has_noise or counts.squares < MOSTLY * size)


def _has_level(
    values: Float32[np.ndarray, "h nx"], level: float, tiny: float
) -> Bool[np.ndarray, "h nx"]:
    """Returns the pixels of a level; tiny values have the level 0."""
    if level != 0:
        return values == np.float32(level)
    return (values == 0) | ((values < tiny) & (values > -tiny))


def _squares(same: Bool[np.ndarray, "h nx"], side: int) -> Bool[np.ndarray, "h nx"]:
    """Returns the pixels in squares that are all set."""
    opened = cv2.morphologyEx(
        same.view(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8),
        borderType=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return opened.view(bool)
