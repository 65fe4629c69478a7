"""The finder without a network: by hand, by a slow twin, and on real fields."""

import itertools
import math

import numpy as np
import pytest

from claran.data.sources import open_source
from claran.detection.classical_engine import ClassicalEngine
from claran.detection.classical_finder import find_sources
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.running import evaluate_detector
from claran.sky.islands import find_all_peaks, find_islands


def sky(*spots, shape=(80, 90), seed=0):
    """Returns noise of 1 with a block of 3 x 3 pixels for each (x, y, brightness)."""
    image = np.random.default_rng(seed).normal(0, 1, shape).clip(-3, 3)
    for x, y, flux in spots:
        image[y : y + 3, x : x + 3] = flux
    return image.astype(np.float32)


def find(image, *, pixel_arcsec=1.8, smallest=4, **options):
    return find_sources(image, pixel_arcsec=pixel_arcsec, smallest=smallest, **options)


def test_close_islands_are_one_source():
    # Nearest centers are 15 pixels apart: 27 arcsec.
    image = sky((10, 20, 30), (27, 20, 60), (70, 60, 20))
    found = find(image, linking_arcsec=27.0)
    assert found.boxes.tolist() == [[10, 20, 30, 23], [70, 60, 73, 63]]
    assert found.codes == ("2_2", "1_1")
    assert found.labels.tolist() == [4, 1]
    assert found.scores.tolist() == pytest.approx([1 - 1 / 60, 1 - 1 / 20])
    apart = find(image, linking_arcsec=26.9)
    assert apart.codes == ("1_1",) * 3


def test_links_reach_through_others():
    image = sky(*((10 + 15 * i, 20, 30) for i in range(4)))
    found = find(image, pixel_arcsec=1.0, linking_arcsec=13.0)
    assert found.boxes.tolist() == [[10, 20, 58, 23]]
    assert found.codes == ("4_4",)
    assert found.labels.tolist() == [0]  # None of the six classes.


def test_peaks_are_counted_in_an_island():
    image = sky((10, 20, 50), (13, 20, 10), (16, 20, 50))
    assert find(image).codes == ("1_2",)
    image = sky(
        *((10 + 6 * i, 20, 50) for i in range(4)),
        *((13 + 6 * i, 20, 10) for i in range(3)),
    )
    assert find(image).codes == ("1_3",)  # More than three peaks count as three.


def test_contours_that_share_but_a_corner_are_two_peaks():
    image = sky((10, 20, 50))
    image[23:26, 13:16] = 50
    assert find(image).codes == ("1_2",)


def test_small_islands_do_not_count():
    image = sky((10, 20, 30))
    image[60, 60] = 100
    assert find(image).boxes.tolist() == [[10, 20, 13, 23]]
    assert find(image, smallest=10).codes == ()


def test_islands_and_peaks_at_hand_are_used():
    image = sky((10, 20, 30), (27, 20, 60), (70, 60, 20))
    islands = find_islands(image, 1.0, min_pixels=4)
    peaks = find_all_peaks(image, islands, 1.0)
    found = find(image, smallest=1000, islands=islands, peaks=peaks)
    expected = find(image)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert found.codes == expected.codes == ("2_2", "1_1")
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_empty_sky_and_blank_pixels():
    image = sky()
    image[:10] = np.nan
    found = find(image)
    assert found.boxes.shape == (0, 4) and found.codes == ()
    assert found.scores.shape == found.labels.shape == (0,)


@pytest.mark.parametrize("reach", [3.0, 7.5, 12.0])
def test_joining_against_a_slow_twin(rng, reach):
    spots = rng.integers(0, 75, (25, 2))
    image = sky(*((x, y, 30) for x, y in spots))
    islands = find(image, pixel_arcsec=1.0, linking_arcsec=0.0)
    groups = [
        {(x, y) for y in range(y0, y1) for x in range(x0, x1) if image[y, x] > 9}
        for x0, y0, x1, y1 in islands.boxes.astype(int).tolist()
    ]
    while close := [
        (one, other)
        for one, other in itertools.combinations(groups, 2)
        if min(math.dist(p, q) for p in one for q in other) <= reach
    ]:
        one, other = close[0]
        groups = [g for g in groups if g not in (one, other)] + [one | other]
    expected = sorted([*np.min(list(g), 0), *np.max(list(g), 0) + 1] for g in groups)
    found = find(image, pixel_arcsec=1.0, linking_arcsec=reach)
    assert sorted(found.boxes.astype(int).tolist()) == expected


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pixel_arcsec": math.nan}, "`pixel_arcsec` must be above 0, got nan: the li"),
        ({"linking_arcsec": -1.0}, "`linking_arcsec` must be at least 0, got -1"),
    ],
)
def test_senseless_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find(sky(), **options)


def test_average_precision_on_real_fields(real_data):
    source = open_source(real_data / "rgz_first_dev", "all")
    result = evaluate_detector(
        ClassicalEngine(), source, options=EvaluationOptions(resample_count=1),
        tell=lambda _: None,
    )  # fmt: skip
    assert sum(one.sources for one in result.classes) == 168
    # One source moves the third digit.
    assert [round(one.ap.value, 3) for one in result.classes] == [
        0.544, 0.445, 0.911, 0.321, 0.709, 0.832,
    ]  # fmt: skip
    # By another rule of peaks than that of the labels, in which corners join, it had
    # 0.664.
    assert result.mean_common.value == pytest.approx(0.688, abs=5e-4)
