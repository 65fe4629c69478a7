"""Flood islands: the emission about each detection, down to a low level."""

import dataclasses
import math
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Int32
from scipy import ndimage

__all__ = [
    "FLOOD",
    "MARGIN_BEAMS",
    "SEED",
    "IslandCutout",
    "NumberedCutout",
    "flood_cutouts",
    "flood_labels",
    "number_islands",
    "numbered_cutouts",
]

FLOOD = 3.0
"""Signal-to-noise above which pixels belong to a flood island."""
SEED = 5.0
"""Signal-to-noise that one pixel of a flood island must have."""

MARGIN_BEAMS = 2.0  # Around an island, for fits.


@dataclasses.dataclass(frozen=True, eq=False)
class IslandCutout:
    """The pixels of one flood island, with a margin.

    Attributes:
        x0: Column of the cutout's first pixel in the image.
        y0: Row of the cutout's first pixel in the image.
        values: (h, w) brightness above the background, Jy/beam; NaN is blank.
        noise: (h, w) of each pixel, Jy/beam.
        flood: (h, w) the pixels of this flood island.
        others: (h, w) all other pixels above `FLOOD`, which are not used: those of
            other flood islands, and peaks of noise.
        islands: (h, w) 0, or one plus the index of the island within this cutout.
    """

    x0: int
    y0: int
    values: Float32[np.ndarray, "h w"]
    noise: Float32[np.ndarray, "h w"]
    flood: Bool[np.ndarray, "h w"]
    others: Bool[np.ndarray, "h w"]
    islands: Int32[np.ndarray, "h w"]


class NumberedCutout(NamedTuple):
    """A cutout, and what the image says of it."""

    number: int
    """Number of the flood island in the image."""
    islands: Int[np.ndarray, "k"]
    """Numbers of its islands in the image, increasing."""
    peaks: Int[np.ndarray, "k grids"]
    """Number of the peaks of each of these islands, see `claran.sky.peak_counts`."""
    cutout: IslandCutout


def number_islands(
    labels: Int32[np.ndarray, "h w"],
) -> tuple[Int32[np.ndarray, "h w"], Int[np.ndarray, "k"]]:
    """Returns the islands of one cutout, and their numbers in the image.

    Args:
        labels: 0, or 1 + number of the island that a pixel of the flood island is in.

    Returns:
        0, or 1 + place of the island among the numbers; the numbers, increasing.

    >>> places, numbers = number_islands(np.array([[0, 8, 3]], np.int32))
    >>> places.tolist(), numbers.tolist()
    ([[0, 2, 1]], [2, 7])
    """
    numbers = np.unique(labels[labels > 0]).astype(np.int64)
    places = np.searchsorted(numbers, labels) + 1
    places[labels == 0] = 0
    return places.astype(np.int32), numbers - 1


def flood_labels(
    signal_to_noise: Float32[np.ndarray, "ny nx"],
) -> Int32[np.ndarray, "ny nx"]:
    """Returns the flood islands of an image in scan order, from 1; 0 elsewhere.

    They are the 8-connected pixels above `FLOOD` that hold a pixel above `SEED`.

    >>> flood_labels(np.array([[6, 4, 0, 4, 3]], np.float32)).tolist()
    [[1, 1, 0, 0, 0]]
    """
    above = signal_to_noise > FLOOD
    count, found = cv2.connectedComponents(above.view(np.uint8), connectivity=8)
    found = np.asarray(found, np.int32)
    keep = np.zeros(count, bool)
    keep[found[signal_to_noise > SEED]] = True
    keep[0] = False
    first = np.full(count, found.size)
    places = np.flatnonzero(above)
    first[found.ravel()[places[::-1]]] = places[::-1]
    names = np.zeros(count, np.int32)
    chosen = np.flatnonzero(keep)
    names[chosen[np.argsort(first[chosen])]] = np.arange(1, len(chosen) + 1)
    return names[found]


def flood_cutouts(
    values: Float32[np.ndarray, "ny nx"],
    noise: Float32[np.ndarray, "ny nx"],
    signal_to_noise: Float32[np.ndarray, "ny nx"],
    beam: float,
    *,
    islands: Int32[np.ndarray, "ny nx"] | None = None,
) -> list[IslandCutout]:
    """Returns the cutouts of all flood islands of an image in one piece.

    Args:
        values: Brightness above the background, Jy/beam; NaN is blank.
        noise: Of each pixel, Jy/beam.
        signal_to_noise: In which the islands are sought.
        beam: FWHM of the beam, pixels; the mean of both axes, if it is elliptical.
        islands: Labels of the islands that become components of sources, 0 elsewhere;
            None for none.
    """
    if islands is None:
        islands = np.zeros(values.shape, np.int32)
    found = numbered_cutouts(
        values, noise, signal_to_noise, beam, islands=islands,
        peaks=np.ones((int(islands.max(initial=0)), 1), np.int64),
    )  # fmt: skip
    return [one.cutout for one in found]


def numbered_cutouts(
    values: Float32[np.ndarray, "ny nx"],
    noise: Float32[np.ndarray, "ny nx"],
    signal_to_noise: Float32[np.ndarray, "ny nx"],
    beam: float,
    *,
    islands: Int32[np.ndarray, "ny nx"],
    peaks: Int[np.ndarray, "k grids"],
) -> list[NumberedCutout]:
    """Returns the cutouts of `flood_cutouts`, in scan order, with their numbers.

    Args:
        values: See there.
        noise: See there.
        signal_to_noise: See there.
        beam: See there.
        islands: 0, or 1 + number of the island that a pixel is in.
        peaks: Number of the peaks of each island, in several grids.
    """
    labels = flood_labels(signal_to_noise)
    above = signal_to_noise > FLOOD
    margin = math.ceil(MARGIN_BEAMS * beam)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels)):
        y0, x0 = max(0, rows.start - margin), max(0, columns.start - margin)
        part = slice(y0, rows.stop + margin), slice(x0, columns.stop + margin)
        flood = labels[part] == number + 1
        inside, own = number_islands(np.where(flood, islands[part], np.int32(0)))
        cutout = IslandCutout(
            x0, y0, values[part], noise[part], flood, above[part] & ~flood, inside
        )
        found.append(NumberedCutout(number, own, peaks[own], cutout))
    return found
