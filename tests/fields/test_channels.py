"""Physical channels: in units of the noise and of the beam."""

import dataclasses
import math

import numpy as np
import pytest

from claran.errors import ImageError
from claran.fields.channels import CHANNELS, Channels
from claran.fields.field import Field
from claran.fields.preprocessing import Preprocessor, Scene, network_boxes
from claran.sky.images import SkyImage
from claran.sky.surveys import SURVEYS

SOURCE = [(20.5, 40.5)]
SIGNAL, CONTOURS, VALID, INFRARED, HAS_INFRARED = range(len(CHANNELS))


def fitted(size):
    return Channels(beam_pixels=None, image_size=size)


def with_beam(field, beam, pixel=1.0):
    beam = beam and (beam, beam, 0.0)
    image = dataclasses.replace(field.image, beam=beam, pixel_arcsec=pixel)
    return field.replace(image=image)


@pytest.mark.parametrize(
    "preprocessor", [fitted(64), fitted(96), Channels(beam_pixels=5.0)], ids=str
)
def test_box_is_around_the_source(make_field, preprocessor):
    field = make_field(SOURCE, shape=(64, 50))
    scene = preprocessor(field)
    image, info, *_ = scene.view()
    boxes = network_boxes(field.objects.boxes, scene, field)
    rows, columns = (image[..., CONTOURS] > 0).nonzero()
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(boxes[0], found, atol=1)
    assert info[:2].tolist() == [round(64 * info[2]), round(50 * info[2])]
    assert image.shape == (*scene.shape, len(CHANNELS))
    assert preprocessor.shape(field) == scene.shape
    assert image.dtype == boxes.dtype == info.dtype == np.float32


def test_physical_channels_follow_their_formulae():
    ratio = np.array([[1, -2, 5.19, 5.2], [9.1, 1000, 1e5, np.nan]], np.float32)
    values = np.zeros((20, 20), np.float32)
    values[19, :4], values[18, :4] = 3 * ratio  # y up: top rows.
    field = Field("f", image=SkyImage(values=values), noise=3.0)
    image, *_ = fitted(20)(field).view()
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
    field = make_field(SOURCE, shape=(64, 60))
    picture = np.empty((128, 120, 3), np.uint8)
    picture[:] = (14, 45, 213)  # The mean color of such pictures.
    picture[:2, :2] = 255
    image, *_ = fitted(80)(field.replace(picture=picture)).view()
    assert image.shape[:2] == (80, 75)
    assert abs(image[40, 40, INFRARED]) < 0.1
    assert image[0, 0, INFRARED] == pytest.approx(0.9, abs=0.1)
    assert image[..., HAS_INFRARED].all()
    bare, *_ = fitted(80)(field.replace(picture=None)).view()
    assert not bare[..., INFRARED:].any()
    assert bare[..., VALID].all()


@pytest.mark.parametrize(
    "beam, pixel, survey, scale",
    [
        pytest.param(6.0, 1.0, None, 0.5, id="beam"),
        pytest.param(None, 0.9, None, 0.5, id="pixel"),
        pytest.param(None, None, None, 1.0, id="nothing"),
        pytest.param(None, 0.5, "lotss", 0.25, id="survey"),
    ],
)
def test_beam_of_a_field(make_field, beam, pixel, survey, scale):
    field = with_beam(make_field(SOURCE), beam, pixel)
    field = field.replace(survey=survey and SURVEYS[survey])
    scene = Channels(beam_pixels=3.0)(field)
    assert scene.scale == scene.view().image_info[2] == pytest.approx(scale)


def test_surveys_of_one_beam_look_alike(make_field):
    coarse = with_beam(make_field(SOURCE), 3.0)
    fine = with_beam(make_field(SOURCE), 5.0)
    for field, side in ((coarse, 64 * 4 / 3), (fine, 64 * 4 / 5)):
        image, info, *_ = Channels(beam_pixels=4.0)(field).view()
        assert info[0] == info[1] == round(side)
        assert image[..., VALID].sum() == round(side) ** 2


def test_scaled_flux_changes_nothing(make_field, with_values):
    field = make_field(SOURCE)
    brighter = with_values(field, 8 * field.image.values).replace(noise=8.0)
    found, same = (fitted(64)(one).view().image for one in (field, brighter))
    np.testing.assert_array_equal(found, same)


def test_empty_and_blank_fields(make_field, with_values):
    field = with_values(make_field(infrared=False), np.full((64, 64), np.nan))
    scene = fitted(64)(field)
    assert network_boxes(field.objects.boxes, scene, field).shape == (0, 4)
    assert not scene.view().image.any()


def test_views_are_parts_of_the_field(make_field):
    scene = Channels(beam_pixels=3.0)(make_field(SOURCE, shape=(80, 64)))
    whole, part = scene.view(), scene.view((5, 10, 35, 50))
    np.testing.assert_array_equal(part.image, whole.image[10:50, 5:35])
    np.testing.assert_allclose(part.image_info, [40, 30, 0.75])
    assert part.origin == (5, 10) and whole.origin == (0, 0)


@pytest.mark.parametrize(
    "rows, columns, size",
    [(1, 16, (16, 16)), (132, 256, (144, 256)), (257, 640, (320, 640))],
)
def test_few_sizes_are_compiled(rows, columns, size):
    assert Channels().size(rows, columns) == size


def test_protocols(make_field):
    preprocessor = Channels()
    field = make_field(SOURCE)
    assert isinstance(preprocessor, Preprocessor)
    assert isinstance(preprocessor(field), Scene)
    assert (preprocessor.channels, preprocessor.blank) == (5, 0.0)
    assert (preprocessor.uses_beam, preprocessor.needs_infrared) == (True, False)
    assert not fitted(64).uses_beam


@pytest.mark.parametrize(
    "beam, message",
    [
        (
            9e3,
            r"field0: the beam would be 9e\+03 pixels wide .* 64; corr.*BMAJ",
        ),
        (0.01, "the beam would be 0.01 pixels wide and the field 64"),
    ],
)
def test_an_impossible_beam_is_named(make_field, beam, message):
    field = with_beam(make_field(SOURCE), beam)
    with pytest.raises(ImageError, match=message):
        Channels()(field)
    assert fitted(64)(field).shape == (64, 64)  # Which does not ask for it.


def test_a_picture_has_no_channels():
    picture = Field("drawn.png", picture=np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"drawn\.png: is a picture, but the network ne"
    ):
        Channels()(picture)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"beam_pixels": 0.5}, r"`beam_pixels` must be in \[1, 100\], got 0\.5"),
        ({"beam_pixels": math.nan}, "`beam_pixels` must be in .*, got nan"),
        (
            {"beam_pixels": None, "image_size": 8},
            "`image_size` must be at least 16 pixels, got 8",
        ),
        (
            {"image_size": 64},
            r"give either `beam_pixels` or `image_size`, got 3\.0 and",
        ),
        ({"beam_pixels": None}, "give either .*, got None and None"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Channels(**options)


def test_the_center_of_the_field_is_shown_where_it_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    image = SkyImage(values=rng.normal(size=(40, 60)).astype("f4"))
    field = Field("field", image=image)
    plain, centered = Channels(), Channels(centered=True)
    assert (plain.channels, centered.channels) == (5, 6)
    scene = centered(field)
    whole, part = scene.view().image, scene.view((30, 10, 60, 40)).image
    assert (whole[..., :5] == plain(field).view().image).all()
    near = whole[..., 5]
    assert near.max() == near[20, 30] == near[19, 29] > 0.9
    assert near[20, 42] == pytest.approx(0.5, abs=0.02)  # Twelve pixels away.
    assert (part[..., 5] == near[10:40, 30:60]).all()
