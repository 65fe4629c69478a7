"""Peaks of islands, counted in several grids of pixels.

How many peaks an island has depends on where the pixels fall: two that one grid keeps
apart are one in another. Radio Galaxy Zoo resampled its cutouts to 132 pixels of
1.375" and drew contours by CONREC, which divides the square between four pixels into
four triangles about their mean. So peaks are counted in the image's own grid and, by
the steps of Radio Galaxy Zoo, in four finer ones half a pixel apart. The share of the
grids that give a class says how sure it is: of 168 real sources 158 have one class in
all of them, which is right for 153, and the other ten have theirs in 56% of the grids
(tests/simulation/test_rgz_labels.py). `claran.detection.counting` makes probabilities
of these shares.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from claran.sky.islands import LEVEL_RATIO, THRESHOLD, Islands, contour_levels

__all__ = ["GRIDS", "RGZ_GRID", "count_peaks", "leaf_counts"]

GRIDS = 5
"""Grids in which peaks are counted, the first of which is the image's own."""
RGZ_GRID = 1
"""One of the finer grids: counted in it, a simulated source has its label."""
BEAM_PIXELS = 5.4 / 1.375  # In Radio Galaxy Zoo's images of FIRST.
PHASES = (0.0, 0.5)  # Of the finer grids along each axis, in their pixels.
MARGIN = 3  # Pixels around an island; cubic convolution needs two.
# Below this maximum, in units of THRESHOLD, no grid has a second contour: resampling
# adds a few percent.
ONE_LEVEL = 0.9 * LEVEL_RATIO
NEIGHBOR = 0.8  # Of THRESHOLD; other islands are lowered to it.
# No class has more than three peaks, and no grid loses seven of ten.
MANY = 10
LARGE = 2**20  # Pixels around an island; its grids need 30 times the memory of these.


def count_peaks(
    ratio: Float[np.ndarray, "h w"],
    islands: Islands,
    counts: Int[np.ndarray, "k"],
    *,
    beam: float,
) -> Int[np.ndarray, "k grids"]:
    """Returns the number of peaks of each island in each of `GRIDS` grids.

    Args:
        ratio: Signal-to-noise; NaN where blank.
        islands: Islands of this image; `labels` are used, not `boxes`.
        counts: Number of peaks of each in the image's own grid, see
            `claran.sky.islands.find_all_peaks`. That of islands with `MANY` peaks, or
            in a box of more than `LARGE` pixels, is taken for all grids.
        beam: Full width at half maximum of the beam, pixels.
    """
    found = np.repeat(counts[:, None], GRIDS, axis=1)
    pixels = np.flatnonzero(islands.labels > 0)
    rows, columns = np.divmod(pixels, ratio.shape[1])
    own = islands.labels.ravel()[pixels] - 1
    highest = np.zeros(len(counts))
    np.maximum.at(highest, own, ratio.ravel()[pixels])
    step = min(beam / BEAM_PIXELS, 1.0)
    for island in np.flatnonzero((highest > ONE_LEVEL * THRESHOLD) & (counts < MANY)):
        y, x = rows[own == island], columns[own == island]
        part = tuple(
            slice(max(0, int(places.min()) - MARGIN), int(places.max()) + MARGIN + 1)
            for places in (y, x)
        )
        if ratio[part].size > LARGE:
            continue
        values = _alone(ratio[part], islands.labels[part] == island + 1)
        # An island whose contours are all lost between the pixels keeps one.
        found[island, 1:] = np.maximum(leaf_counts(_finer(values, step)), 1)
    return found


def _alone(
    values: Float[np.ndarray, "h w"], own: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Returns the pixels around an island without other islands."""
    values = np.nan_to_num(values)
    return np.where((values > THRESHOLD) & ~own, NEIGHBOR * THRESHOLD, values)


def _finer(
    values: Float[np.ndarray, "h w"], step: float
) -> Float[np.ndarray, "grids rows columns"]:
    """Returns an image in the finer grids, by cubic convolution with a = -0.5.

    Keys 1981, IEEE Trans. ASSP 29, 1153.

    Args:
        values: The image.
        step: Pixels of the image in a pixel of the finer grids.
    """
    by_row, rows = _convolved(values, step)
    by_column, columns = _convolved(by_row.T, step)
    fine = by_column.T.reshape(len(PHASES), rows, -1, columns)
    return fine.transpose(0, 2, 1, 3).reshape(-1, rows, columns)


def _convolved(
    values: Float[np.ndarray, "h w"], step: float
) -> tuple[Float[np.ndarray, "n w"], int]:
    """Returns the finer rows of an image for all phases, and their number for each."""
    side = len(values)
    count = int((side - 1) / step - max(PHASES)) + 1
    places = step * (np.arange(count) + np.array(PHASES)[:, None]).ravel()
    first = np.floor(places).astype(np.int64) - 1
    result = np.zeros((len(places), values.shape[1]), values.dtype)
    for pixels in (first, first + 1, first + 2, first + 3):
        distance = np.abs(places - pixels)
        near = (1.5 * distance - 2.5) * distance**2 + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        weights = np.where(distance < 1, near, far).astype(values.dtype)
        result += weights[:, None] * values[pixels.clip(0, side - 1)]
    return result, count


def leaf_counts(
    grids: Float[np.ndarray, "grids rows columns"],
) -> Int[np.ndarray, "grids"]:
    """Returns the number of leaves of the contour tree of each grid, in sigma.

    A leaf is a contour with none inside it. CONREC draws the contours of a surface of
    triangles, whose parts above a level hang together as the pixels and means above it
    do: pixels that touch by a side, and means with their four pixels. So means and, for
    the steps between pixels, the lower of both are put between the pixels; then all
    eight neighbors touch.
    """
    count, rows, columns = grids.shape
    between = np.full((count, 2 * rows, 2 * columns), -1, grids.dtype)
    between[:, :-1:2, :-1:2] = grids
    low, high = grids[:, :-1], grids[:, 1:]
    between[:, 1:-1:2, :-1:2] = np.minimum(low, high)
    between[:, :-1:2, 1:-1:2] = np.minimum(grids[..., :-1], grids[..., 1:])
    sums = low + high
    between[:, 1:-1:2, 1:-1:2] = (sums[..., :-1] + sums[..., 1:]) / 4
    # The last row and column of each grid are empty, so that all can be one image.
    levels = (contour_levels(between, 1.0) + 1).astype(np.uint8)
    levels = levels.reshape(-1, 2 * columns)
    # As in `find_all_peaks`: pixels with no higher one beside them, in sets that touch,
    # are leaves, unless they touch their own level where that is beside a higher one.
    is_top = (_highest_near(levels) == levels) & (levels > 0)
    others = np.where(is_top, 0, levels).astype(np.uint8)
    is_part = is_top & (_highest_near(others) == levels)
    number, sets = cv2.connectedComponents(is_top.astype(np.uint8), connectivity=8)
    sets = np.asarray(sets)
    grid_of = np.zeros(number, np.int64)
    tops = np.nonzero(is_top)
    grid_of[sets[tops]] = tops[0] // (2 * rows)
    is_leaf = np.ones(number, bool)
    is_leaf[0] = False
    is_leaf[sets[is_part]] = False
    return np.bincount(grid_of[is_leaf], minlength=count)


def _highest_near(levels: np.ndarray) -> np.ndarray:
    """Returns the highest value of each pixel and its eight neighbors."""
    return np.asarray(cv2.dilate(levels, np.ones((3, 3), np.uint8)))
