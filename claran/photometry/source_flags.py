"""What a user of a source should know about it, as bits of one number."""

import enum
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

__all__ = [
    "FLAG_MEANINGS",
    "SourceFlag",
    "are_blended",
    "are_near_bright",
    "are_too_large",
]

BRIGHT_BEAMS, BRIGHT_RATIO = 30.0, 200.0


class SourceFlag(enum.IntFlag):
    """Bits of a source's `flags`; `FLAG_MEANINGS` says what each means.

    >>> int(SourceFlag.AT_EDGE | SourceFlag.BLENDED)
    5
    """

    AT_EDGE = 1
    NEAR_BLANK = 2
    BLENDED = 4
    NEAR_BRIGHT = 8
    TOO_LARGE = 16
    FIT_FAILED = 32
    PIXEL_FLUX = 64
    AMBIGUOUS = 128


FLAG_MEANINGS: Mapping[SourceFlag, str] = {
    SourceFlag.AT_EDGE: "Its emission reaches the edge of the image",
    SourceFlag.NEAR_BLANK: "Its emission touches blank pixels",
    SourceFlag.BLENDED: "Its emission runs into that of another source",
    SourceFlag.NEAR_BRIGHT: "It is within 30 beams of a source 200 times as bright",
    SourceFlag.TOO_LARGE: "It is larger than what the network sees at once",
    SourceFlag.FIT_FAILED: "An island of it has no Gaussian that could be fitted",
    SourceFlag.PIXEL_FLUX: "Part of its flux is the sum of pixels, not of Gaussians",
    SourceFlag.AMBIGUOUS: "Another grouping of its islands has a probability over 0.2",
}


def are_blended(
    floods: Int[np.ndarray, "m"], sources: Int[np.ndarray, "m"], number: int
) -> Bool[np.ndarray, "{number}"]:
    """Returns which sources have an island in one flood island with another source.

    Args:
        floods: Flood island of each island of a source.
        sources: The source of each.
        number: Number of sources.
    """
    pairs = np.unique(np.stack([floods, sources], axis=1), axis=0)
    _, place, times = np.unique(pairs[:, 0], return_inverse=True, return_counts=True)
    blended = np.zeros(number, bool)
    blended[pairs[times[place] > 1, 1]] = True
    return blended


def are_near_bright(
    x: Float[np.ndarray, "n"],
    y: Float[np.ndarray, "n"],
    peak: Float[np.ndarray, "n"],
    beam: float,
) -> Bool[np.ndarray, "n"]:
    """Returns which sources are within 30 beams of one with 200 times their peak.

    Args:
        x: Position, pixels.
        y: Position, pixels.
        peak: Brightness.
        beam: FWHM, pixels.
    """
    near = np.zeros(len(x), bool)
    (bright,) = np.nonzero(peak >= BRIGHT_RATIO * peak.min(initial=np.inf))
    if not len(bright):
        return near
    places = np.stack([x, y], axis=1)
    around = KDTree(places).query_ball_point(places[bright], BRIGHT_BEAMS * beam)
    for one, rows in zip(bright, around, strict=True):
        near[rows] |= peak[rows] * BRIGHT_RATIO <= peak[one]
    return near


def are_too_large(
    boxes: Float[np.ndarray, "n 4"],
    clusters: Float[np.ndarray, "n 4"],
    window: float,
    overlap: float,
) -> Bool[np.ndarray, "n"]:
    """Returns which sources the network may not have seen whole.

    Args:
        boxes: Of the sources.
        clusters: Of the clusters of islands that they are in.
        window: Longest side of what is seen at once, pixels.
        overlap: Longest side of what is whole in one of several windows, pixels.
    """
    side, all_of_it = ((b[:, 2:] - b[:, :2]).max(axis=1) for b in (boxes, clusters))
    return (side > window) | ((all_of_it > window) & (side > overlap))
