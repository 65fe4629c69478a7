import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.evaluation.association import associate

# Two lobes of a double, a neighbor to the right, and an unlabeled island.
ISLANDS = np.array(
    [[2, 2, 6, 6], [14, 2, 18, 6], [24, 3, 28, 6], [2, 22, 5, 25]], np.float64
)
DOUBLE, NEIGHBOR = [2, 2, 18, 6], [24, 3, 28, 6]


@pytest.fixture
def make_truth(measured_field):
    """Makes fields with these sources, by default the double and its neighbor."""

    def make(*boxes, islands=ISLANDS, **options):
        boxes = boxes or (DOUBLE, NEIGHBOR)
        return measured_field(boxes=boxes, islands=islands, **options)

    return make


def found(*boxes, scores=None):
    return Detections(
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        labels=np.arange(len(boxes)) % 3 + 1,  # Classes do not matter.
        scores=np.array(scores or [0.9] * len(boxes), np.float64),
    )


@pytest.mark.parametrize(
    "detections, expected",
    [
        pytest.param(found(DOUBLE, NEIGHBOR), [True, True], id="right"),
        pytest.param(
            found([1.5, 2, 18.5, 6.5], [24, 3, 28.9, 6]), [True, True], id="about right"
        ),
        pytest.param(found([2, 2, 6, 6], NEIGHBOR), [False, True], id="one lobe"),
        pytest.param(found([2, 2, 28, 6]), [False, False], id="neighbor included"),
        pytest.param(found([2, 2, 13, 6]), [False, False], id="one lobe outside"),
        pytest.param(
            found([2, 2, 28, 6], NEIGHBOR), [True, True], id="smaller box has it"
        ),
        pytest.param(
            found([2, 2, 14, 6], DOUBLE, scores=[0.85, 0.9]),
            [True, False],
            id="higher score of two overlapping",
        ),
        pytest.param(
            found(DOUBLE, NEIGHBOR, scores=[0.9, 0.8]),
            [True, False],
            id="score too low",
        ),
        pytest.param(found(), [False, False], id="nothing found"),
    ],
)
def test_a_source_is_right_with_exactly_its_own_islands(
    make_truth, detections, expected
):
    result = associate([make_truth()], [detections], score_threshold=0.8)
    assert result.right.tolist() == expected
    assert result.components.tolist() == [2, 1]
    assert result.share()[0] == np.mean(expected)
    assert result.share(least=2)[0] == expected[0]


def test_only_sources_with_their_own_islands_count(make_truth):
    faint = [20.0, 20.0, 26.0, 26.0]
    fields = [
        make_truth(DOUBLE, faint),
        make_truth(DOUBLE, NEIGHBOR, ignored=np.array([True, False])),
        make_truth(islands=None),
        make_truth(islands=np.zeros((0, 4))),
    ]
    detections = [found(DOUBLE, faint), found(NEIGHBOR), found(DOUBLE), found(DOUBLE)]
    result = associate(fields, detections, score_threshold=0.8)
    assert list(zip(result.fields, result.sources, strict=True)) == [(0, 0), (1, 1)]
    assert result.right.all()
    weights = np.array([[1, 3, 0, 0], [0, 0, 4, 0]])
    np.testing.assert_array_equal(result.share(weights=weights), [1, np.nan])


def test_pictures_have_no_islands_to_associate(make_truth):
    fields = [make_truth(islands=None)]
    assert associate(fields, [found()], score_threshold=0.8) is None
