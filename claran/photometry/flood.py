"""Flood islands: the emission about each detection, down to a low level."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32
from scipy import ndimage

__all__ = ["FLOOD", "SEED", "IslandCutout", "flood_cutouts", "flood_labels"]

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
        others: (h, w) the pixels of other flood islands, which are not used.
        islands: (h, w) 0, or one plus the index of the island within this cutout.
    """

    x0: int
    y0: int
    values: Float32[np.ndarray, "h w"]
    noise: Float32[np.ndarray, "h w"]
    flood: Bool[np.ndarray, "h w"]
    others: Bool[np.ndarray, "h w"]
    islands: Int32[np.ndarray, "h w"]


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
        beam: FWHM of the beam, pixels; of its major axis, if it is elliptical.
        islands: Labels of the islands that become components of sources, 0 elsewhere;
            None for none.
    """
    labels = flood_labels(signal_to_noise)
    margin = int(np.ceil(MARGIN_BEAMS * beam))
    found = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        y0, x0 = max(0, rows.start - margin), max(0, columns.start - margin)
        part = slice(y0, rows.stop + margin), slice(x0, columns.stop + margin)
        own = labels[part]
        flood = own == label
        inside = np.zeros(own.shape, np.int32)
        if islands is not None:
            names = islands[part][flood]
            inside[flood] = np.searchsorted(np.union1d(names, 0), names)
        others = (own > 0) & ~flood
        found.append(
            IslandCutout(x0, y0, values[part], noise[part], flood, others, inside)
        )
    return found
