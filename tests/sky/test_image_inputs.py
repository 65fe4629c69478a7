"""What `read_sky_image` accepts in Python, and what it says about anything else."""

import io
import zlib

import astropy.units as u
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, Cutout2D, NDData
from astropy.wcs import WCS
from PIL import Image

from claran.errors import ImageError
from claran.sky.images import read_picture, read_sky_image
from claran.sky.picture_sizes import check_picture

IDAT = b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(jnp.asarray, id="JAX"),
        pytest.param(lambda v: v.tolist(), id="lists"),
        pytest.param(lambda v: tuple(map(tuple, v)), id="tuples"),
        pytest.param(np.asfortranarray, id="Fortran"),
        pytest.param(lambda v: v.astype(">f8"), id="big-endian"),
        pytest.param(lambda v: np.repeat(v, 2, 1)[:, ::2], id="view"),
        pytest.param(lambda v: v[::-1][::-1], id="negative strides"),
        pytest.param(lambda v: v[None, None], id="axes of length 1"),
        pytest.param(np.ma.array, id="masked"),
        pytest.param(lambda v: v * u.Jy, id="Quantity"),
        pytest.param(NDData, id="NDData"),
    ],
)
def test_arrays_of_all_kinds(make, values):
    before = values.copy()
    values.flags.writeable = False
    found = read_sky_image(make(values)).values
    assert found.flags.writeable and found.dtype == np.float32
    np.testing.assert_array_equal(found, before)


def test_ccddata_keeps_mask_unit_wcs_and_beam(values, wcs):
    header = fits.Header({"BMAJ": 0.0015, "BMIN": 0.00125, "BPA": 10.0})
    data = CCDData(values, mask=values > 1, unit="mJy", wcs=wcs, meta=header)
    image = read_sky_image(data)
    assert image.unit == "mJy" and image.pixel_arcsec == pytest.approx(1.8)
    assert image.beam == pytest.approx((5.4, 4.5, 10))
    np.testing.assert_array_equal(np.isnan(image.values), values > 1)


def test_parts_of_ccddata_have_their_own_wcs(values, wcs):
    whole = CCDData(values, unit="mJy", wcs=wcs)
    expected = wcs.all_pix2world([[7, 5]], 0)
    for part in (whole[2:, 4:], Cutout2D(values, (17, 11), (18, 26), wcs=wcs)):
        image = read_sky_image(part)
        np.testing.assert_array_equal(image.values, values[2:, 4:])
        np.testing.assert_allclose(image.wcs.all_pix2world([[3, 3]], 0), expected)


def test_a_wcs_of_ccddata_that_astropy_cannot_use_is_said(values):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["FREQ", "RA---SIN"]
    image = read_sky_image(NDData(values, wcs=wcs))
    note = "the WCS is left out, as Astropy cannot use its axes (FREQ, RA---SIN)"
    assert image.wcs is None and image.notes == (note,)
    with pytest.raises(ValueError, match=r"can use, got \['FREQ', 'RA---SIN'\]\.$"):
        read_sky_image(values, wcs=wcs)


def test_a_mask_of_another_shape_is_refused(values):
    data = NDData(values, mask=np.zeros((3, 3), bool))
    message = r"mask has shape \(3, 3\), but its data \(20, 30\); give"
    with pytest.raises(ImageError, match=message):
        read_sky_image(data)


def test_hdus_of_a_closed_file(values, tmp_path):
    fits.writeto(tmp_path / "x.fits", values)
    with fits.open(tmp_path / "x.fits") as hdus:
        pass
    message = r"x\.fits: its file is closed; give it while the file is open\.$"
    with pytest.raises(ImageError, match=message):
        read_sky_image(hdus)


def test_bytes_and_open_files(values, tmp_path):
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(values).writeto(path)
    content = path.read_bytes()
    for source in (content, bytearray(content), memoryview(content)):
        np.testing.assert_array_equal(read_sky_image(source).values, values)
    with path.open("rb") as file:
        assert read_sky_image(file).name == "x.fits"
    np.testing.assert_array_equal(read_sky_image(io.BytesIO(content)).values, values)
    message = r"x.fits: is open as text; open it in binary mode"
    with (
        path.open(encoding="latin-1") as file,
        pytest.raises(ImageError, match=message),
    ):
        read_sky_image(file)


@pytest.mark.parametrize(
    "source, message",
    [
        (None, "array: a NoneType is no image; give a path, the bytes of a FITS file"),
        (7, "a int is no image; give a path"),
        ({"data": 1}, "a dict is no image; give a path"),
        ([[1, 2], [3]], r"array: is no array \("),
        ([["a", "b"]], "array: has <U1 values; give real numbers"),
        (np.array([[1, None]]), "array: has object values; give real numbers"),
        (np.ones((2, 2), complex), "array: has complex128 values; give real numbers"),
        (np.zeros((9, 9, 3), np.uint8), r"array: is a cube of shape \(9, 9, 3\)"),
        ("a\0b.fits", "cannot be read"),
    ],
)
def test_anything_else_gets_one_line(source, message):
    with pytest.raises(ImageError, match=message) as info:
        read_sky_image(source)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("ending", [".jpg", ".tif"])
def test_damaged_exif_data_is_no_matter(ending):
    made = io.BytesIO()
    exif = Image.Exif()
    exif[271] = "a camera of some maker"
    kind = {".jpg": "JPEG", ".tif": "TIFF"}[ending]
    Image.new("RGB", (20, 10)).save(made, kind, exif=exif)
    content = made.getvalue().replace(b"\x0f\x01\x02\x00", b"\x0f\x01\x02\xff")
    content = content.replace(b"\x01\x0f\x00\x02", b"\x01\x0f\x00\x02\xff\xff\xff\xff")
    assert content != made.getvalue()
    check_picture(content, "a picture")  # Warnings are errors in the tests.
    check_picture(content[: len(content) // 2], "a picture")


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    head = b"IHDR" + 2 * (20_000).to_bytes(4) + b"\x08\2\0\0\0"
    check = zlib.crc32(head).to_bytes(4)
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + check + IDAT)
    for source in (path, path.read_bytes()):
        with pytest.raises(ImageError, match=r"has 400,000,000 pixels, over 100,0"):
            read_picture(source)


@pytest.mark.parametrize(
    "cards, name, infrared",
    [
        ({"TELESCOP": "WISE"}, "a.fits", "TELESCOP = 'WISE'"),
        ({"SURVEY": "WISE 3.4"}, "a.fits", "SURVEY = 'WISE 3.4'"),
        ({"ORIGIN": "2MASS Survey"}, "a.fits", "ORIGIN = '2MASS Survey'"),
        ({"MAGZP": 20.5, "WAVELEN": 3.368}, "a.fits", "WAVELEN = 3.368 microns"),
        ({}, "J1200+3000_w1.fits", "by its name"),
        ({}, "a_infrared.fits.gz", "by its name"),
        ({}, "air.fits", ""),
        ({"TELESCOP": "VLA"}, "a.fits", ""),
        ({"BMAJ": 0.0015}, "J1200+3000_ir.fits", ""),
        ({"BUNIT": "JY/BEAM", "OBJECT": "WISE"}, "a_wise.fits", ""),
    ],
)
def test_infrared_images_are_recognized(cards, name, infrared, values, tmp_path):
    fits.PrimaryHDU(values, fits.Header(cards)).writeto(tmp_path / name)
    assert read_sky_image(tmp_path / name).infrared == infrared
