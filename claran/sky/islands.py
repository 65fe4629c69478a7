"""The rule behind the labels: islands of emission, and the peaks of each.

Banfield et al. (2015, MNRAS 453, 2326) drew contours of each field of Radio Galaxy Zoo
from a lowest level upwards in steps of sqrt(3). A component is an 8-connected island
above 9 / sqrt(3) = 5.196 sigma; a peak is a leaf of the island's contour tree: a
contour with none inside it. Inside an island, the pixels of one contour touch by a
side; two that share but a corner are apart. Of 168 real sources whose islands are known
159 get their class so, and 154 if corners join (tests/simulation/test_rgz_labels.py).

Positions and boxes are in pixel edges of the FITS array: column `i` covers
`[i, i + 1]`.
"""

import dataclasses
import math

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16, Int32
from scipy import ndimage

from claran.sky.beams import beam_area_pixels

__all__ = [
    "LEVEL_RATIO",
    "MOST_PEAKS",
    "THRESHOLD",
    "Islands",
    "Peaks",
    "class_code",
    "contour_levels",
    "find_all_peaks",
    "find_islands",
    "smallest_island",
]

THRESHOLD = 9 / math.sqrt(3)  # Lowest contour, in sigma.
LEVEL_RATIO = math.sqrt(3)
MOST_PEAKS = 3  # The catalog of Radio Galaxy Zoo's classes has no more.
SMALLEST = 0.39  # Beam areas, four pixels of 1.8" in FIRST; fewer pixels do not count.


@dataclasses.dataclass(frozen=True, eq=False)
class Islands:
    """The islands of one field, in scan order.

    Attributes:
        labels: (h, w) int32, 0 outside islands, `i + 1` in island `i`.
        boxes: (n, 4) float32, `(x0, y0, x1, y1)` in pixel edges.
    """

    labels: Int32[np.ndarray, "h w"]
    boxes: Float32[np.ndarray, "n 4"]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclasses.dataclass(frozen=True, eq=False)
class Peaks:
    """The peaks of all islands of a field, by island, the brightest of each first.

    Attributes:
        positions: (p, 2) float32, `(x, y)` of the center of each peak's brightest
            pixel, in pixel edges.
        islands: (p,) the island of each, from 0.
    """

    positions: Float32[np.ndarray, "p 2"]
    islands: Int[np.ndarray, "p"]

    def __len__(self) -> int:
        return len(self.positions)

    def counts(self, island_count: int) -> Int[np.ndarray, "{island_count}"]:
        """Returns the number of peaks of each of so many islands."""
        return np.bincount(self.islands, minlength=island_count)


def smallest_island(beam: float) -> int:
    """Returns how many pixels an island must have to count.

    Args:
        beam: Full width at half maximum, pixels.

    >>> smallest_island(3.0), smallest_island(0.5)
    (4, 1)
    """
    return max(1, round(SMALLEST * beam_area_pixels(beam)))


def find_islands(
    image: Float[np.ndarray, "h w"], sigma: float, *, min_pixels: int
) -> Islands:
    """Returns the 8-connected islands above `THRESHOLD * sigma`.

    Args:
        image: (h, w) brightness; NaN is below every level.
        sigma: Noise, in the image's unit.
        min_pixels: Islands of fewer pixels are dropped.
    """
    above = image > THRESHOLD * sigma
    # OpenCV's version with statistics takes ten times as long.
    count, labels = cv2.connectedComponents(above.view(np.uint8), connectivity=8)
    labels = np.asarray(labels, np.int32)
    keep = np.bincount(labels[above], minlength=count) >= min_pixels
    keep[0] = False
    bounds = ndimage.find_objects(labels, max_label=count - 1) if count > 1 else []
    boxes = [
        (columns.start, rows.start, columns.stop, rows.stop)
        for (rows, columns), kept in zip(bounds, keep[1:], strict=True)
        if kept
    ]
    if not keep[1:].all():
        labels = np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]
    return Islands(labels, np.array(boxes, np.float32).reshape(-1, 4))


def class_code(components: int, peaks: int) -> str:
    """Returns the class of a source of so many components and peaks.

    More than three peaks count as three: so does the catalog of sources of up to three
    components (22 of 168 have four or more by the rule).

    >>> class_code(2, 4), class_code(4, 4)
    ('2_3', '4_4')
    """
    return f"{components}_{max(components, min(peaks, MOST_PEAKS))}"


def contour_levels(
    image: Float[np.ndarray, "*shape"], sigma: float
) -> Int32[np.ndarray, "*shape"]:
    """Returns how many contours above the lowest each pixel lies; -1 is below it.

    >>> contour_levels(np.array([5.0, 5.2, 9.1, np.nan]), 1.0).tolist()
    [-1, 0, 1, -1]
    """
    above = image > THRESHOLD * sigma  # False where NaN.
    ratio = np.where(above, image, THRESHOLD * sigma) / (THRESHOLD * sigma)
    levels = np.log(ratio) * (1 / math.log(LEVEL_RATIO))
    return np.where(above, levels, -1).astype(np.int32)


def find_all_peaks(
    image: Float[np.ndarray, "h w"], islands: Islands, sigma: float
) -> Peaks:
    """Returns the peaks of all islands, at least one of each.

    A leaf of the contour tree is a set of pixels of one level that touch by a side,
    none of which touches a pixel of a higher level. So it is found by looking at the
    neighbors of each pixel, without drawing the contours level by level.

    Args:
        image: (h, w) brightness.
        islands: From `find_islands`.
        sigma: Noise, in the image's unit.
    """
    pixels = np.flatnonzero(islands.labels > 0)  # Of bool: a fifth of the time.
    values = image.ravel()[pixels]
    height, width = image.shape
    # With a border of -1, which is the level of the sky, every pixel has neighbors.
    framed = np.full((height + 2, width + 2), -1, np.int16)
    places = pixels + 2 * (pixels // width) + width + 3
    levels = contour_levels(values, sigma).astype(np.int16)
    framed.ravel()[places] = levels
    tops = np.flatnonzero(_neighbors(framed, places).max(axis=0) <= levels)
    pixels, values = pixels[tops], values[tops]
    levels, places = levels[tops], places[tops]
    # Two tops that touch have one level: the lower of two levels would be no top.
    is_top = np.zeros(image.shape, np.uint8)
    is_top.ravel()[pixels] = 1
    count, leaves = cv2.connectedComponents(is_top, connectivity=4)
    own = np.asarray(leaves, np.int32).ravel()[pixels]
    # Tops that touch their own level outside the tops are but a part of its contour,
    # the rest of which touches a higher level.
    framed.ravel()[places] = -1
    is_part = (_neighbors(framed, places) == levels).any(axis=0)
    is_leaf = np.ones(count, bool)
    is_leaf[0] = False  # All else.
    is_leaf[own[is_part]] = False
    return _brightest(pixels, values, own, is_leaf, islands)


def _neighbors(
    framed: Int16[np.ndarray, "_ _"], places: Int[np.ndarray, "n"]
) -> Int16[np.ndarray, "4 n"]:
    """Returns the values of the four pixels that touch each place by a side."""
    row = framed.shape[1]
    return framed.ravel()[places + np.array([[-row], [-1], [1], [row]])]


def _brightest(
    pixels: Int[np.ndarray, "n"],
    values: Float[np.ndarray, "n"],
    own: Int[np.ndarray, "n"],
    is_leaf: Bool[np.ndarray, "_"],
    islands: Islands,
) -> Peaks:
    """Returns the brightest pixel of each leaf, the first in scan order of equals.

    Args:
        pixels: Places in the flat image, increasing.
        values: Their brightness.
        own: Number of the set that each is in.
        is_leaf: Which of the sets are leaves.
        islands: Islands of the image.
    """
    # Faintest first and equal ones backwards: the last one written to a place stays.
    order = np.argsort(-values, kind="stable")[::-1]
    first = np.zeros(len(is_leaf), np.int64)
    first[own[order]] = order
    first = first[is_leaf]
    rows, columns = np.divmod(pixels[first], islands.labels.shape[1])
    island = islands.labels[rows, columns] - 1
    order = np.lexsort((-rows, -columns, -values[first], island))
    positions = np.empty((len(order), 2), np.float32)
    positions[:, 0], positions[:, 1] = columns[order], rows[order]
    return Peaks(positions + np.float32(0.5), island[order])
