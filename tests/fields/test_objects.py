"""The labelled sources of a field: what belongs to an object stays with it."""

import dataclasses

import jaxtyping
import numpy as np
import pytest

from claran.fields.objects import Objects

SPOTS = [[20.5, 20.5], [40.5, 40.5], [50.5, 44.5], [10.5, 50.5]]


@pytest.fixture
def full(make_objects):
    """Three objects of which everything is known; the second has two components."""
    return make_objects(
        [[16, 16, 25, 25], [36, 36, 55, 49], [6, 46, 15, 55]],
        consensus=np.array([0.6, np.nan, 1.0], np.float32),
        host=np.array([[20, 20], [np.nan, np.nan], [11, 50]], np.float32),
        component_positions=np.array(SPOTS, np.float32),
        component_objects=np.array([0, 1, 1, 2], np.int32),
        outlines=[np.full((3, 2), i, np.float32) for i in range(3)],
    )


def test_taken_objects_keep_what_is_theirs(full):
    taken = full.take(np.array([1, 2]))
    np.testing.assert_array_equal(taken.boxes, full.boxes[1:])
    assert taken.labels.tolist() == [2, 3]
    assert len(taken.ignored) == len(taken) == 2
    np.testing.assert_array_equal(taken.consensus, full.consensus[1:])
    np.testing.assert_array_equal(taken.host, full.host[1:])
    assert [line[0, 0] for line in taken.outlines] == [1, 2]
    assert taken.component_objects.tolist() == [0, 0, 1]
    assert taken.component_positions[:, 0].tolist() == [40.5, 50.5, 10.5]
    assert len(full) == 3


def test_no_object_is_taken(full):
    taken = full.take(np.array([], int))
    assert taken.boxes.shape == (0, 4) and taken.host.shape == (0, 2)
    assert taken.component_positions.shape == (0, 2)
    assert taken.component_objects.dtype == np.int32
    assert taken.outlines == [] and len(taken) == 0


def test_objects_that_know_less(make_objects):
    taken = make_objects([[1, 2, 3, 4], [5, 6, 7, 8]]).take(np.array([1]))
    moved = taken.move_points(np.eye(3))
    for objects in (taken, moved):
        assert objects.labels.tolist() == [2]
        known = (objects.consensus, objects.host, objects.component_objects)
        assert known == (None, None, None)


def test_points_move_by_the_matrix(full):
    matrix = np.array([[0.0, -1.0, 64.0], [1.0, 0.0, 3.0], [0.0, 0.0, 1.0]])
    moved = full.move_points(matrix)
    assert moved.host[0].tolist() == [64 - 20, 20 + 3]
    assert np.isnan(moved.host[1]).all()
    assert moved.component_positions[3].tolist() == [64 - 50.5, 10.5 + 3]
    assert moved.host.dtype == np.float32
    assert full.host[0].tolist() == [20, 20]
    np.testing.assert_array_equal(moved.boxes, full.boxes)


def test_none():
    none = Objects.none()
    assert len(none) == 0 and none.boxes.shape == (0, 4)
    assert (none.labels.dtype, none.ignored.dtype) == (np.int32, bool)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"labels": np.array([1, 2])},
            "`labels` must have a row for each of the 3 `bo",
        ),
        ({"ignored": np.zeros(4, bool)}, "`ignored` must .* 3 `boxes`, got 4"),
        ({"consensus": np.ones(1)}, "`consensus` must .* 3 `boxes`, got 1"),
        ({"host": np.ones((2, 2))}, "`host` must .* 3 `boxes`, got 2"),
        ({"outlines": []}, "`outlines` must .* 3 `boxes`, got 0"),
        (
            {"component_objects": np.zeros(3, np.int32)},
            "`component_objects` must .* 4 `component_positions`, got 3",
        ),
        ({"component_positions": None}, "each of the 0 `component_positions`, got 4"),
        ({"boxes": np.full((3, 4), np.inf)}, r"`boxes` must be finite, got \[\[inf"),
        ({"boxes": np.zeros((3, 5))}, r"`boxes` must be \(n, 4\), got \(3, 5\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_columns_that_do_not_fit_are_refused(full, monkeypatch, changes, message):
    # As users have it, without the shapes checked by the tests' import hook.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(full, **changes)
