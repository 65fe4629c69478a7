"""Arithmetic of boxes against plain loops."""

import numpy as np
import pytest

from claran.sky import box_arrays


def slow_common(p, q):
    width = min(p[2], q[2]) - max(p[0], q[0])
    height = min(p[3], q[3]) - max(p[1], q[1])
    return width * height if width > 0 and height > 0 else 0.0


def slow_area(p):
    return slow_common(p, p)


def slow_iou(p, q):
    common = slow_common(p, q)
    union = slow_area(p) + slow_area(q) - common
    return common / union if union > 0 else 0.0


@pytest.fixture
def boxes(rng):
    found = rng.integers(0, 12, (2, 40, 4)).astype(float)  # Some are inverted.
    found[:, ::3, 2:] = found[:, ::3, :2] + rng.uniform(0, 9, (2, 14, 2))
    found[:, :4] = found[0, 0]  # Some are the same.
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_loops(boxes, dtype):
    a, b = boxes.astype(dtype)
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    close = {"rtol": 1e-5, "atol": 1e-6}
    for found, expected in (
        (box_arrays.area(a), [slow_area(p) for p in a.tolist()]),
        (box_arrays.intersection(a, b), [slow_common(*pair) for pair in pairs]),
        (box_arrays.iou(a, b), [slow_iou(*pair) for pair in pairs]),
        (
            box_arrays.pairwise_iou(a, b[:7]),
            [[slow_iou(p, q) for q in b[:7].tolist()] for p in a.tolist()],
        ),
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, **close)


def test_leading_axes_broadcast(boxes):
    a, b = boxes
    found = box_arrays.intersection(a[:, None], b)
    assert found.shape == (40, 40)
    np.testing.assert_array_equal(np.diag(found), box_arrays.intersection(a, b))
    np.testing.assert_array_equal(
        box_arrays.iou(a[:1], b), box_arrays.pairwise_iou(a[:1], b)[0]
    )


def test_without_area_there_is_no_overlap():
    empty = np.array([[1.0, 1.0, 1.0, 1.0]])
    assert box_arrays.iou(empty, empty).tolist() == [0.0]


def test_no_boxes():
    none = np.zeros((0, 4))
    assert box_arrays.area(none).shape == box_arrays.iou(none, none).shape == (0,)
    assert box_arrays.pairwise_iou(none, np.zeros((3, 4))).shape == (0, 3)
    assert box_arrays.union_boxes(none, np.zeros(0, int)).shape == (0, 4)


def test_unions(boxes):
    a = boxes[0]
    starts = [0, 1, 7, 39]
    found = box_arrays.union_boxes(a, np.array(starts))
    for row, start, stop in zip(found, starts, [*starts[1:], 40], strict=True):
        own = a[start:stop].tolist()
        expected = [f(p[i] for p in own) for i, f in enumerate((min, min, max, max))]
        assert row.tolist() == expected
        assert box_arrays.union_box(a[start:stop]).tolist() == expected
