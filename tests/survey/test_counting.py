import numpy as np
import pytest

from claran.labels import RGZ_CLASSES
from claran.survey.counting import FieldIslands, count_peaks, recount

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


def test_box_and_class_are_counted():
    union = [10, 10, 40, 20]
    assert run((DOUBLE, "2_2", 0.8)) == [(union, "2_3", 0.72), (union, "2_2", 0.08)]
    assert run((DOUBLE, "2_3", 0.8)) == [(union, "2_3", 0.8)]
    assert run((DOUBLE, "2_2", 0.8), trust=1.0) == [(union, "2_3", 0.8)]


def test_classes_of_the_same_islands_add_up():
    found = run((DOUBLE, "2_2", 0.5), (LEFT, "1_1", 0.2), ([9, 9, 41, 22], "2_3", 0.3))
    union = [10, 10, 40, 20]
    assert found[0] == (union, "2_3", 0.8 * (0.9 + 0.1 * 3 / 8))
    assert found[1] == ([10, 10, 20, 20], "1_1", 0.2)
    assert found[2] == (union, "2_2", 0.1 * 0.5)


def test_no_probability_above_one():
    ((_, _, score),) = run((LEFT, "1_1", 0.9), (LEFT, "1_2", 0.8), trust=1.0)
    assert score == 1


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
    assert score == 0.1 * 0.8


def test_peaks_of_each_island(rng):
    y, x = np.mgrid[:60, :60]
    spot = lambda x0, y0: np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    radio = 100 * (spot(15, 15) + spot(45, 40) + spot(45, 47)) + rng.normal(0, 0.1)
    radio[0, :] = np.nan
    found = count_peaks(radio, 1.0, beam=4.0)
    assert found.peaks.tolist() == [1, 2]
    assert found.boxes.shape == (2, 4)
