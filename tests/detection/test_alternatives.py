"""A catalog: of two detections that share emission one is an alternative."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claran.detection.alternatives import sharing_islands, sharing_places
from claran.detection.detections import Detections
from claran.detection.detector import Detector
from claran.detection.finisher import IslandFinisher

NO_ISLANDS = np.zeros((0, 4))
EDGES = ("x0", "y0", "x1", "y1")


@given(st.lists(st.sets(st.integers(0, 6), min_size=1).map(tuple)))
def test_islands_are_taken_by_falling_score(groups):
    alternative = sharing_islands(groups)
    taken = set()
    for group, shares in zip(groups, alternative, strict=True):
        assert shares == bool(taken & set(group))
        taken |= set() if shares else set(group)


@pytest.mark.parametrize(
    "box, is_alternative",
    [
        pytest.param([0, 0, 10, 10], True, id="same"),
        pytest.param([4, 4, 6, 6], True, id="within"),
        pytest.param([-50, -50, 60, 60], True, id="around"),
        pytest.param([4, 0, 14, 10], True, id="more than half"),
        pytest.param([6, 0, 16, 10], False, id="less than half"),
        pytest.param([10, 0, 20, 10], False, id="beside"),
        pytest.param([6, 0, 2, 10], False, id="inverted"),
    ],
)
def test_boxes_that_hold_each_other(box, is_alternative):
    boxes = np.array([box, [0, 0, 10, 10]], float)
    found = sharing_places(boxes, np.array([0.6, 0.9]), NO_ISLANDS)
    assert found.tolist() == [is_alternative, False]
    found = sharing_places(boxes, np.array([0.9, 0.6]), NO_ISLANDS)
    assert found.tolist() == [False, is_alternative]


def test_boxes_that_hold_one_island():
    boxes = np.array([[0, 0, 10, 10], [6, 0, 16, 10], [20, 0, 30, 10]], float)
    island = np.array([[6, 2, 10, 4], [40, 2, 44, 4]], float)
    scores = np.array([0.9, 0.9, 0.1])
    assert sharing_places(boxes, scores, NO_ISLANDS).tolist() == [False] * 3
    # Of equal scores the first has it.
    assert sharing_places(boxes, scores, island).tolist() == [False, True, False]


def test_one_that_shares_with_an_alternative_alone_is_none():
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [9, 0, 19, 10]], float)
    found = sharing_places(boxes, np.array([0.9, 0.8, 0.7]), NO_ISLANDS)
    assert found.tolist() == [False, True, False]


def test_nothing_found():
    assert sharing_places(np.zeros((0, 4)), np.zeros(0), NO_ISLANDS).tolist() == []
    assert sharing_islands([]).tolist() == []


@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_no_island_is_of_two_rows(channels_detector, sky_fields, threshold):
    options = {"score_threshold": threshold}
    catalogs = list(channels_detector.detect_many(sky_fields, **options))
    options["all_hypotheses"] = True
    every = list(channels_detector.detect_many(sky_fields, **options))
    for field, catalog, rows in zip(sky_fields, catalogs, every, strict=True):
        boxes = np.array([catalog[edge] for edge in EDGES]).T.reshape(-1, 1, 4)
        low, high = field.islands.boxes[:, :2], field.islands.boxes[:, 2:]
        inside = (boxes[..., :2] <= low) & (high <= boxes[..., 2:])
        assert (inside.all(axis=2).sum(axis=0) <= 1).all()
        np.testing.assert_array_equal(
            catalog["score"], rows["score"][~rows["alternative"]]
        )
        assert rows.meta["ROWS"] == "all hypotheses"
        assert catalog.meta["ROWS"] == "catalog"
        assert catalog.meta["MINSCORE"] == threshold
        assert catalog.meta["CATSCORE"] == 0.5
    assert 0 < sum(map(len, catalogs)) < sum(map(len, every))


def test_a_network_that_counts_no_islands(tiny_channels, sky_fields):
    model = tiny_channels()
    model.finisher = IslandFinisher()
    detector = Detector(model)
    field = sky_fields[2]
    rows = detector.detect(field, score_threshold=0.0, all_hypotheses=True)
    (catalog,) = detector.detect_many([field], score_threshold=0.0)
    boxes = np.array([catalog[edge] for edge in EDGES]).T
    assert 0 < len(boxes) < len(rows)
    scores = np.asarray(catalog["score"])
    islands = field.islands.boxes.astype(float)
    assert not sharing_places(boxes, scores, islands).any()
    assert len(detector.detect(field)) == (scores > 0.8).sum()


def test_d1_needs_no_noise(make_sky_field):
    field = make_sky_field("flat", (20, 30), [], infrared=False)
    field.image.values[:] = 1.0
    one = Detections(
        boxes=np.array([[0.0, 0.0, 9.0, 9.0]]), labels=np.array([1]),
        scores=np.array([0.9]),
    )  # fmt: skip
    found = IslandFinisher()(field, one, np.arange(0), ("1_1",))
    assert found.alternative.tolist() == [False]
