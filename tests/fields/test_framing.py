"""Pictures for a network: fused or ready-made, and scaled into a square."""

import numpy as np
import pytest

from claran.fields.field import Field
from claran.fields.framing import CAFFE_MEAN, Picture
from claran.fields.preprocessing import Preprocessor, Scene, network_boxes, padded
from claran.models.vgg16 import BGR_MEAN
from claran.sky.pictures import fuse

SOURCE = [(20.5, 40.5)]


def slow_bilinear(picture, rows, columns):
    """Half-pixel bilinear interpolation, one pixel at a time."""
    height, width = picture.shape[:2]
    result = np.empty((rows, columns, 3))
    for i in range(rows):
        y = min(max((i + 0.5) * height / rows - 0.5, 0), height - 1)
        top = min(int(y), height - 2)
        for j in range(columns):
            x = min(max((j + 0.5) * width / columns - 0.5, 0), width - 1)
            left = min(int(x), width - 2)
            corners = picture[top : top + 2, left : left + 2].astype(float)
            upper, lower = corners[:, 0] + (x - left) * (corners[:, 1] - corners[:, 0])
            result[i, j] = upper + (y - top) * (lower - upper)
    return result


@pytest.mark.parametrize(
    "shape, rows, columns",
    [
        ((132, 132), 96, 96),
        ((100, 77), 96, 74),
        ((50, 131), 37, 96),
        ((96, 50), 96, 50),
    ],
    ids=str,
)
def test_a_picture_is_scaled_into_the_upper_left(rng, shape, rows, columns):
    picture = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    preprocessor = Picture(image_size=96)
    scene = preprocessor(Field("p", picture=picture))
    view = scene.view()
    assert scene.shape == (rows, columns) and scene.picture_shape == shape
    np.testing.assert_allclose(
        view.image_info, [rows, columns, 96 / max(shape)], rtol=1e-6
    )
    canvas = padded(view, preprocessor.size(rows, columns), preprocessor.blank)
    assert canvas.shape == (96, 96, 3) and canvas.dtype == np.float32
    expected = slow_bilinear(picture, rows, columns)
    np.testing.assert_allclose(canvas[:rows, :columns], expected, atol=2e-3)
    blank = np.float32(CAFFE_MEAN)
    assert (canvas[rows:] == blank).all() and (canvas[:, columns:] == blank).all()


def test_blank_color_is_the_mean_that_vgg_subtracts():
    assert CAFFE_MEAN == BGR_MEAN


def test_picture_is_that_of_fusion(make_field):
    field = make_field(SOURCE)
    for method in ("D1", "D3", "D4"):
        picture = fuse(field.image, field.picture, method=method, noise=field.noise)
        preprocessor = Picture(method=method, image_size=len(picture))
        image, info, *_ = preprocessor(field).view()
        np.testing.assert_array_equal(image, picture)
        assert info.tolist() == [len(picture), len(picture), 1]


def test_the_noise_of_a_picture_is_that_of_the_field(make_field):
    """It was measured before, or is known: fusing does not measure it again."""
    field = make_field(SOURCE, noise=1.0)
    louder = field.replace(noise=3.0)
    quiet, loud = (Picture(image_size=128)(one).view().image for one in (field, louder))
    assert (quiet != loud).any()


@pytest.mark.parametrize("method", ["D1", "D3", "D4"])
def test_ready_made_picture_is_taken_as_it_is(make_field, method):
    field = make_field(SOURCE)
    ready = Field("ready", picture=field.picture, objects=field.objects)
    preprocessor = Picture(method=method, image_size=256)
    scene = preprocessor(ready)
    image, info, origin, _ = scene.view()
    assert info.tolist() == [256, 256, 2] and origin == (0, 0)
    assert image.shape == (256, 256, 3)
    x0, y0, x1, y1 = field.objects.boxes[0]
    boxes = network_boxes(field.objects.boxes, scene, field)
    np.testing.assert_allclose(boxes, [[4 * x0, 256 - 4 * y1, 4 * x1, 256 - 4 * y0]])


def test_views_are_parts_of_the_picture(make_field):
    scene = Picture(image_size=96)(make_field(SOURCE))
    whole, part = scene.view(), scene.view((10, 20, 40, 90))
    np.testing.assert_array_equal(part.image, whole.image[20:90, 10:40])
    np.testing.assert_allclose(part.image_info, [70, 30, 0.75])
    assert part.origin == (10, 20)


def test_protocols(make_field):
    preprocessor = Picture(image_size=96)
    field = make_field(SOURCE, shape=(40, 64))
    assert isinstance(preprocessor, Preprocessor)
    assert isinstance(preprocessor(field), Scene)
    assert (preprocessor.channels, preprocessor.uses_beam) == (3, False)
    assert preprocessor.shape(field) == preprocessor.size(7, 9) == (96, 96)
    needs = [Picture(method=method).needs_infrared for method in ("D1", "D3", "D4")]
    assert needs == [False, True, True]


@pytest.mark.parametrize("method", ["D3", "D4"])
def test_missing_infrared_is_named(make_field, method):
    message = f"field0: has no infrared picture, which {method} needs; give"
    with pytest.raises(ValueError, match=message):
        Picture(method=method)(make_field(SOURCE, infrared=False))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "D2"}, "`method` must be one of D1, D3, D4, got 'D2'"),
        ({"image_size": 8}, "`image_size` must be at least 16 pixels, got 8"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Picture(**options)
