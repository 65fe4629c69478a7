"""Fields to detect in, and what belongs to an object: it stays with it."""

import numpy as np
import pytest

from claran.errors import ImageError
from claran.fields.field import (
    NOISE_WINDOW,
    keep_objects,
    move_points,
    signal_to_noise,
    unlabelled,
)
from claran.sky.images import SkyImage


def full_field(make_field):
    field = make_field([(20.5, 20.5)], [(40.5, 40.5), (50.5, 44.5)], [(10.5, 50.5)])
    return field | {
        "consensus": np.array([0.6, np.nan, 1.0], np.float32),
        "host": np.array([[20, 20], [np.nan, np.nan], [11, 50]], np.float32),
        "component_positions": np.array(
            [[20.5, 20.5], [40.5, 40.5], [50.5, 44.5], [10.5, 50.5]], np.float32
        ),
        "component_objects": np.array([0, 1, 1, 2], np.int32),
        "outlines": [np.full((3, 2), i, np.float32) for i in range(3)],
    }


def test_kept_objects_keep_what_is_theirs(make_field):
    field = full_field(make_field)
    kept = keep_objects(field, np.array([1, 2]))
    np.testing.assert_array_equal(kept["boxes"], field["boxes"][1:])
    assert kept["labels"].tolist() == [2, 3]
    assert len(kept["ignored"]) == 2
    np.testing.assert_array_equal(kept["consensus"], field["consensus"][1:])
    np.testing.assert_array_equal(kept["host"], field["host"][1:])
    assert [line[0, 0] for line in kept["outlines"]] == [1, 2]
    assert kept["component_objects"].tolist() == [0, 0, 1]
    assert kept["component_positions"][:, 0].tolist() == [40.5, 50.5, 10.5]
    assert len(field["boxes"]) == 3


def test_no_object_is_kept(make_field):
    kept = keep_objects(full_field(make_field), np.array([], int))
    assert kept["boxes"].shape == (0, 4) and kept["host"].shape == (0, 2)
    assert kept["component_positions"].shape == (0, 2)
    assert kept["component_objects"].dtype == np.int32


def test_fields_that_know_less(make_field):
    kept = keep_objects(make_field([(20.5, 20.5)]), np.array([0]))
    assert not {"consensus", "host", "component_objects"} & kept.keys()
    assert move_points(kept, np.eye(3)).keys() == kept.keys()


def test_points_move_by_the_matrix(make_field):
    field = full_field(make_field)
    matrix = np.array([[0.0, -1.0, 64.0], [1.0, 0.0, 3.0], [0.0, 0.0, 1.0]])
    moved = move_points(field, matrix)
    assert moved["host"][0].tolist() == [64 - 20, 20 + 3]
    assert np.isnan(moved["host"][1]).all()
    assert moved["component_positions"][3].tolist() == [64 - 50.5, 10.5 + 3]
    assert field["host"][0].tolist() == [20, 20]


@pytest.fixture
def values(rng):
    return rng.normal(size=(20, 30)).astype(np.float32)


class Scaled(SkyImage):
    """An image of 1.8 arcsec pixels."""

    pixel_arcsec = 1.8


def test_beam_in_pixels(values):
    header = (7.2, 1.8, 0.0)
    assert unlabelled(Scaled(values=values, beam=header))["beam"] == pytest.approx(2)
    assert np.isnan(unlabelled(Scaled(values=values))["beam"])
    assert np.isnan(unlabelled(SkyImage(values=values))["beam"])


def test_infrared(values):
    field = unlabelled(SkyImage(values=values), SkyImage(values=values))
    assert field["infrared"].shape == (20, 30, 3)
    assert field["infrared"].dtype == np.uint8
    assert unlabelled(SkyImage(values=values))["infrared"] is None


def test_a_small_field_has_one_noise(rng):
    field = unlabelled(SkyImage(values=rng.normal(size=(100, 150)).astype(np.float32)))
    expected = field["radio"] / np.float32(field["noise"])
    np.testing.assert_array_equal(signal_to_noise(field), expected)


@pytest.mark.parametrize("beam", [3.0, 6.0])
def test_noise_is_measured_over_so_many_beams(rng, beam):
    side = round(2 * beam * NOISE_WINDOW)
    values = rng.normal(size=(side, side)) * np.linspace(1, 9, side)
    field = unlabelled(SkyImage(values=values.astype(np.float32))) | {"beam": beam}
    spread = signal_to_noise(field).std(axis=0)
    # From the middle of the first window to that of the last it is even.
    ends = spread[side // 4], spread[-side // 4]
    assert ends == pytest.approx((1, 1), rel=0.2)
    assert spread[0] < 0.5


def test_the_radio_image_of_a_picture_has_no_noise():
    empty = np.zeros((8, 8), np.float32)
    assert signal_to_noise({"radio": empty, "noise": 0.0}) is empty


def test_no_noise():
    flat = SkyImage(values=np.ones((5, 5), np.float32), name="flat.fits")
    with pytest.raises(
        ImageError, match=r"flat\.fits: has no noise .* set blank pixels"
    ):
        unlabelled(flat)
