"""Landmarks of sources of a few Gaussians."""

import numpy as np
import pytest

from claran.hosts.landmark_features import KINDS
from claran.hosts.landmarks import find_landmarks
from claran.sky.islands import find_islands

BEAM = 4.0


def image_of(*blobs, size=80):
    rows, columns = np.mgrid[:size, :size] + 0.5
    image = np.random.default_rng(2).normal(0, 0.2, (size, size))
    for x, y, peak in blobs:
        square = (columns - x) ** 2 + (rows - y) ** 2
        image += peak * np.exp(-4 * np.log(2) * square / BEAM**2)
    return image.astype(np.float32)


def found(image, group=None):
    islands = find_islands(image, 1.0, min_pixels=4)
    group = range(len(islands)) if group is None else group
    marks = find_landmarks(image, islands, group, BEAM)
    kinds = marks.features[:, : len(KINDS)].argmax(axis=1)
    return marks, [KINDS[kind] for kind in kinds]


def of_kind(image, kind, **options):
    marks, kinds = found(image, **options)
    return marks.positions[[one == kind for one in kinds]]


def test_peaks_gaps_and_center_of_a_double():
    image = image_of((25.2, 40.4, 50), (55.6, 40.7, 40))
    peaks = of_kind(image, "peak")
    np.testing.assert_allclose(peaks, [[25.2, 40.4], [55.6, 40.7]], atol=0.2)
    np.testing.assert_allclose(of_kind(image, "gap"), [peaks.mean(axis=0)])
    center = of_kind(image, "center")[0]
    assert 25.2 < center[0] < 40.4  # Closer to the brighter lobe.


def test_faint_core_below_the_islands_is_a_landmark():
    image = image_of((25, 40, 50), (40, 41, 4.4), (55, 40, 50))
    assert np.hypot(*(of_kind(image, "faint") - (40, 41)).T).min() < 1


def test_shoulder_without_a_peak_is_a_landmark():
    image = image_of((40, 40, 60), (44.4, 40, 30))
    assert len(of_kind(image, "peak")) == 1
    assert np.hypot(*(of_kind(image, "shoulder") - (44.4, 40)).T).min() < 1.5


def test_islands_of_others_are_left_out():
    image = image_of((25, 40, 50), (40, 40, 300))
    alone = of_kind(image, "peak", group=[1])
    np.testing.assert_allclose(alone, [[25, 40]], atol=0.3)
    assert (found(image, group=[1])[0].positions[:, 0] < 32).all()


def test_size_and_frame_are_those_of_the_source():
    marks, _ = found(image_of((25, 25, 50), (55, 55, 40), (40, 40, 30)))
    length = np.hypot(30, 30) / BEAM
    assert length / 2 < marks.size < length / 2 + 1.5
    np.testing.assert_allclose(np.abs(marks.axes), np.sqrt(0.5), atol=0.02)
    assert len(marks) == len(marks.features) == len(marks.reach)
    assert np.isfinite(marks.features).all()


@pytest.mark.parametrize("place", [(1.0, 1.0), (79.5, 40.0)], ids=["corner", "edge"])
def test_source_at_the_edge_and_blank_pixels(place):
    image = image_of((*place, 40))
    image[:, 30:34] = np.nan
    marks, _ = found(image)
    assert np.isfinite(marks.features).all()
    assert np.hypot(*(marks.positions[0] - place)) < 1.5


def test_empty_group_is_refused():
    with pytest.raises(ValueError, match="at least one island, got none"):
        found(image_of((40, 40, 50)), group=[])
