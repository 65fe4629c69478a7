"""Outlines of objects, and which islands are whose."""

import numpy as np
import pytest

from claran.fields.outlines import DOT, components, outlines, owners
from claran.sky.islands import Islands


def found(*boxes):
    return Islands(np.zeros((64, 64), np.int32), np.array(boxes, np.float32))


def test_an_island_belongs_to_the_smallest_box_around_it():
    islands = np.array([[2, 2, 6, 6], [20, 20, 24, 24], [50, 50, 60, 60]], np.float32)
    boxes = np.array([[0, 0, 30, 30], [1, 1, 7, 7]], np.float32)
    assert owners(islands, boxes).tolist() == [1, 0, -1]
    assert owners(islands, boxes[:0]).tolist() == [-1, -1, -1]
    assert owners(islands[:0], boxes).tolist() == []


def test_an_island_may_stick_out_by_a_pixel():
    boxes = np.array([[10, 10, 20, 20]], np.float32)
    islands = np.array([[9, 10, 21, 20], [8.9, 10, 21, 20]], np.float32)
    assert owners(islands, boxes).tolist() == [0, -1]


def test_components_are_the_union_of_an_objects_islands():
    boxes = np.array([[0, 0, 30, 30], [40, 40, 50, 50], [60, 0, 64, 4]], np.float32)
    islands = found([2, 2, 6, 6], [41, 42, 47, 48], [20, 9, 28, 12])
    bounds, counts = components(islands, boxes)
    assert counts.tolist() == [2, 1, 0]
    assert bounds.tolist() == [[2, 2, 28, 12], [41, 42, 47, 48], [0, 0, 0, 0]]


@pytest.mark.parametrize("stretch", [0, 3], ids=["by the rule", "drawn larger"])
def test_the_bounds_of_an_outline_are_the_box(make_field, make_objects, stretch):
    field = make_field([(20.0, 22.5), (34.0, 30.0)], [(44.5, 40.5)])
    boxes = field.objects.boxes + np.float32([-1, -1, 1, 1]) * stretch
    boxes = np.concatenate([boxes, [[2, 50, 8, 60]]])  # The last has no island.
    field = field.replace(objects=make_objects(boxes))
    lines = outlines(field)
    for line, box in zip(lines, boxes, strict=True):
        bounds = [*line.min(axis=0), *line.max(axis=0)]
        np.testing.assert_allclose(bounds, box, atol=1e-4)
    assert len(lines[0]) > 20
    rhombus = DOT * np.diff(boxes[2].reshape(2, 2), axis=0) + [5, 55]
    np.testing.assert_allclose(lines[2], rhombus, atol=1e-4)


def test_outlines_that_are_known_are_kept(make_field, make_objects):
    known = [np.zeros((3, 2), np.float32)]
    objects = make_objects([[0, 0, 4, 4]], outlines=known)
    assert outlines(make_field().replace(objects=objects)) is known


def test_no_objects_have_no_outlines(make_field):
    assert outlines(make_field()) == []
