"""A field out of whatever a user has."""

import io
import lzma

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.reading import (
    read_field,
    read_infrared,
    read_picture_field,
    with_beam,
)
from claran.sky.images import SkyImage, read_sky_image
from claran.sky.surveys import SURVEYS


@pytest.fixture
def radio(values, wcs, tmp_path):
    header = wcs.to_header()
    header.update({"BMAJ": 0.002, "BMIN": 0.002})
    fits.writeto(tmp_path / "radio.fits", values, header)
    return tmp_path / "radio.fits"


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_radio_images_of_every_kind(radio, values, wcs):
    with fits.open(radio) as hdus:
        found = [
            read_field(source)
            for source in (radio, str(radio), hdus, hdus[0], read_sky_image(radio))
        ]
    found.append(read_field(values, wcs=wcs, name="radio.fits", beam_arcsec=7.2))
    for field in found:
        np.testing.assert_array_equal(field.image.values, values)
        assert field.beam_pixels == pytest.approx(4)
        assert field.name.startswith("radio.fits")
        assert field.wcs is not None and field.picture is None
        assert len(field.objects) == 0


def test_names(radio, values):
    assert read_field(radio).name == "radio.fits"
    assert read_field(radio, name="other").name == "other"
    assert read_field(values).name == "array"
    image = SkyImage(values=values, name="own")
    assert read_field(image).name == "own"
    assert read_field(Field("f", image=image), name="g").name == "g"


@pytest.mark.parametrize(
    "kind",
    ["path", "array", "image", "FITS", "FITS array", "CCDData", "HDU", "xz", "open"],
)
def test_infrared_of_every_kind(radio, picture, values, wcs, tmp_path, kind):
    cv2.imwrite(str(tmp_path / "w1.png"), picture)
    fits.writeto(tmp_path / "w1.fits", values, wcs.to_header())
    content = (tmp_path / "w1.fits").read_bytes()
    (tmp_path / "w1.fits.xz").write_bytes(lzma.compress(content))
    image = read_sky_image(tmp_path / "w1.fits")
    infrared = {
        "path": tmp_path / "w1.png", "array": picture, "image": image,
        "FITS": tmp_path / "w1.fits", "FITS array": values,
        "CCDData": CCDData(values, unit="adu", wcs=wcs),
        "HDU": fits.PrimaryHDU(values[None], wcs.to_header()),
        "xz": tmp_path / "w1.fits.xz", "open": io.BytesIO(content),
    }[kind]  # fmt: skip
    field = read_field(radio, infrared)
    assert field.picture.dtype == np.uint8
    if kind in ("path", "array"):
        np.testing.assert_array_equal(field.picture, picture)
    else:
        assert field.picture.shape == (20, 30, 3)
    if kind != "open":  # It is read once.
        assert isinstance(read_infrared(infrared), np.ndarray | SkyImage)
    assert read_infrared(None) is None


@pytest.mark.parametrize("read", [read_field, read_picture_field, read_infrared])
def test_files_open_as_text_are_refused(read, radio):
    message = r"^radio\.fits: is open as text; open it in binary mode, 'rb'\.$"
    with (
        radio.open(encoding="latin-1") as file,
        pytest.raises(ImageError, match=message),
    ):
        read(file)


def test_a_survey_fills_in_what_the_header_lacks(values, wcs, radio):
    lotss = SURVEYS["lotss"]
    assert read_field(radio, survey=lotss).beam_pixels == pytest.approx(4)
    bare = read_field(values, wcs=wcs, survey=lotss)
    assert bare.beam_pixels == pytest.approx(6 / 1.8)
    assert bare.assumptions == ()
    assert read_field(values, wcs=wcs).assumptions != ()


def test_a_beam_that_is_given_comes_first(radio):
    field = read_field(radio, beam_arcsec=3.6, survey=SURVEYS["emu"])
    assert field.beam_pixels == pytest.approx(2)
    assert field.image.beam == (3.6, 3.6, 0.0)


def test_a_field_comes_back_as_it_is(radio):
    field = read_field(radio)
    assert read_field(field) is field


def test_a_field_comes_back_with_what_is_given(radio, wcs, picture):
    field = Field("f", image=read_sky_image(radio), noise=5.0).measure()
    other = read_field(field, picture, survey=SURVEYS["emu"], beam_arcsec=3.6)
    assert other.survey is SURVEYS["emu"] and other.noise == 5.0
    assert other.beam_pixels == pytest.approx(2)
    np.testing.assert_array_equal(other.picture, picture)
    assert field.picture is None and field.beam_pixels == pytest.approx(4)
    coarse = wcs.deepcopy()
    coarse.wcs.cdelt = [-1e-3, 1e-3]
    for source in (field, field.image):
        again = read_field(source, wcs=coarse)
        assert again.pixel_arcsec == pytest.approx(3.6)
        assert again.beam_pixels == pytest.approx(2)


def test_a_picture_stays_one(picture):
    field = Field("p", picture=picture)
    assert read_field(field, beam_arcsec=3.0, survey=None) is field
    with_survey = read_field(field, survey=SURVEYS["emu"])
    assert with_survey.survey is SURVEYS["emu"] and with_survey.image is None
    for given in ({"infrared": picture}, {"wcs": WCS(naxis=2)}):
        with pytest.raises(ValueError, match="p: is a picture; leave out `infrared`"):
            read_field(field, **given)


def test_a_wcs_of_more_axes_is_cut(values):
    header = fits.Header({"NAXIS": 3})
    for axis, name in enumerate(("RA---SIN", "DEC--SIN", "FREQ"), start=1):
        header[f"CTYPE{axis}"], header[f"CDELT{axis}"] = name, 5e-4
    field = read_field(SkyImage(values=values), wcs=WCS(header))
    assert field.wcs.naxis == 2 and field.pixel_arcsec == pytest.approx(1.8)


def test_a_wcs_that_is_not_celestial_is_refused(values):
    for source in (values, SkyImage(values=values)):
        with pytest.raises(ValueError, match="`wcs` must be celestial, in a frame"):
            read_field(source, wcs=WCS(naxis=2))


@pytest.mark.parametrize("beam", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_beam_is_refused(radio, beam):
    message = f"`beam_arcsec` must be positive and finite, got {beam}"
    with pytest.raises(ValueError, match=message):
        read_field(radio, beam_arcsec=beam)


def test_a_beam_in_arcsec_needs_pixels_in_arcsec(values):
    image = SkyImage(values=values, name="bare.fits")
    assert with_beam(image, None) is image
    with pytest.raises(
        ImageError, match=r"bare\.fits: has no WCS, so that the width of a beam"
    ):
        with_beam(image, 5.0)


def test_a_beam_in_arcsec_and_a_survey(values):
    """The survey has the size of a pixel, so that an image needs no WCS."""
    image = SkyImage(values=values, name="bare.fits")
    field = read_field(image, survey=SURVEYS["vlass"], beam_arcsec=5.0)
    assert field.beam_pixels == pytest.approx(5.0)
    again = read_field(field, beam_arcsec=3.0)
    assert again.beam_pixels == pytest.approx(3.0)


def test_pictures(picture, tmp_path):
    cv2.imwrite(str(tmp_path / "own.png"), picture)
    for field, name in (
        (read_picture_field(tmp_path / "own.png"), "own.png"),
        (read_picture_field(str(tmp_path / "own.png"), name="n"), "n"),
        (read_picture_field(picture), "picture"),
        (read_picture_field(picture, name="n"), "n"),
    ):
        assert field.name == name and not field.has_radio
        np.testing.assert_array_equal(field.picture, picture)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["float", "grey", "transparent", "empty"],
)  # fmt: skip
def test_other_arrays_are_no_pictures(array):
    with pytest.raises(
        ValueError, match=r"`source` must be a uint8 picture \(height, width, 3\), got "
    ):
        read_picture_field(array)


def test_unreadable_files_are_named(tmp_path, radio):
    for read in (read_field, read_picture_field, read_infrared):
        with pytest.raises(ImageError, match=r"none\.fits: "):
            read(tmp_path / "none.fits")
    with pytest.raises(ImageError, match=r"none\.png: cannot be read"):
        read_field(radio, tmp_path / "none.png")
