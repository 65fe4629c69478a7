import cv2
import numpy as np
import pytest
from scipy import ndimage

from claran.photometry.polygons import mask_polygon


def area(polygon):
    """Positive if counter-clockwise, as y is up."""
    x, y = polygon.T
    return (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2


@pytest.mark.parametrize(
    "rows, corners",
    [
        (["#"], [[0, 0], [1, 0], [1, 1], [0, 1]]),
        (["##", ".#"], [[0, 0], [2, 0], [2, 2], [1, 2], [1, 1], [0, 1]]),
        # Pixels that touch by a corner, in both ways.
        (
            ["#.", ".#"],
            [[0, 0], [1, 0], [1, 1], [2, 1], [2, 2], [1, 2], [1, 1], [0, 1]],
        ),
        (
            [".#", "#."],
            [[1, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2], [0, 1], [1, 1]],
        ),
        (["###", "#.#", "###"], [[0, 0], [3, 0], [3, 3], [0, 3]]),
    ],
)
def test_corners(rows, corners):
    mask = np.array([[pixel == "#" for pixel in row] for row in rows])
    assert mask_polygon(mask).tolist() == corners


def test_any_island_is_enclosed(rng):
    """Corners alternate between rows and columns, and enclose the island's pixels."""
    for _ in range(200):
        shape = rng.integers(1, 12, 2)
        mask = rng.random(shape) < rng.uniform(0.2, 0.9)
        labels = np.asarray(cv2.connectedComponents(mask.astype(np.uint8))[1])
        island = labels == 1
        if not island.any():
            continue
        polygon = mask_polygon(island)
        filled = ndimage.binary_fill_holes(np.pad(island, 1))
        assert area(polygon) == filled.sum()
        steps = np.roll(polygon, -1, axis=0) - polygon
        assert ((steps != 0).sum(axis=1) == 1).all()
        assert ((steps != 0) != (np.roll(steps, 1, axis=0) != 0)).all()
