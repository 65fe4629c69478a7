import gzip

import astropy.units as u
import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran.errors import ImageError
from claran.sky.images import SkyImage, read_picture, read_sky_image


@pytest.fixture
def hdu(values, wcs):
    """A radio image with everything a good header has."""
    header = wcs.to_header()
    header["BMAJ"], header["BMIN"], header["BPA"] = 5.4 / 3600, 4.5 / 3600, 10.0
    header["BUNIT"] = "JY/BEAM "
    return fits.PrimaryHDU(values, header)


def test_file(hdu, values, tmp_path):
    hdu.writeto(tmp_path / "field.fits")
    image = read_sky_image(tmp_path / "field.fits")
    assert image.values.dtype == np.float32 and image.values.dtype.isnative
    np.testing.assert_array_equal(image.values, values)
    assert image.name == "field.fits" and image.unit == "JY/BEAM"
    assert image.beam == pytest.approx((5.4, 4.5, 10.0))
    assert image.pixel_arcsec == pytest.approx(1.8)
    # FITS pixel (15.5, 10.5), counted from one, is 14.5, 9.5 counted from zero.
    center = image.wcs.pixel_to_world(14.5, 9.5)
    assert (center.ra.deg, center.dec.deg) == pytest.approx((180, 30))


def test_other_sources_agree(hdu, values, tmp_path):
    path = tmp_path / "field.fits"
    hdu.writeto(path)
    (tmp_path / "field.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    wcs = WCS(hdu.header)
    with fits.open(path) as hdus:
        found = {
            "str": read_sky_image(str(path)),
            "gz": read_sky_image(tmp_path / "field.fits.gz"),
            "hdulist": read_sky_image(hdus),
            "hdu": read_sky_image(hdus[0]),
            "array": read_sky_image(values, wcs=wcs, name="field.fits"),
        }
    for kind, image in found.items():
        np.testing.assert_array_equal(image.values, values, err_msg=kind)
        assert image.pixel_arcsec == pytest.approx(1.8), kind
        assert image.name.startswith("field.fits"), kind
    assert read_sky_image(hdu).name == read_sky_image(values).name == "array"


@pytest.mark.parametrize("kind", [fits.ImageHDU, fits.CompImageHDU])
def test_first_hdu_with_an_image(kind, values, tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0, 2.0])])
    hdus = fits.HDUList([fits.PrimaryHDU(), table, kind(values), kind(values + 1)])
    hdus.writeto(tmp_path / "field.fits")
    image = read_sky_image(tmp_path / "field.fits")
    np.testing.assert_allclose(image.values, values, atol=0.1)  # Compression is lossy.


def test_degenerate_axes(hdu, values):
    hdu.data = values[None, None]
    hdu.header["CTYPE3"], hdu.header["CTYPE4"] = "FREQ", "STOKES"
    image = read_sky_image(hdu)
    np.testing.assert_array_equal(image.values, values)
    assert image.wcs.naxis == 2 and image.pixel_arcsec == pytest.approx(1.8)


@pytest.mark.parametrize("dtype", [">i2", "int64", "float64", ">f8", "uint8", "bool"])
def test_types(dtype):
    image = read_sky_image(np.eye(3).astype(dtype))
    assert image.values.dtype == np.float32
    np.testing.assert_array_equal(image.values, np.eye(3))


def test_blank_pixels(values, tmp_path):
    values[0, :3] = np.inf, -np.inf, np.nan
    assert np.isnan(read_sky_image(values).values).sum() == 3
    masked = np.ma.array(values, mask=values > 1)
    assert np.isnan(read_sky_image(masked).values[values > 1]).all()
    with np.errstate(all="raise"):
        assert np.isnan(read_sky_image(np.array([[1e300, 1.0]])).values[0, 0])
    header = fits.Header({"BLANK": 3})
    hdu = fits.PrimaryHDU(np.array([[1, 2], [3, 4]], np.int16), header)
    hdu.writeto(tmp_path / "x.fits")
    image = read_sky_image(tmp_path / "x.fits")
    np.testing.assert_array_equal(image.values, [[1, 2], [np.nan, 4]])


def test_quantity(values):
    image = read_sky_image(values * u.mJy)
    assert image.unit == "mJy"
    np.testing.assert_array_equal(image.values, values)


def test_input_is_left_alone(values):
    before = values.copy()
    values[0, 0] = before[0, 0] = np.inf
    read_sky_image(values).values[:] = 0
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("beam", [{}, {"BMAJ": "unknown", "BMIN": 1.0}, {"BMIN": 1.0}])
def test_no_beam(values, beam):
    assert read_sky_image(fits.PrimaryHDU(values, fits.Header(beam))).beam is None


def test_beams_that_only_a_good_reader_finds(hdu, tmp_path):
    """Without BMIN it is round; axes may be exchanged; AIPS writes the HISTORY."""
    del hdu.header["BMIN"], hdu.header["BPA"]
    assert read_sky_image(hdu).beam == pytest.approx((5.4, 5.4, 0))
    hdu.header["BMIN"] = 2 * hdu.header["BMAJ"]
    assert read_sky_image(hdu).beam == pytest.approx((10.8, 5.4, 90))
    del hdu.header["BMAJ"], hdu.header["BMIN"]
    hdu.header.add_history(
        "AIPS   CLEAN BMAJ=  1.5000E-03 BMIN=  1.2500E-03 BPA=   2.61"
    )
    hdu.writeto(tmp_path / "aips.fits")
    image = read_sky_image(tmp_path / "aips.fits")
    assert image.beam == pytest.approx((5.4, 4.5, 2.61))
    assert "beam 5.4 arcsec" in repr(image)


def test_a_broken_beam_card_does_not_warn(values):
    card = fits.Card.fromstring("BMAJ    = 1.2.3.4")
    image = read_sky_image(fits.PrimaryHDU(values, fits.Header([card])))
    assert image.beam is None


def test_old_headers_do_not_warn(hdu):
    hdu.header["DATE-OBS"] = "01/02/95"
    hdu.header["EPOCH"] = 2000.0
    hdu.header["BLANK"] = -1  # Meaningless for floats.
    assert read_sky_image(hdu).wcs is not None


def test_wcs_must_be_celestial(values):
    with pytest.raises(ValueError, match=r"`wcs` must be celestial, .* got \['', ''\]"):
        read_sky_image(values, wcs=WCS(naxis=2))


@pytest.mark.parametrize(
    "data, message",
    [
        pytest.param(np.zeros(4), r"array: has shape \(4,\); give an image", id="1-D"),
        pytest.param(np.zeros((0, 4)), r"has shape \(0, 4\); give", id="zero size"),
        pytest.param(
            np.zeros((1, 3, 4, 5)),
            r"array: is a cube of shape \(1, 3, 4, 5\); cut .*`data\[0, 0\]`",
            id="cube",
        ),
        pytest.param(np.full((4, 5), np.nan), "has no finite pixel; cut", id="NaN"),
        pytest.param(np.ones((2, 2), complex), "has complex128 values", id="complex"),
        pytest.param(fits.PrimaryHDU(), r"no image in its 1 HDU", id="empty HDU"),
        pytest.param(fits.HDUList(), r"no image in its 0 HDU", id="no HDU"),
    ],
)
def test_unusable_data(data, message):
    with pytest.raises(ImageError, match=message):
        read_sky_image(data)


def _damaged(kind, whole):
    return {
        "truncated data": whole[:3500],
        "truncated header": whole[:1000],
        "truncated gzip": gzip.compress(whole)[:-300],
        "empty": b"",
        "text": b"hello\n" * 1000,
        "no columns": whole.replace(b"= %20d" % 30, b"= %20d" % 0, 1)[:2880],
    }[kind]


@pytest.mark.parametrize(
    "kind, message",
    [
        ("truncated data", "x.fits: truncated or damaged .*; fetch it again"),
        ("truncated header", "x.fits: not a FITS file, or a truncated one"),
        ("truncated gzip", "x.fits: not a FITS file, or a truncated one"),
        ("empty", "x.fits: not a FITS file, or a truncated one"),
        ("text", "x.fits: not a FITS file but a text file; give the FITS image"),
        ("no columns", r"x.fits: has shape \(20, 0\)"),
    ],
)
def test_damaged_file(hdu, tmp_path, kind, message):
    hdu.writeto(tmp_path / "good.fits")
    whole = (tmp_path / "good.fits").read_bytes()
    (tmp_path / "x.fits").write_bytes(_damaged(kind, whole))
    with pytest.raises(ImageError, match=message) as info:
        read_sky_image(tmp_path / "x.fits")
    assert "\n" not in str(info.value)


def test_pixels_without_a_measurement_are_nan(rng):
    values = rng.normal(size=(40, 60)).astype(np.float32)
    values[:, :20] = 0
    values[:5] = -9999
    found = read_sky_image(values).values
    assert np.isnan(found[:, :20]).all() and np.isnan(found[:5]).all()
    np.testing.assert_array_equal(found[5:, 20:], values[5:, 20:])


@pytest.mark.parametrize("read", [read_sky_image, read_picture])
def test_missing_file(read, tmp_path):
    with pytest.raises(ImageError, match=r"none.fits: cannot be read \(No such"):
        read(tmp_path / "none.fits")
    with pytest.raises(ImageError, match=r"cannot be read \(Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    "stored, expected",
    [
        pytest.param(np.full((4, 6), 9, np.uint8), [9, 9, 9], id="grey"),
        pytest.param(np.full((4, 6), 0x12FF, np.uint16), [18, 18, 18], id="16 bit"),
        pytest.param(np.full((4, 6, 3), [1, 2, 3], np.uint8), [1, 2, 3], id="BGR"),
        pytest.param(np.full((4, 6, 4), [1, 2, 3, 4], np.uint8), [1, 2, 3], id="alpha"),
    ],
)
def test_picture(stored, expected, tmp_path):
    path = tmp_path / "ü.png"
    path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
    picture = read_picture(path)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.broadcast_to(expected, (4, 6, 3)))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", r"x.png: not a picture .*must end in .fits"),
        (b"SIMPLE  = T", r"x.png: is a FITS file, not a picture .*--radio"),
        (b"some words", r"x.png: not a picture .* but a text file"),
    ],
)
def test_not_a_picture(content, message, tmp_path):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_picture(tmp_path / "x.png")


REAL = {
    "first_wise_pairs/FIRSTJ151227.2+454026_3.fits": ((100, 100), 1.8),
    "first_wise_pairs/WISE_J153149.9+113421.7_w1.fits": ((350, 350), 1.375),
    "rgz_subject_fits/FIRSTJ124646.7+224554.fits": ((132, 132), 1.375),
    "rgz_subject_fits/caesar-mrcnn_galaxy0002_J000315+111543.fits": ((132, 132), None),
    "lotss_dr1/P218+55-mosaic-200px.fits": ((200, 200), 1.5),
    "first_cutouts_hetu/J000410+082157.fits": ((50, 50), 1.8),
    "atlas_elais_s1/S311.fits": ((301, 301), 0.6),
    "scorpio_atca_mosaic/ScorpioFaintSNRField.fits": ((1000, 1000), 1.5),
}


@pytest.mark.parametrize("name", REAL)
def test_real_file(real_data, name):
    image = read_sky_image(real_data / name)
    shape, pixel = REAL[name]
    assert image.values.shape == shape
    assert image.pixel_arcsec == (pixel and pytest.approx(pixel, rel=1e-4))


def test_all_real_files(real_data):
    files = sorted(real_data.glob("*/*.fits"))
    assert len(files) > 40
    for path in files:
        image = read_sky_image(path)
        assert isinstance(image, SkyImage) and image.values.ndim == 2
        assert (image.wcs is None) == path.name.startswith("caesar")
