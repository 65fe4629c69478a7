"""Peaks of all islands at once, against a search island by island, level by level."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claran.sky.islands import (
    contour_levels,
    find_all_peaks,
    find_islands,
    smallest_island,
)


def slow_peaks(image, islands, island, sigma):
    """Draws the contours of one island at every level; see `find_all_peaks`."""
    x0, y0, x1, y1 = islands.boxes[island].astype(int)
    crop = image[y0:y1, x0:x1]
    inside = islands.labels[y0:y1, x0:x1] == island + 1
    levels = np.where(inside, contour_levels(crop, sigma), -1)
    found = []
    for level in range(int(levels.max()) + 1):
        above = (levels >= level).view(np.uint8)
        count, contours = cv2.connectedComponents(above, connectivity=4)
        for leaf in range(1, count):
            if not (levels[contours == leaf] > level).any():
                brightest = np.where(contours == leaf, crop, -np.inf).argmax()
                row, column = divmod(int(brightest), crop.shape[1])
                found.append((crop[row, column], x0 + column + 0.5, y0 + row + 0.5))
    found.sort(reverse=True)
    return np.array([peak[1:] for peak in found], np.float32)


def correlated(seed, shape, width, dtype):
    """Returns noise of 1 as wide as a beam, with blended sources and blank pixels."""
    rng = np.random.default_rng(seed)
    # White noise of 2 width sqrt(pi) has a deviation of 1 after the blur.
    noise = rng.normal(0, 2 * width * np.sqrt(np.pi), shape)
    image = cv2.GaussianBlur(noise, (0, 0), width)
    sources = np.zeros(shape)
    for _ in range(shape[0] * shape[1] // 300):
        y, x = rng.integers(0, shape)
        for _ in range(rng.integers(1, 4)):  # Some within each other's reach.
            dy, dx = rng.integers(-5, 6, 2)
            place = np.clip(y + dy, 0, shape[0] - 1), np.clip(x + dx, 0, shape[1] - 1)
            sources[place] += 10 ** rng.uniform(1, 3.5)
    image += cv2.GaussianBlur(sources, (0, 0), width)
    image[rng.random(shape) < 0.002] = np.nan
    return image.astype(dtype)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    width=st.floats(0.7, 3.0),
    min_pixels=st.integers(1, 12),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=60)
def test_peaks_against_a_search_level_by_level(seed, shape, width, min_pixels, dtype):
    image = correlated(seed, shape, width, dtype)
    islands = find_islands(image, 1.0, min_pixels=min_pixels)
    found = find_all_peaks(image, islands, 1.0)
    expected = [slow_peaks(image, islands, i, 1.0) for i in range(len(islands))]
    assert found.counts(len(islands)).tolist() == [len(one) for one in expected]
    assert found.islands.tolist() == sorted(found.islands.tolist())
    expected = np.concatenate([np.zeros((0, 2), np.float32), *expected])
    np.testing.assert_array_equal(found.positions, expected)
    assert found.positions.dtype == np.float32 and len(found) == len(expected)


def test_equal_pixels_and_pixels_that_share_a_corner():
    image = np.zeros((6, 8))
    image[1, 1:4] = 50  # One contour, one peak: its first pixel.
    image[2, 4:6] = 50  # Joined by a corner: a peak of its own.
    image[1, 7] = 50  # Another island.
    islands = find_islands(image, 1.0, min_pixels=1)
    found = find_all_peaks(image, islands, 1.0)
    assert found.islands.tolist() == [0, 0, 1]
    # Of two that are equally bright, the one further right comes first.
    assert found.positions.tolist() == [[4.5, 2.5], [1.5, 1.5], [7.5, 1.5]]


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_no_peaks_without_islands(fill):
    image = np.full((5, 7), fill)
    found = find_all_peaks(image, find_islands(image, 1.0, min_pixels=1), 1.0)
    assert found.positions.shape == (0, 2) and len(found) == 0
    assert found.counts(0).tolist() == []


def test_smallest_island_of_surveys():
    assert smallest_island(3.0) == 4  # FIRST.
    assert smallest_island(0.1) == 1
