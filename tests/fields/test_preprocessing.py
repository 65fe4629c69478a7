"""What networks see: pictures and physical channels, and boxes on the right pixels."""

import math

import numpy as np
import pytest

from claran.fields.channels import CHANNELS, Channels
from claran.fields.framing import CAFFE_MEAN, Picture
from claran.fields.preprocessing import place
from claran.models.vgg16 import BGR_MEAN
from claran.sky.images import SkyImage
from claran.sky.pictures import fuse

SOURCE = [(20.5, 40.5)]
SIGNAL, CONTOURS, VALID, INFRARED, HAS_INFRARED = range(len(CHANNELS))


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
    canvas = np.full((96, 96, 3), 7, np.float32)
    info = place(picture, canvas)
    np.testing.assert_allclose(info, [rows, columns, 96 / max(shape)], rtol=1e-6)
    expected = slow_bilinear(picture, rows, columns)
    np.testing.assert_allclose(canvas[:rows, :columns], expected, atol=2e-3)
    assert (canvas[rows:] == 7).all() and (canvas[:, columns:] == 7).all()


def test_blank_color_is_the_mean_that_vgg_subtracts():
    assert CAFFE_MEAN == BGR_MEAN


def test_picture_is_that_of_fusion(make_field):
    field = make_field(SOURCE)
    for method in ("D1", "D3", "D4"):
        radio = SkyImage(values=field["radio"])
        picture = fuse(radio, field["infrared"], method=method)
        image, info, _, _ = Picture(method=method, size=len(picture))(field)
        np.testing.assert_array_equal(image, picture)
        assert info.tolist() == [len(picture), len(picture), 1]


def test_ready_made_picture_is_taken_as_it_is(make_field):
    field = make_field(SOURCE)
    image, info, boxes, _ = Picture(method=None, size=256)(field)
    assert info.tolist() == [256, 256, 2]
    assert image.shape == (256, 256, 3)
    x0, y0, x1, y1 = field["boxes"][0]
    np.testing.assert_allclose(boxes, [[4 * x0, 256 - 4 * y1, 4 * x1, 256 - 4 * y0]])


@pytest.mark.parametrize(
    "inputs",
    [Channels(size=64), Channels(size=96), Channels(size=96, beam=5.0)],
    ids=str,
)
def test_box_is_around_the_source(make_field, inputs):
    field = make_field(SOURCE, shape=(64, 50))
    image, info, boxes, _ = inputs(field)
    rows, columns = (image[..., CONTOURS] > 0).nonzero()
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(boxes[0], found, atol=1)
    assert info[0] == round(64 * info[2])
    assert image.shape == (inputs.size, inputs.size, len(CHANNELS))
    assert image.dtype == boxes.dtype == info.dtype == np.float32


def test_physical_channels_follow_their_formulae(make_field):
    field = make_field()
    ratio = np.array([[1, -2, 5.19, 5.2], [9.1, 1000, 1e5, np.nan]], np.float32)
    field["radio"] = np.zeros((16, 16), np.float32)
    field["radio"][15, :4], field["radio"][14, :4] = 3 * ratio  # y up: top rows.
    field["noise"] = 3.0
    image, *_ = Channels(size=20)(
        field | {"radio": np.pad(field["radio"], ((4, 0), (0, 4)))}
    )
    for (row, column), value in np.ndenumerate(ratio):
        pixel = image[row, column]
        if math.isnan(value):
            assert pixel[:3].tolist() == [0, 0, 0]
            continue
        level = math.floor(math.log(max(value, 1) * 3**0.5 / 9) / math.log(3**0.5))
        assert pixel[SIGNAL] == pytest.approx(math.asinh(value) / math.asinh(1000))
        assert pixel[CONTOURS] == pytest.approx(max(0, (1 + level) / 10))
        assert pixel[VALID] == 1
    assert image[0, 0, SIGNAL] == pytest.approx(0.116, abs=0.001)
    assert image[1, 1, [SIGNAL, CONTOURS]] == pytest.approx([1, 1])


def test_infrared_channel_is_zero_on_empty_sky_and_without_infrared(make_field):
    field = make_field(SOURCE)
    field["infrared"][:] = (14, 45, 213)  # The mean color of such pictures.
    field["infrared"][:2, :2] = 255
    image, *_ = Channels(size=80)(field | {"radio": field["radio"][:, :60]})
    assert abs(image[40, 40, INFRARED]) < 0.1
    assert image[0, 0, INFRARED] == pytest.approx(0.9, abs=0.1)
    assert image[:, :75, HAS_INFRARED].all()
    assert not image[:, 75:].any()
    bare, *_ = Channels(size=80)(field | {"infrared": None})
    assert not bare[..., INFRARED:].any()
    assert bare[..., VALID].all()


@pytest.mark.parametrize(
    "known, scale",
    [({"beam": 6.0}, 0.5), ({"pixel_arcsec": 0.9}, 0.5), ({}, 1.0)],
    ids=["beam", "pixel", "nothing"],
)
def test_beam_of_a_field(make_field, known, scale):
    field = make_field(SOURCE) | {"beam": math.nan} | known
    info = Channels(size=96, beam=3.0)(field).image_info
    assert info[2] == pytest.approx(scale)


def test_surveys_of_one_beam_look_alike(make_field):
    coarse = make_field(SOURCE) | {"beam": 3.0}
    fine = make_field(SOURCE) | {"beam": 5.0}
    for field, side in ((coarse, 64 * 4 / 3), (fine, 64 * 4 / 5)):
        image, info, _, _ = Channels(size=96, beam=4.0)(field)
        assert info[0] == info[1] == round(side)
        assert image[..., VALID].sum() == round(side) ** 2


def test_scaled_flux_changes_nothing(make_field):
    field = make_field(SOURCE)
    brighter = field | {"radio": field["radio"] * 8, "noise": field["noise"] * 8}
    for inputs in (Channels(size=64), Picture(method="D1", size=64)):
        np.testing.assert_array_equal(inputs(field).image, inputs(brighter).image)


def test_empty_and_blank_fields(make_field):
    field = make_field(infrared=False)
    field["radio"][:] = np.nan
    image, _, boxes, _ = Channels(size=64)(field)
    assert boxes.shape == (0, 4)
    assert not image.any()


@pytest.mark.parametrize(
    "inputs, change, message",
    [
        (Picture(), {"infrared": None}, "field0: has no infrared picture, which D4"),
        (Picture(method=None), {"infrared": None}, "has no infrared picture, which th"),
        (Channels(), {"noise": 0.0}, "field0: `noise` must be above 0, got 0.0"),
        (Channels(), {"noise": math.nan}, "`noise` must be above 0, got nan"),
        (Channels(beam=4, size=90), {"beam": 2.0}, "needs a `size` of 128, got 90"),
        (Channels(beam=4), {"beam": 9e3}, "its beam would be 9e[+]03 pixels .* BMAJ"),
        (Channels(beam=4), {"beam": 0.01}, "its beam would be 0.01 pixels wide and"),
    ],
)
def test_what_a_field_lacks_is_named(make_field, inputs, change, message):
    with pytest.raises(ValueError, match=message):
        inputs(make_field(SOURCE) | change)


@pytest.mark.parametrize(
    "inputs, options, message",
    [
        (Picture, {"method": "D2"}, "`method` must be one of D1, D3, D4 or None, got"),
        (Picture, {"size": 8}, "`size` must be at least 16 pixels, got 8"),
        (Channels, {"beam": 0.5}, r"`beam` must be in \[1, 100\] pixels, got 0\.5"),
    ],
)
def test_nonsense_is_refused(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        inputs(**options)
