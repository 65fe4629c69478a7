"""Moved fields: image, infrared and boxes stay together."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claran.fields.field import Field
from claran.fields.warping import about_center, rotation, warp
from claran.sky.images import SkyImage

DOUBLE = [(20.0, 22.5), (34.0, 30.0)]
SINGLE = [(44.5, 40.5)]
MIRROR = np.diag([-1.0, 1.0])


def moved(field, linear, shift=(0, 0)):
    matrix = about_center(linear, field.shape)
    matrix[:2, 2] += shift
    return warp(field, matrix)


def rule_box(field, box, reach=1):
    """Returns the bounds of all pixels above the threshold around a box, slowly."""
    ny, nx = field.shape
    inside = []
    for row in range(max(0, int(box[1]) - reach), min(ny, int(box[3]) + reach + 1)):
        for column in range(
            max(0, int(box[0]) - reach), min(nx, int(box[2]) + reach + 1)
        ):
            if field.image.values[row, column] > 9 / 3**0.5 * field.noise:
                inside.append((column, row, column + 1, row + 1))
    edges = np.array(inside)
    return [*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)]


def assert_same(first, second):
    np.testing.assert_array_equal(first.image.values, second.image.values)
    np.testing.assert_array_equal(first.picture, second.picture)
    for key in ("boxes", "labels", "ignored"):
        one, other = getattr(first.objects, key), getattr(second.objects, key)
        np.testing.assert_array_equal(one, other, err_msg=key)


@pytest.mark.parametrize("linear", [MIRROR, -MIRROR, -np.eye(2)], ids=str)
def test_mirrors_and_half_turns_undo_themselves(make_field, linear):
    field = make_field(DOUBLE, SINGLE, shape=(60, 64))
    once = moved(field, linear)
    assert not np.array_equal(once.image.values, field.image.values)
    assert_same(moved(once, linear), field)


def test_four_quarter_turns_are_the_identity(make_field):
    field = turned = make_field(DOUBLE, SINGLE)
    for _ in range(4):
        turned = moved(turned, rotation(90))
    assert_same(turned, field)


def test_quarter_turn_is_from_x_to_y(make_field):
    # To the right of the center, and after the turn above it, which y up means.
    turned = moved(make_field([(50.5, 32.5)]), rotation(90))
    row, column = np.unravel_index(turned.image.values.argmax(), (64, 64))
    assert (row, column) == (50, 31)


def test_infrared_turns_with_the_radio_image(make_field):
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[2 * (63 - 20), 2 * 50] = 255  # y down.
    field = make_field([(50.5, 20.5)]).replace(picture=picture)
    for degrees in (90, 180, 270):
        turned = moved(field, rotation(degrees))
        row, column = np.unravel_index(turned.image.values.argmax(), (64, 64))
        rows, columns = turned.picture[..., 0].nonzero()
        assert (63 - rows // 2, columns // 2) == (row, column)


@settings(max_examples=40, deadline=None)
@given(
    degrees=st.floats(0, 360),
    mirror=st.booleans(),
    x=st.integers(16, 48),
    y=st.integers(16, 48),
)
def test_delta_stays_inside_its_box(make_objects, degrees, mirror, x, y):
    radio = np.zeros((64, 64), np.float32)
    radio[y, x] = 1e4
    field = Field(
        "delta",
        image=SkyImage(values=radio),
        objects=make_objects([[x, y, x + 1, y + 1]]),
        noise=1.0,
    )
    linear = rotation(degrees) @ (MIRROR if mirror else np.eye(2))
    turned = moved(field, linear)
    (box,) = turned.objects.boxes
    row, column = np.unravel_index(np.nanargmax(turned.image.values), radio.shape)
    # The brightest pixel's center is within; interpolation may move it by half a pixel.
    assert box[0] - 0.5 <= column + 0.5 <= box[2] + 0.5
    assert box[1] - 0.5 <= row + 0.5 <= box[3] + 0.5
    # The box is about one pixel, whatever the angle.
    assert (box[2:] - box[:2] <= 1.01).all()


@settings(max_examples=40, deadline=None)
@given(degrees=st.floats(0, 360), dx=st.integers(-6, 6), dy=st.integers(-6, 6))
def test_boxes_after_any_move_follow_the_rule(make_field, degrees, dx, dy):
    turned = moved(make_field(DOUBLE, SINGLE), rotation(degrees), (dx, dy))
    for box, ignored in zip(turned.objects.boxes, turned.objects.ignored, strict=True):
        if not ignored:
            np.testing.assert_array_equal(box, rule_box(turned, box))


def test_box_drawn_by_another_rule_turns_with_the_outline(make_field, make_objects):
    field = make_field([(24.0, 24.0), (40.0, 40.0)])  # Along a diagonal.
    boxes = field.objects.boxes + np.float32([-2, -2, 2, 2])
    field = field.replace(objects=make_objects(boxes))
    turned = moved(field, rotation(45))
    width, height = (turned.objects.boxes[0, 2:] - turned.objects.boxes[0, :2]).tolist()
    # Along y now. The box's corners would have made it as wide as high.
    assert width < 0.5 * height
    np.testing.assert_allclose(
        turned.objects.boxes[0].reshape(2, 2).mean(axis=0), [32, 32], atol=0.1
    )


def test_object_without_islands_keeps_its_place(make_field, make_objects):
    field = make_field().replace(objects=make_objects([[40, 36, 48, 44]]))
    turned = moved(field, rotation(180))
    np.testing.assert_allclose(turned.objects.boxes, [[16, 20, 24, 28]], atol=1e-4)


def test_object_cut_by_the_edge_is_ignored_and_one_outside_is_dropped(make_field):
    field = make_field([(58.5, 32.5)], SINGLE, [(32.5, 32.5)])
    shifted = moved(field, np.eye(2), (7, 0))
    assert shifted.objects.labels.tolist() == [1, 2, 3]
    assert shifted.objects.ignored.tolist() == [True, False, False]
    assert shifted.objects.boxes[0, 2] == 64
    gone = moved(field, np.eye(2), (14, 0))
    assert gone.objects.labels.tolist() == [2, 3]
    assert len(gone.objects.outlines) == 2


def test_blank_corners_are_nan_and_mean_color(make_field):
    field = make_field(SINGLE)
    turned = moved(field, rotation(45))
    assert np.isnan(turned.image.values[[0, 0, -1, -1], [0, -1, 0, -1]]).all()
    assert np.isfinite(turned.image.values[20:44, 20:44]).all()
    assert (turned.picture[0, 0] == (14, 45, 213)).all()


def test_blank_pixels_turn_and_hardly_spread(make_field, with_values):
    field = make_field(SINGLE)
    values = field.image.values.copy()
    values[:, :5] = np.nan
    turned = moved(with_values(field, values), rotation(90))
    np.testing.assert_array_equal(np.isnan(turned.image.values), np.isnan(values).T)
    values[30:33, 10:13] = np.nan
    turned = moved(with_values(field, values), rotation(10))
    hole = np.isnan(turned.image.values[24:30, 10:20]).sum()
    assert 5 <= hole <= 13


def test_all_blank_field_without_objects(make_field, with_values):
    blank = with_values(make_field(), np.full((64, 64), np.nan))
    turned = moved(blank, rotation(30))
    assert turned.objects.boxes.shape == (0, 4)
    assert turned.objects.outlines == []
    assert np.isnan(turned.image.values).all()


def test_field_is_not_changed_in_place(make_field):
    field = make_field(DOUBLE)
    parts = (field.image.values, field.picture, field.objects.boxes)
    before = [part.copy() for part in parts]
    moved(field, rotation(33), (3, 3))
    for part, value in zip(parts, before, strict=True):
        np.testing.assert_array_equal(part, value)
    assert field.objects.outlines is None


def test_interpolation_keeps_noise_and_flux(rng):
    white = rng.standard_normal((256, 256)).astype(np.float32)
    noise = cv2.GaussianBlur(white, (0, 0), 4 / 2.355 / 2**0.5)
    field = Field("noise", image=SkyImage(values=noise), noise=float(noise.std()))
    turned = moved(field, rotation(30))
    assert turned.noise == field.noise and turned.wcs is None
    turned = turned.image.values
    assert np.nanstd(turned) == pytest.approx(noise.std(), rel=0.01)


def test_hosts_and_components_stay_on_their_pixels(make_field):
    """Each marks a spot of its own brightness; the second object leaves the field."""
    spots = [(20.5, 22.5), (34.5, 30.5), (60.5, 40.5)]
    field = make_field(spots[:2], spots[2:])
    objects = dataclasses.replace(
        field.objects,
        consensus=np.array([0.7, 0.9], np.float32),
        host=np.array([spots[1], spots[2]], np.float32),
        component_positions=np.array(spots, np.float32),
        component_objects=np.array([0, 0, 1], np.int32),
    )
    field = field.replace(objects=objects)
    turned = moved(field, rotation(90) @ MIRROR, shift=(0, -10))
    assert turned.objects.consensus.tolist() == pytest.approx([0.7])
    assert turned.objects.component_objects.tolist() == [0, 0]
    column, row = turned.objects.host[0].astype(int)
    assert turned.image.values[row, column] == field.image.values[30, 34]
    (x, y), _ = turned.objects.component_positions.astype(int)
    assert turned.image.values[y, x] == field.image.values[22, 20]


def test_picture_without_radio_moves_with_its_boxes(make_objects):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[40 - 15 : 40 - 5, 10:30] = 200  # Rows 5 to 15 upwards.
    field = Field("P", picture=picture, objects=make_objects([[10, 5, 30, 15]]))
    for linear, box in (
        (MIRROR, [30, 5, 50, 15]),
        (-np.eye(2), [30, 25, 50, 35]),
    ):
        turned = moved(field, linear)
        np.testing.assert_allclose(turned.objects.boxes, [box], atol=1e-4)
        rows, columns = (turned.picture[..., 0] == 200).nonzero()
        inside = [columns.min(), 39 - rows.max(), columns.max() + 1, 40 - rows.min()]
        assert inside == box
        assert turned.image is None and turned.shape == (40, 60)
