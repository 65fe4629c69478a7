import numpy as np
import pytest

from claran.figures.label_places import place_labels

AREA = np.array([0.0, 0.0, 400.0, 300.0])
NONE = np.zeros((0, 4))


def placed(boxes, *, size=(40.0, 10.0), taken=NONE, emission=NONE):
    sizes = np.tile(size, (len(boxes), 1))
    boxes = np.asarray(boxes, float)
    corners = place_labels(boxes, sizes, AREA, taken=taken, emission=emission)
    return np.concatenate([corners, corners + sizes], axis=1)


def overlaps(one, two):
    return (one[:2] < two[2:]).all() and (two[:2] < one[2:]).all()


def test_a_single_label_is_above_its_box():
    (label,) = placed([[100, 100, 150, 150]])
    assert label.tolist() == [100, 152, 140, 162]


@pytest.mark.parametrize(
    "box", [[0, 290, 20, 300], [390, 0, 400, 10], [0, 0, 400, 300], [500, 9, 600, 20]]
)
def test_labels_stay_inside(box):
    (label,) = placed([box])
    assert (label[:2] >= 0).all() and (label[2:] <= AREA[2:]).all()


def test_crowded_labels_are_apart(rng):
    corners = rng.uniform(150, 200, (100, 2))  # All in a tenth of the area.
    labels = placed(np.concatenate([corners, corners + 8], axis=1), size=(18.0, 9.0))
    assert np.isfinite(labels).all()
    assert (labels[:, :2] >= 0).all() and (labels[:, 2:] <= AREA[2:]).all()
    assert not any(overlaps(a, b) for i, a in enumerate(labels) for b in labels[:i])


def test_taken_places_and_emission_are_left_free():
    box = [100.0, 100.0, 150.0, 150.0]
    above = np.array([[90.0, 151.0, 160.0, 170.0]])
    for found in (placed([box], taken=above), placed([box], emission=above)):
        assert not overlaps(found[0], above[0])


def test_what_fits_nowhere_is_left_out():
    labels = placed([[10, 10, 20, 20]] * 3, size=(300.0, 200.0))
    assert np.isnan(labels).any(axis=1).sum() == 2
    assert np.isnan(placed([[1, 1, 2, 2]], size=(500.0, 10.0))).any()
