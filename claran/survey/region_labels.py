"""Which pixels of a region of a mosaic belong to which island.

The answer for an island does not depend on the region, as long as its box is inside.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from claran.photometry.flood import FLOOD, number_islands
from claran.sky.islands import THRESHOLD
from claran.survey.mosaic_islands import MosaicIslands

__all__ = ["FloodMasks", "RegionLabels", "label_islands", "label_region"]


class FloodMasks(NamedTuple):
    """The pixels of one flood island, in a part of the mosaic around it, y up."""

    rows: slice
    """Rows of the mosaic."""
    columns: slice
    """Columns of the mosaic."""
    flood: Bool[np.ndarray, "h w"]
    """Pixels of the flood island."""
    others: Bool[np.ndarray, "h w"]
    """All other pixels above `FLOOD`: of other flood islands and of peaks of noise.

    Whether one of the latter belongs to a flood island may not be seen in the region.
    """
    islands: Int32[np.ndarray, "h w"]
    """0, or 1 + place in `numbers` of the island that the pixel is in."""
    numbers: Int[np.ndarray, "k"]
    """Numbers of the islands in the flood island, increasing."""


class RegionLabels(NamedTuple):
    """Labels of the pixels of a region, of islands with their box inside."""

    rows: slice
    """Rows of the mosaic."""
    columns: slice
    """Columns of the mosaic."""
    above: Bool[np.ndarray, "h w"]
    """Pixels above `FLOOD`."""
    floods: Int32[np.ndarray, "h w"]
    """0, or 1 + number of the flood island."""
    islands: Int32[np.ndarray, "h w"]
    """0, or 1 + number of the island."""

    def masks(self, islands: MosaicIslands, flood: int, margin: int) -> FloodMasks:
        """Returns the pixels of one flood island and around it.

        Args:
            islands: The same as for `label_region`.
            flood: Number of the flood island.
            margin: Pixels around its box; fewer at the edge of the region, which should
                be that of the mosaic there.
        """
        x0, y0, x1, y1 = islands.flood_boxes[flood].astype(int).tolist()
        rows = _grown(y0, y1, margin, self.rows)
        columns = _grown(x0, x1, margin, self.columns)
        part = (
            slice(rows.start - self.rows.start, rows.stop - self.rows.start),
            slice(
                columns.start - self.columns.start, columns.stop - self.columns.start
            ),
        )
        inside = self.floods[part] == flood + 1
        labels = np.where(inside, self.islands[part], np.int32(0))
        places, numbers = number_islands(labels)
        return FloodMasks(
            rows, columns, inside, self.above[part] & ~inside, places, numbers
        )


def label_region(region: Any, islands: MosaicIslands) -> RegionLabels:
    """Returns the labels of a region's pixels.

    Args:
        region: `claran.sky.mosaic_maps.Region`.
        islands: Of the mosaic, or those of them that matter.
    """
    ratio = region.signal_to_noise
    above = ratio > FLOOD
    floods = _numbered(region, above, islands.flood_boxes, islands.flood_first)
    labels = label_islands(region, islands.boxes, islands.first)
    return RegionLabels(region.rows, region.columns, above, floods, labels)


def label_islands(
    region: Any, boxes: Float[np.ndarray, "n 4"], first: Int[np.ndarray, "n 2"]
) -> Int32[np.ndarray, "h w"]:
    """Returns 1 + number of the island that each pixel of a region is in, else 0.

    Args:
        region: `claran.sky.mosaic_maps.Region`.
        boxes: Of the islands that matter; the others, and those that are not all in the
            region, are left out.
        first: First pixel of each.
    """
    return _numbered(region, region.signal_to_noise > THRESHOLD, boxes, first)


def _numbered(
    region: Any,
    above: Bool[np.ndarray, "h w"],
    boxes: Float[np.ndarray, "n 4"],
    first: Int[np.ndarray, "n 2"],
) -> Int32[np.ndarray, "h w"]:
    """Returns 1 + number of the island of each pixel, of those with their box inside.

    What is connected inside of the region with the first pixel of such an island is all
    of it.
    """
    start = np.array([region.columns.start, region.rows.start])
    stop = np.array([region.columns.stop, region.rows.stop])
    inside = ((boxes[:, :2] >= start) & (boxes[:, 2:] <= stop)).all(axis=1)
    (numbers,) = np.nonzero(inside)
    count, labels = cv2.connectedComponents(above.view(np.uint8), connectivity=8)
    labels = np.asarray(labels, np.int32)
    x, y = (first[numbers] - start).T
    number = np.zeros(count, np.int32)
    number[labels[y, x]] = numbers + 1
    # Few pixels are above, and only these are looked up.
    places = np.flatnonzero(above)
    found = np.zeros(labels.shape, np.int32)
    found.ravel()[places] = number[labels.ravel()[places]]
    return found


def _grown(low: int, high: int, margin: int, within: slice) -> slice:
    return slice(max(low - margin, within.start), min(high + margin, within.stop))
