import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from claran.detection.counting import MOST, FieldIslands, count_peaks, part, recount
from claran.fields.field import unlabelled
from claran.labels import RGZ_CLASSES
from claran.sky.images import SkyImage, read_sky_image

ISLANDS = FieldIslands(
    np.array([[10.0, 10, 20, 20], [30, 10, 40, 20], [70, 70, 80, 90]]),
    np.array([1, 3, 2]),
)
DOUBLE = [9.0, 8, 43, 21]
LEFT = [8.0, 8, 22, 22]


def run(*detections, trust=0.9, islands=ISLANDS):
    """Each detection is a box, a class and a score."""
    boxes, labels, scores = zip(*detections, strict=True) if detections else ((),) * 3
    labels = np.array([RGZ_CLASSES.index(code) + 1 for code in labels], np.int64)
    found = recount(
        np.array(boxes, float).reshape(-1, 4), labels, np.array(scores, float),
        islands, RGZ_CLASSES, trust=trust,
    )  # fmt: skip
    return [
        (box.tolist(), RGZ_CLASSES[label - 1], pytest.approx(score))
        for box, label, score in zip(*found, strict=True)
    ]


def alone(score, islands=2):
    """The probability of a group of islands that no other group has one of."""
    return score / (score + max(1 - score, 0.02) ** islands)


def test_box_and_class_are_counted():
    union, score = [10, 10, 40, 20], alone(0.8)
    assert run((DOUBLE, "2_2", 0.8)) == [
        (union, "2_3", 0.9 * score),
        (union, "2_2", 0.1 * score),
    ]
    assert run((DOUBLE, "2_3", 0.8)) == [(union, "2_3", score)]
    assert run((DOUBLE, "2_2", 0.8), trust=1.0) == [(union, "2_3", score)]


def test_classes_of_the_same_islands_add_up():
    found = run((DOUBLE, "2_2", 0.5), ([9, 9, 41, 22], "2_3", 0.3))
    union, score = [10, 10, 40, 20], alone(0.8)
    assert found[0] == (union, "2_3", score * (0.9 + 0.1 * 3 / 8))
    assert found[1] == (union, "2_2", score * 0.1 * 5 / 8)


def test_no_probability_above_one():
    ((_, _, score),) = run((LEFT, "1_1", 0.9), (LEFT, "1_2", 0.8), trust=1.0)
    assert score == alone(1.0, islands=1)


def test_an_island_is_not_of_two_sources():
    right = [29.0, 9, 41, 21]
    found = run((DOUBLE, "2_3", 0.8), (LEFT, "1_1", 0.9), (right, "1_3", 0.6))
    scores = {tuple(box): score.expected for box, _, score in found}
    # The double; both lobes; one of them and nothing: 1 - sum is below 0.02.
    ways = [0.8, 0.9 * 0.6, 0.9 * 0.02, 0.6 * 0.02, 0.02**2]
    assert scores[10, 10, 40, 20] == pytest.approx(ways[0] / sum(ways))
    assert scores[10, 10, 20, 20] == pytest.approx((ways[1] + ways[2]) / sum(ways))
    assert scores[30, 10, 40, 20] == pytest.approx((ways[1] + ways[3]) / sum(ways))


def by_brute_force(groups, probabilities):
    rest = np.maximum(1 - probabilities @ groups, 0.02)
    held, every = np.zeros(len(groups)), 0.0
    for row in itertools.product([False, True], repeat=len(groups)):
        chosen = np.array(row, bool)
        times = groups[chosen].sum(axis=0)
        if (times <= 1).all():
            weight = probabilities[chosen].prod() * rest[times == 0].prod()
            held[chosen] += weight
            every += weight
    return held / every


@st.composite
def hypotheses(draw, most=7):
    count, islands = draw(st.integers(1, most)), draw(st.integers(1, 5))
    groups = draw(arrays(bool, (count, islands)))
    groups[
        np.arange(count), draw(arrays(int, count, elements=st.integers(0, islands - 1)))
    ] = True
    return groups, draw(arrays(float, count, elements=st.floats(0.01, 1.0)))


@given(hypotheses())
@settings(deadline=None)
def test_parting_sums_over_all_ways(given):
    groups, probabilities = given
    found = part(groups, probabilities)
    np.testing.assert_allclose(found, by_brute_force(groups, probabilities), atol=1e-9)
    assert (found @ groups <= 1 + 1e-9).all()


def test_parts_apart_do_not_matter_to_each_other():
    groups = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    both = part(groups, np.array([0.4, 0.5, 0.7]))
    np.testing.assert_allclose(both[:2], part(groups[:2], np.array([0.4, 0.5])))
    assert both[2] == pytest.approx(0.7)


def test_of_many_groups_the_weakest_go(rng):
    # A chain of 40 islands: every group holds two neighbors.
    groups = np.eye(40, dtype=bool) | np.eye(40, k=1, dtype=bool)
    probabilities = rng.uniform(0.1, 0.9, 40)
    found = part(groups, probabilities)
    assert (found @ groups <= 1 + 1e-9).all()
    # Cut at its weakest links, which are far from the strongest.
    dropped = found == 0
    assert 40 / MOST - 1 <= dropped.sum() < 40 / 3
    assert probabilities[dropped].max() < np.median(probabilities)


def test_without_an_island_there_is_no_source():
    assert run(([50, 50, 60, 60], "1_1", 0.9)) == []
    assert run(([10, 10, 10.9, 20], "1_1", 0.9)) == []  # Touches a tenth of one.
    assert run() == []
    nothing = FieldIslands(np.zeros((0, 4)), np.zeros(0, np.int64))
    assert run((LEFT, "1_1", 0.9), islands=nothing) == []


@pytest.mark.parametrize(
    "code, right_edge, islands",
    [
        ("1_1", 34.9, 1),  # Holds the left one; half of the right one is outside.
        ("2_2", 34.9, 2),  # Needs it.
        ("2_2", 30.9, 1),  # But hardly touches it.
        ("1_1", 35.1, 2),  # Holds more than it needs.
    ],
)
def test_a_class_takes_the_islands_it_needs(code, right_edge, islands):
    found = run(([9, 9, right_edge, 21], code, 0.8), trust=1.0)
    assert found[0][1] == {1: "1_1", 2: "2_3"}[islands]


def test_a_class_outside_the_list_keeps_what_the_network_said():
    four = FieldIslands(
        np.array([[10.0 * i, 0, 10 * i + 5, 5] for i in range(4)]), np.ones(4, int)
    )
    ((box, code, score),) = run(([0, 0, 40, 10], "3_3", 0.8), islands=four)
    assert (box, code) == ([0, 0, 35, 5], "3_3")
    assert score == alone(0.8, islands=4)


def test_peaks_of_each_island(rng):
    y, x = np.mgrid[:60, :60]
    spot = lambda x0, y0: np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    radio = 100 * (spot(15, 15) + spot(45, 40) + spot(45, 47)) + rng.normal(
        0, 0.1, (60, 60)
    )
    radio[0, :] = np.nan
    found = count_peaks(
        unlabelled(SkyImage(values=radio.astype(np.float32))) | {"noise": 1.0}
    )
    assert found.peaks.tolist() == [1, 2]
    assert found.boxes.shape == (2, 4)


def test_islands_have_the_peaks_in_a_field_of_9_arcmin_that_they_have_in_3(real_data):
    same, all_ = 0, 0
    for path in sorted((real_data / "first_fields_dev").glob("*.fits")):
        large = read_sky_image(path)
        small = dataclasses.replace(large, values=large.values[100:200, 100:200])
        inner, outer = (count_peaks(unlabelled(field)) for field in (small, large))
        outer_boxes = outer.boxes - 100
        for box, peaks in zip(inner.boxes, inner.peaks, strict=True):
            if box.min() <= 0 or box.max() >= 100:
                continue  # Cut by the edge of the smaller.
            low = np.maximum(box[:2], outer_boxes[:, :2])
            high = np.minimum(box[2:], outer_boxes[:, 2:])
            (touching,) = (low < high).all(axis=1).nonzero()
            all_ += 1
            same += outer.peaks[touching].tolist() == [peaks]
    assert all_ > 20
    assert same >= 0.9 * all_  # With one noise for the large field: 0.64.
