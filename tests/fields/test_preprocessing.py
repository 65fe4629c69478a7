"""What all preprocessors share: padding, and boxes there and back."""

import numpy as np
import pytest

from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.preprocessing import (
    field_boxes,
    make_view,
    network_boxes,
    padded,
    scaled,
)
from claran.fields.preprocessor_config import preprocessor_from_config


@pytest.mark.parametrize(
    "blank", [0.0, 7.0, (1.0, 2.0, 3.0)], ids=["zero", "value", "color"]
)
def test_a_view_lies_in_the_upper_left_of_its_canvas(rng, blank):
    image = rng.normal(size=(5, 7, 3)).astype(np.float32)
    canvas = padded(make_view(image, 1.0, (0, 0)), (8, 9), blank)
    assert canvas.shape == (8, 9, 3) and canvas.dtype == np.float32
    np.testing.assert_array_equal(canvas[:5, :7], image)
    assert (canvas[5:] == np.float32(blank)).all()
    assert (canvas[:, 7:] == np.float32(blank)).all()


def test_a_view_fits_itself(rng):
    image = rng.normal(size=(5, 7, 3)).astype(np.float32)
    canvas = padded(make_view(image, 1.0, (0, 0)), (5, 7), 0.0)
    np.testing.assert_array_equal(canvas, image)
    assert canvas is not image


@pytest.mark.parametrize("size", [(4, 9), (9, 6)])
def test_a_view_larger_than_its_canvas_is_refused(size):
    view = make_view(np.zeros((5, 7, 3), np.float32), 1.0, (0, 0))
    message = f"`size` must be at least 5 x 7 pixels .* got {size[0]} x {size[1]}"
    with pytest.raises(ValueError, match=message):
        padded(view, size, 0.0)


def test_scales_round_and_leave_a_pixel():
    assert scaled((100, 33), 0.5) == (50, 16)
    assert scaled((1000, 1), 0.01) == (10, 1)


@pytest.mark.parametrize(
    "preprocessor",
    [
        Channels(beam_pixels=3.0),
        Channels(beam_pixels=None, image_size=100),
        Picture(image_size=96),
    ],
    ids=["beam", "square", "picture"],
)
def test_boxes_go_to_the_network_and_back(make_field, rng, preprocessor):
    field = make_field([(20.5, 40.5)], shape=(64, 50))
    corners = rng.uniform(0, 20, (9, 2))
    boxes = np.hstack([corners, corners + rng.uniform(1, 30, (9, 2))]).astype(
        np.float32
    )
    scene = preprocessor(field)
    there = network_boxes(boxes, scene, field)
    assert (there[:, :2] < there[:, 2:]).all()
    np.testing.assert_allclose(field_boxes(there, scene, field), boxes, atol=1e-4)
    # The whole field is the whole scene.
    whole = network_boxes(np.array([[0, 0, 50, 64]], np.float32), scene, field)
    np.testing.assert_allclose(whole, [[0, 0, *scene.shape[::-1]]], atol=0.5)


@pytest.mark.parametrize(
    "preprocessor",
    [
        Channels(),
        Channels(beam_pixels=None, image_size=64),
        Picture(method="D1", image_size=132),
    ],
    ids=str,
)
def test_preprocessors_come_back_from_their_configuration(preprocessor):
    config = preprocessor.get_config()
    assert preprocessor_from_config(config) == preprocessor
    assert "kind" in config  # It is not changed.


@pytest.mark.parametrize(
    "config, message",
    [
        ({}, "`kind` of a preprocessor must be one of channels, picture, got None"),
        ({"kind": "sound"}, "must be one of channels, picture, got 'sound'"),
        ({"kind": "picture", "method": "D9"}, "`method` must be one of D1, D3, D4"),
    ],
)
def test_other_configurations_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        preprocessor_from_config(config)
