"""One field: what is measured on it, once, and what stays of that when it changes."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from claran.errors import ImageError
from claran.fields import field as field_module
from claran.fields.field import Field
from claran.sky.images import SkyImage, read_sky_image
from claran.sky.islands import find_islands, smallest_island
from claran.sky.noise import noise
from claran.sky.signal_to_noise import noise_window
from claran.sky.surveys import SURVEYS

FIRST_BEAM = 3.0  # Pixels.
MEASURED = ("noise", "signal_to_noise", "islands", "peaks", "peak_counts")
MEASURING = ("noise", "local_noise", "find_islands", "find_all_peaks", "count_peaks")


def make_values(*shape, sources=((20, 22), (34, 30)), seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 2.0, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for x0, y0 in sources:
        values += 200 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 3.2)
    return values.astype(np.float32)


@pytest.fixture
def image():
    return SkyImage(
        values=make_values(60, 64),
        pixel_arcsec=1.8,
        beam=(5.4, 5.4, 0.0),
        name="f.fits",
    )


@pytest.fixture
def field(image, make_objects):
    return Field("f", image=image, objects=make_objects([[16, 18, 24, 26]]))


@pytest.fixture
def calls(count_calls):
    """Calls of everything that measures, by name."""
    return {name: count_calls(field_module, name) for name in MEASURING}


def look_at_all(field):
    return [getattr(field, name) for name in (*MEASURED, "island_peaks", "shape")]


def test_each_measurement_is_made_once(field, calls):
    for _ in range(3):
        look_at_all(field)
        field.measure()
    assert {name: len(made) for name, made in calls.items()} == dict.fromkeys(
        MEASURING, 1
    )


def test_nothing_is_measured_before_it_is_asked_for(image, calls):
    field = Field("f", image=image)
    assert (field.shape, field.beam_pixels, repr(field) != "") == ((60, 64), 3.0, True)
    assert not any(calls.values())
    field.noise  # noqa: B018 - measures.
    assert [len(calls[name]) for name in MEASURING] == [1, 0, 0, 0, 0]


def test_measurements_are_those_of_the_sky(field, image):
    assert field.noise == noise(image.values)
    np.testing.assert_array_equal(
        field.signal_to_noise, image.values / np.float32(field.noise)
    )
    expected = find_islands(
        field.signal_to_noise, 1.0, min_pixels=smallest_island(FIRST_BEAM)
    )
    np.testing.assert_array_equal(field.islands.labels, expected.labels)
    assert len(field.islands) == 2 and field.island_peaks.tolist() == [1, 1]


def test_measure_does_it_all_at_once(field, calls):
    assert field.measure() is field
    assert [len(calls[name]) for name in MEASURING] == [1, 1, 1, 1, 1]
    look_at_all(field)
    assert [len(calls[name]) for name in MEASURING] == [1, 1, 1, 1, 1]


def test_noise_that_is_given_is_not_measured(image, calls):
    field = Field("f", image=image, noise=4)
    assert field.noise == 4.0 and isinstance(field.noise, float)
    np.testing.assert_array_equal(field.signal_to_noise, image.values / np.float32(4))
    assert calls["noise"] == []


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_impossible_noise_is_refused(image, value):
    with pytest.raises(
        ValueError, match=f"f: `noise` must be positive and finite, got {value}; leave"
    ):
        Field("f", image=image, noise=value)


def test_peaks_of_each_island(rng):
    y, x = np.mgrid[:60, :60]
    spot = lambda x0, y0: np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    radio = 100 * (spot(15, 15) + spot(45, 40) + spot(45, 47))
    radio += rng.normal(0, 0.1, (60, 60))
    radio[0, :] = np.nan
    field = Field("f", image=SkyImage(values=radio.astype(np.float32)), noise=1.0)
    assert field.island_peaks.tolist() == [1, 2]
    assert len(field.islands) == 2 and len(field.peaks) == 3


def test_islands_have_the_peaks_in_a_field_of_9_arcmin_that_they_have_in_3(real_data):
    same, all_ = 0, 0
    for path in sorted((real_data / "first_fields_dev").glob("*.fits")):
        large = read_sky_image(path)
        small = dataclasses.replace(large, values=large.values[100:200, 100:200])
        inner, outer = (Field(path.name, image=image) for image in (small, large))
        counts, outer_boxes = outer.island_peaks, outer.islands.boxes - 100
        for box, peaks in zip(
            inner.islands.boxes, inner.island_peaks.tolist(), strict=True
        ):
            if box.min() <= 0 or box.max() >= 100:
                continue  # Cut by the edge of the smaller.
            low = np.maximum(box[:2], outer_boxes[:, :2])
            high = np.minimum(box[2:], outer_boxes[:, 2:])
            (touching,) = (low < high).all(axis=1).nonzero()
            all_ += 1
            same += counts[touching].tolist() == [peaks]
    assert all_ > 20
    assert same >= 0.9 * all_  # With one noise for the large field: 0.64.


def test_a_small_field_has_one_noise(rng):
    image = SkyImage(values=rng.normal(size=(100, 150)).astype(np.float32))
    field = Field("f", image=image)
    expected = image.values / np.float32(field.noise)
    np.testing.assert_array_equal(field.signal_to_noise, expected)


@pytest.mark.parametrize("beam", [3.0, 6.0])
def test_noise_is_measured_over_so_many_beams(rng, beam):
    side = round(2 * noise_window(beam))
    values = rng.normal(size=(side, side)) * np.linspace(1, 9, side)
    image = SkyImage(
        values=values.astype(np.float32), pixel_arcsec=1.0, beam=(beam, beam, 0.0)
    )
    spread = Field("f", image=image).signal_to_noise.std(axis=0)
    # From the middle of the first window to that of the last it is even.
    ends = spread[side // 4], spread[-side // 4]
    assert ends == pytest.approx((1, 1), rel=0.2)
    assert spread[0] < 0.5


def test_no_noise_to_measure():
    flat = Field("flat.fits", image=SkyImage(values=np.ones((5, 5), np.float32)))
    with pytest.raises(
        ImageError, match=r"flat\.fits: cannot estimate the noise, .* set blank pixels"
    ):
        flat.noise  # noqa: B018 - measures.


def test_a_picture_has_no_noise_and_no_islands():
    field = Field("p.png", picture=np.zeros((20, 30, 3), np.uint8))
    assert field.shape == (20, 30) and not field.has_radio and field.wcs is None
    assert len(field.islands) == len(field.peaks) == 0
    assert field.islands.labels.shape == (20, 30)
    assert field.island_peaks.tolist() == []
    assert field.measure() is field
    assert field.assumptions == ()
    for name in ("noise", "signal_to_noise"):
        with pytest.raises(ImageError, match=r"p\.png: is a picture, but a radio ima"):
            getattr(field, name)


def test_a_field_of_nothing_is_refused(image):
    with pytest.raises(ValueError, match="f: give `image`, `picture` or both"):
        Field("f")
    with pytest.raises(ValueError, match="f: give `image`, `picture` or both"):
        Field("f", image=image).replace(image=None)


@pytest.mark.parametrize(
    "beam, pixel, survey, expected",
    [
        pytest.param((7.2, 1.8, 0.0), 1.8, None, 2.0, id="header"),
        pytest.param((7.2, 1.8, 0.0), 1.8, "emu", 2.0, id="header before survey"),
        pytest.param(None, 1.5, "emu", 10.0, id="survey's beam"),
        pytest.param((6.0, 6.0, 0.0), None, "emu", 3.0, id="survey's pixel"),
        pytest.param(None, None, "emu", 7.5, id="all of the survey"),
        pytest.param(None, 1.8, None, 3.0, id="FIRST's beam"),
        pytest.param(None, 0.9, None, 6.0, id="FIRST's beam in finer pixels"),
        pytest.param((7.2, 7.2, 0.0), None, None, 3.0, id="FIRST's three pixels"),
        pytest.param(None, None, None, 3.0, id="nothing known"),
    ],
)
def test_beam_in_pixels(beam, pixel, survey, expected):
    values = np.zeros((4, 4), np.float32)
    image = SkyImage(values=values, beam=beam, pixel_arcsec=pixel)
    field = Field("f", image=image, survey=survey and SURVEYS[survey])
    assert field.beam_pixels == pytest.approx(expected)
    unknown = pixel is None and survey is None
    assert math.isnan(field.pixel_arcsec) == unknown


@pytest.mark.parametrize(
    "beam, pixel, assumed",
    [
        ((5.0, 5.0, 0.0), 1.0, ()),
        (None, 1.0, ("no beam: assumed FIRST's, 5.4 arcsec",)),
        (
            (5.0, 5.0, 0.0),
            None,
            ("no pixel size: the beam is assumed to be 3 pixels wide (FIRST)",),
        ),
        (
            None,
            None,
            (
                "no beam and no pixel size: the beam is assumed to be 3 pixels wide "
                "(FIRST)",
            ),
        ),
    ],
    ids=["all known", "no beam", "no pixel", "neither"],
)
def test_assumptions_are_told_unless_the_survey_is(beam, pixel, assumed):
    values = np.zeros((4, 4), np.float32)
    field = Field("f", image=SkyImage(values=values, beam=beam, pixel_arcsec=pixel))
    assert field.assumptions == assumed
    assert field.replace(survey=SURVEYS["lotss"]).assumptions == ()


def kept(field, **changes):
    """Returns the measurements that a field with other parts has already."""
    other = field.measure().replace(**changes)
    assert other is not field
    for name, value in changes.items():
        assert getattr(other, name) is value
    return {name for name in MEASURED if name in vars(other)}


@pytest.mark.parametrize(
    "part, value, expected",
    [
        ("name", "other", set(MEASURED)),
        ("picture", np.zeros((8, 8, 3), np.uint8), set(MEASURED)),
        ("survey", SURVEYS["emu"], {"noise"}),
        ("noise", 4.0, {"noise"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_replaced_parts_keep_the_measurements_that_hold(field, part, value, expected):
    assert kept(field, **{part: value}) == expected


def test_other_objects_keep_every_measurement(field, make_objects):
    assert kept(field, objects=make_objects([])) == set(MEASURED)


def test_another_beam_keeps_the_noise_alone(field, calls):
    wide = dataclasses.replace(field.image, beam=(16.2, 16.2, 0.0))
    assert kept(field, image=wide) == {"noise"}
    other = field.replace(image=wide).measure()
    # Its smallest island has nine times the pixels.
    assert len(other.islands) < len(field.islands)
    assert len(calls["noise"]) == 1


def test_other_pixels_keep_nothing(field):
    image = dataclasses.replace(field.image, values=2 * field.image.values)
    assert kept(field, image=image) == set()
    assert field.replace(image=image).noise == pytest.approx(2 * field.noise)
    assert field.replace(image=image, noise=9.0).noise == 9.0
    assert field.replace(image=SkyImage(values=make_values(9, 8))).shape == (9, 8)


def test_noise_is_measured_again_on_request(field, image):
    given = Field("f", image=image, noise=7.0)
    assert given.replace(noise=None).noise == field.noise


def test_another_picture_has_its_own_shape():
    field = Field("p", picture=np.zeros((20, 30, 3), np.uint8))
    assert (field.shape, len(field.islands)) == ((20, 30), 0)
    other = field.replace(picture=np.zeros((8, 9, 3), np.uint8))
    assert other.shape == other.islands.labels.shape == (8, 9)
    assert "islands" in vars(field.replace(name="q"))


def test_the_field_itself_is_not_changed(field, image):
    look_at_all(field)
    assert field.domain_notes == ()
    before = dict(vars(field))
    field.replace(image=dataclasses.replace(image, name="other"), name="g", noise=1.0)
    field.without_pixels()
    assert vars(field).keys() == before.keys()
    assert all(vars(field)[name] is value for name, value in before.items())


def test_only_parts_are_replaced(field):
    with pytest.raises(TypeError, match="unexpected keyword argument 'beam'"):
        field.replace(beam=3.0)


def assert_same_but_for_pixels(bare, field):
    assert bare.noise == field.noise and bare.shape == field.shape
    np.testing.assert_array_equal(bare.islands.boxes, field.islands.boxes)
    np.testing.assert_array_equal(bare.peaks.positions, field.peaks.positions)
    np.testing.assert_array_equal(bare.island_peaks, field.island_peaks)
    assert bare.beam_pixels == field.beam_pixels
    assert len(bare.objects) == len(field.objects)
    assert (bare.name, bare.has_radio) == (field.name, field.has_radio)


def test_without_pixels_all_that_was_measured_is_there(calls):
    image = SkyImage(values=make_values(200, 200), pixel_arcsec=1.8)
    picture = np.zeros((200, 200, 3), np.uint8)
    field = Field("f", image=image, picture=picture)
    bare = field.without_pixels()
    assert_same_but_for_pixels(bare, field)
    assert bare.image.values.size == bare.islands.labels.size == 0
    assert bare.picture is None
    assert len(pickle.dumps(bare)) < 0.01 * len(pickle.dumps(field))
    assert [len(calls[name]) for name in MEASURING] == [1, 1, 1, 1, 1]
    renamed = bare.replace(name="g")
    assert (renamed.shape, renamed.noise) == ((200, 200), field.noise)


def test_a_picture_without_pixels_keeps_its_shape(make_objects):
    picture = np.zeros((20, 30, 3), np.uint8)
    field = Field("p", picture=picture, objects=make_objects([[1, 2, 3, 4]]))
    bare = field.without_pixels().replace(name="q")
    assert bare.shape == (20, 30) and bare.picture.size == 0
    assert len(bare.objects) == 1 and not bare.has_radio


def test_pickles_keep_measurements(field, calls):
    field.measure()
    for one in (field, field.without_pixels()):
        copy = pickle.loads(pickle.dumps(one))
        assert_same_but_for_pixels(copy, field)
    assert [len(calls[name]) for name in MEASURING] == [1, 1, 1, 1, 1]


def test_repr(field, image):
    assert repr(field) == "<Field 'f': 64 x 60 px, radio, 1 objects>"
    both = Field("g", image=image, picture=np.zeros((9, 9, 3), np.uint8))
    assert repr(both) == "<Field 'g': 64 x 60 px, radio and infrared>"
    picture = Field("p", picture=np.zeros((20, 30, 3), np.uint8))
    assert repr(picture) == "<Field 'p': 30 x 20 px, picture>"


def test_damaged_numbers_do_not_overflow(rng):
    values = rng.normal(size=(40, 50)).astype(np.float32) * np.float32(1e-30)
    values[5:8, 5:8] = 1e17
    field = Field("f", image=SkyImage(values=values))
    assert field.signal_to_noise.max() == np.float32(1e9)
    assert np.isfinite(field.signal_to_noise).all() and len(field.islands) == 1


def test_background_and_noise_map(rng):
    values = rng.normal(7, 2, (60, 80)).astype(np.float32)
    field = Field("f", image=SkyImage(values=values))
    np.testing.assert_allclose(field.background, 7, atol=0.9)
    np.testing.assert_array_equal(field.source_image.values, values - field.background)
    assert field.noise_map == pytest.approx(field.noise)
    flat = Field("f", image=SkyImage(values=values - np.float32(7)))
    assert flat.background is None and flat.source_image is flat.image


def test_noise_map_of_uneven_noise(rng):
    values = rng.normal(size=(100, 100)).astype(np.float32)
    values[:, 60:] *= 10
    field = Field("f", image=SkyImage(values=values))
    found = field.noise_map
    assert found[:, 61:] == pytest.approx(10, rel=0.2)
    np.testing.assert_allclose(
        field.signal_to_noise, field.source_image.values / found, rtol=1e-5
    )
