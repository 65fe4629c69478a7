import numpy as np
import pytest

from claran.evaluation.association import associate
from claran.evaluation.truth import FieldDetections, FieldTruth

# Two lobes of a double, a neighbor to the right, and an unlabeled island.
ISLANDS = np.array(
    [[2, 2, 6, 6], [14, 2, 18, 6], [24, 3, 28, 6], [2, 22, 5, 25]], np.float64
)
DOUBLE, NEIGHBOR = [2, 2, 18, 6], [24, 3, 28, 6]


def truth(*boxes, **options):
    return FieldTruth(
        name="field",
        boxes=np.array(boxes or [DOUBLE, NEIGHBOR], np.float64).reshape(-1, 4),
        labels=np.ones(len(boxes) or 2, int),
        **({"islands": ISLANDS} | options),
    )


def found(*boxes, scores=None):
    return FieldDetections(
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
def test_a_source_is_right_with_exactly_its_own_islands(detections, expected):
    result = associate([truth()], [detections], score_threshold=0.8)
    assert result.right.tolist() == expected
    assert result.components.tolist() == [2, 1]
    assert result.share()[0] == np.mean(expected)
    assert result.share(least=2)[0] == expected[0]


def test_only_sources_with_their_own_islands_count():
    faint = [20.0, 20.0, 26.0, 26.0]
    truths = [
        truth(DOUBLE, faint),
        truth(DOUBLE, NEIGHBOR, ignored=np.array([True, False])),
        truth(islands=None),
        truth(islands=np.zeros((0, 4))),
    ]
    detections = [found(DOUBLE, faint), found(NEIGHBOR), found(DOUBLE), found(DOUBLE)]
    result = associate(truths, detections, score_threshold=0.8)
    assert list(zip(result.fields, result.sources, strict=True)) == [(0, 0), (1, 1)]
    assert result.right.all()
    weights = np.array([[1, 3, 0, 0], [0, 0, 4, 0]])
    np.testing.assert_array_equal(result.share(weights=weights), [1, np.nan])


def test_pictures_have_no_islands_to_associate():
    assert associate([truth(islands=None)], [found()], score_threshold=0.8) is None
