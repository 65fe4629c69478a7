import numpy as np
import pytest

from claran.detection.counting import FAINT
from claran.detection.detections import Detections
from claran.detection.finisher import IslandFinisher, finisher_from_config

NAMES = ("1_1", "1_2", "2_2")


def one(box, label=1, score=0.5):
    return Detections(
        boxes=np.array([box], float), labels=np.array([label]), scores=np.array([score])
    )


@pytest.fixture
def field(make_sky_field):
    return make_sky_field("f", (60, 64), [(20, 30, 60), (44, 30, 60)])


def test_boxes_are_clipped_to_the_field(field):
    found = one([-3, -2, 70, 80])
    clipped = IslandFinisher()(field, found, np.arange(2), NAMES)
    assert clipped.boxes.tolist() == [[0, 0, 64, 60]]
    kept = IslandFinisher(clip=False)(field, found, np.arange(2), NAMES)
    assert kept.boxes.tolist() == [[-3, -2, 70, 80]]


def test_boxes_and_classes_are_counted(field):
    both = one([14, 25, 50, 36], label=3, score=0.9)
    finisher = IslandFinisher(count_trust=1.0)
    found = finisher(field, both, np.arange(2), NAMES)
    assert found.labels.tolist() == [3]
    islands = field.islands.boxes
    want = [*islands[:, :2].min(axis=0), *islands[:, 2:].max(axis=0)]
    assert found.boxes[0].tolist() == want
    # Of a cluster that has but one of them it is a single source.
    (box,) = finisher(field, both, np.array([1]), NAMES).boxes
    assert box.tolist() == islands[1].tolist()


def test_a_picture_has_nothing_to_count(field):
    picture = field.replace(image=None)
    found = one([14, 25, 50, 36], label=3, score=0.9)
    kept = IslandFinisher(count_trust=1.0)(picture, found, np.arange(0), NAMES)
    assert kept.boxes.tolist() == found.boxes.tolist()


def test_thresholds():
    counting, plain = IslandFinisher(count_trust=0.95), IslandFinisher()
    assert counting.counts_islands and not plain.counts_islands
    assert counting.catalog_threshold == 0.5 and plain.catalog_threshold == 0.8
    assert counting.lowest_score == FAINT and plain.lowest_score == 0.05
    assert counting.network_threshold(0.5) == FAINT
    assert counting.network_threshold(0.001) == 0.001
    assert plain.network_threshold(0.5) == 0.5


def test_other_classes_are_not_counted():
    counting = IslandFinisher(count_trust=0.9)
    assert counting.for_classes(["1_1", "3_3"]) == counting
    assert counting.for_classes(["FR-I", "FR-II"]) == IslandFinisher()


def test_config():
    finisher = IslandFinisher(count_trust=0.9, clip=False)
    assert finisher_from_config(finisher.get_config()) == finisher
    with pytest.raises(ValueError, match="`kind` of a finisher must be islands, got"):
        finisher_from_config({"kind": "other"})


@pytest.mark.parametrize("trust", [-0.1, 1.1, float("nan")])
def test_no_trust(trust):
    message = rf"`count_trust` must be in \[0, 1\], got {trust}"
    with pytest.raises(ValueError, match=message):
        IslandFinisher(count_trust=trust)
