"""Objects in a fixed number of places."""

import numpy as np
import pytest

from claran.fields.padding import pad_objects


def objects(count):
    boxes = np.arange(4 * count, dtype=np.float32).reshape(-1, 4)
    labels = np.arange(1, count + 1, dtype=np.int32)
    return boxes, labels, np.arange(count) == 1


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_places_hold_the_objects_in_order(count):
    boxes, labels, ignored = objects(count)
    padded = pad_objects(boxes, labels, ignored, slots=5)
    assert {key: (value.shape, value.dtype) for key, value in padded.items()} == {
        "boxes": ((5, 4), np.float32),
        "labels": ((5,), np.int32),
        "valid": ((5,), bool),
        "ignored": ((5,), bool),
    }
    np.testing.assert_array_equal(padded["boxes"][:count], boxes)
    np.testing.assert_array_equal(padded["labels"][:count], labels)
    assert not padded["boxes"][count:].any() and not padded["labels"][count:].any()


def test_a_place_is_valid_ignored_or_empty():
    padded = pad_objects(*objects(3), slots=4)
    assert padded["valid"].tolist() == [True, False, True, False]
    assert padded["ignored"].tolist() == [False, True, False, False]


def test_more_objects_than_places_are_refused():
    with pytest.raises(
        ValueError,
        match=r"F1: has 3 objects, more than `slots`, 2; give `slots=3` or more",
    ):
        pad_objects(*objects(3), slots=2, name="F1")
