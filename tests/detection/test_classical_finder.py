"""The finder without a network: by hand, by a slow twin, and on real fields."""

import itertools
import math

import numpy as np
import pytest

from claran.data.sources import open_source
from claran.detection.classical_finder import find_sources
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.evaluation.truth import FieldDetections, read_truths
from claran.labels import RGZ_CLASSES


def sky(*spots, shape=(80, 90), seed=0):
    """Returns noise of 1 with a block of 3 x 3 pixels for each (x, y, brightness)."""
    image = np.random.default_rng(seed).normal(0, 1, shape).clip(-3, 3)
    for x, y, flux in spots:
        image[y : y + 3, x : x + 3] = flux
    return image.astype(np.float32)


def test_close_islands_are_one_source():
    # Nearest centers are 15 pixels apart: 27 arcsec.
    image = sky((10, 20, 30), (27, 20, 60), (70, 60, 20))
    found = find_sources(image, pixel_arcsec=1.8, sigma=1.0, linking_arcsec=27.0)
    assert found.boxes.tolist() == [[10, 20, 30, 23], [70, 60, 73, 63]]
    assert found.codes == ("2_2", "1_1")
    assert found.labels.tolist() == [4, 1]
    assert found.scores.tolist() == pytest.approx([1 - 1 / 60, 1 - 1 / 20])
    apart = find_sources(image, pixel_arcsec=1.8, sigma=1.0, linking_arcsec=26.9)
    assert apart.codes == ("1_1",) * 3


def test_links_reach_through_others():
    image = sky(*((10 + 15 * i, 20, 30) for i in range(4)))
    found = find_sources(
        image, pixel_arcsec=1.0, sigma=1.0, beam=3.0, linking_arcsec=13.0
    )
    assert found.boxes.tolist() == [[10, 20, 58, 23]]
    assert found.codes == ("3_3",)  # Four count as three.


def test_peaks_are_counted_in_an_island():
    image = sky((10, 20, 50), (13, 20, 10), (16, 20, 50))
    assert find_sources(image, pixel_arcsec=1.0, sigma=1.0).codes == ("1_2",)


def test_noise_is_measured_and_small_islands_do_not_count():
    image = sky((10, 20, 30))
    image[60, 60] = 100
    found = find_sources(image, pixel_arcsec=1.0, beam=3.0)
    assert found.boxes.tolist() == [[10, 20, 13, 23]]
    # A beam of six pixels makes 16 pixels the least.
    assert find_sources(image, pixel_arcsec=1.0, beam=6.0).codes == ()


def test_empty_sky_and_blank_pixels():
    image = sky()
    image[:10] = np.nan
    found = find_sources(image, pixel_arcsec=1.0)
    assert found.boxes.shape == (0, 4) and found.codes == ()
    assert found.scores.shape == found.labels.shape == (0,)


@pytest.mark.parametrize("reach", [3.0, 7.5, 12.0])
def test_joining_against_a_slow_twin(rng, reach):
    spots = rng.integers(0, 75, (25, 2))
    image = sky(*((x, y, 30) for x, y in spots))
    islands = find_sources(image, pixel_arcsec=1.0, sigma=1.0, linking_arcsec=0.0)
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
    found = find_sources(image, pixel_arcsec=1.0, sigma=1.0, linking_arcsec=reach)
    assert sorted(found.boxes.astype(int).tolist()) == expected


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pixel_arcsec": math.nan}, "`pixel_arcsec` must be above 0, got nan: the li"),
        ({"linking_arcsec": -1.0}, "`linking_arcsec` must be at least 0, got -1"),
        ({"sigma": 0.0}, "`sigma` must be above 0, got 0.0; are most of the pixels"),
    ],
)
def test_senseless_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find_sources(sky(), **({"pixel_arcsec": 1.8} | options))


def test_average_precision_on_real_fields(real_data):
    source = open_source(real_data / "rgz_first_dev", "all")
    truths = read_truths(source)
    found = []
    for i in range(len(source)):
        field = source[i]
        sources = find_sources(
            field["radio"], pixel_arcsec=field["pixel_arcsec"], sigma=field["noise"]
        )
        found.append(
            FieldDetections(
                boxes=sources.boxes, labels=sources.labels, scores=sources.scores
            )
        )
    result = evaluate(
        truths, found, RGZ_CLASSES, options=EvaluationOptions(resample_count=1)
    )
    # Measured with another program by the same rule; one source moves the third digit.
    assert [round(one.ap.value, 3) for one in result.classes] == [
        0.585, 0.420, 0.830, 0.250, 0.655, 0.832,
    ]  # fmt: skip
