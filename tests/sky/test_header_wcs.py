"""The WCS of headers: odd ones that are read as meant, and those that lose pixels."""

import io
import itertools

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran.sky.images import read_sky_image

SHAPE = (100, 120)


@pytest.fixture
def header():
    return make_header()


def make_header(**changes):
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---SIN", "DEC--SIN"
    header["CRPIX1"], header["CRPIX2"] = 60.5, 50.5
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CDELT1"], header["CDELT2"] = -5e-4, 5e-4
    header["CUNIT1"] = header["CUNIT2"] = "deg"
    header["RADESYS"] = "FK5"
    header["EQUINOX"] = 2000.0
    for key, value in changes.items():
        if value is None:
            del header[key]
        else:
            header[key] = value
    return header


def read(header):
    values = np.random.default_rng(0).normal(size=SHAPE)
    return read_sky_image(fits.PrimaryHDU(values, header))


def both(key, value):
    return {f"{key}1": value, f"{key}2": value}


@pytest.mark.parametrize(
    "changes",
    [
        *(both("CUNIT", unit) for unit in ("DEG", "degree", "Degrees", "")),
        both("CUNIT", "arcseconds")
        | {"CRVAL1": 648000.0, "CRVAL2": 108000.0, "CDELT1": -1.8, "CDELT2": 1.8},
        {"RADESYS": "J2000"},
        {"RADESYS": "fk5"},
        {"RADESYS": None, "RADECSYS": "FK5"},
        {"EQUINOX": "J2000"},
        {"EQUINOX": None, "EPOCH": "2000.0"},
        {"CRVAL1": "180.0"},
        {"CDELT1": "-5.0D-4", "CRPIX1": "60.5"},
        {"CTYPE3": "FREQ", "CUNIT3": "Hertz or so"},
        {"MJD-OBS": "yesterday", "DATE-OBS": "01/02/95"},
    ],
    ids=str,
)
def test_read_as_meant(changes, header):
    found = read(make_header(**changes))
    assert found.notes == ()
    pixels = np.array([[3.0, 4.0], [99.0, 70.0]])
    np.testing.assert_allclose(
        found.wcs.all_pix2world(pixels, 0),
        WCS(header).all_pix2world(pixels, 0),
        rtol=1e-9,
    )


def test_equinox_of_1950_in_words_is_fk4():
    found = read(make_header(RADESYS=None, EQUINOX="B1950"))
    assert found.wcs.wcs.radesys == "FK4" and found.wcs.wcs.equinox == 1950


def test_tpv_without_pv_cards_is_tan():
    tan = read(make_header(CTYPE1="RA---TAN", CTYPE2="DEC--TAN"))
    tpv = read(make_header(CTYPE1="RA---TPV", CTYPE2="DEC--TPV"))
    np.testing.assert_allclose(
        tpv.wcs.all_pix2world([[3, 4]], 0), tan.wcs.all_pix2world([[3, 4]], 0)
    )


@pytest.mark.parametrize("value", [1e300, 0.0, -1.0, "unknown"])
def test_equinox_that_is_no_year_is_left_out(value):
    found = read(make_header(EQUINOX=value))
    assert found.wcs is not None and found.wcs.wcs.equinox == 2000  # FK5's.
    assert found.notes == (f"EQUINOX = {value!r} is not a year, and is left out",)


@pytest.mark.parametrize(
    "changes, note, pixel",
    [
        ({"CTYPE1": "RA---XXX", "CTYPE2": "DEC--XXX"}, "cannot read it", 1.8),
        ({"CTYPE2": "FREQ"}, "cannot read it", None),
        ({"CTYPE1": "ELON-SIN", "CTYPE2": "ELAT-SIN"}, "neither equatorial", 1.8),
        ({"RADESYS": "GAPPT"}, "RADESYS = 'GAPPT'", 1.8),
        ({"CUNIT1": "furlong"}, "CUNIT1", None),
        ({"CRVAL1": "12:00:00"}, "CRVAL1 = '12:00:00' is not a number", 1.8),
        ({"CRVAL1": True}, "CRVAL1 = True is not a number", 1.8),
        ({"CRVAL2": 95.0}, "", 1.8),
        ({"CRPIX1": 1e30}, "several at one place", 1.8),
        ({"CDELT1": 0.0}, "", None),
        ({"CDELT1": 1e300}, "side of", None),
        (both("CDELT", 1e300), "side of inf", None),
        ({"CD1_1": 5e-4, "CD1_2": 5e-4, "CD2_1": 5e-4, "CD2_2": 5e-4}, "", None),
        ({"CTYPE1": "RA", "CTYPE2": "DEC", "CRVAL2": 91.0}, "off the sky", 1.8),
    ],
)
def test_left_out_and_said(changes, note, pixel):
    found = read(make_header(**changes))
    assert found.wcs is None
    assert found.pixel_arcsec == (pixel and pytest.approx(pixel))
    assert found.notes[-1].startswith("the WCS is left out, as ")
    assert note in found.notes[-1] and "\n" not in found.notes[-1]


def test_missing_reference_is_said(header):
    del header["CRVAL1"], header["CRPIX2"]
    image = read(header)
    assert image.wcs is not None
    assert image.notes == ("CRVAL1, CRPIX2 are missing, and 0 is taken",)


def test_sip_without_its_name(header, capfd):
    header.update({"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-9, "B_0_2": 1e-9})
    assert read(header).wcs.sip is not None
    assert capfd.readouterr() == ("", "")


def test_an_image_without_a_wcs_needs_no_note():
    assert read(fits.Header({"BUNIT": "Jy"})).notes == ()
    assert read(make_header(CTYPE1="", CTYPE2="")).notes == ()


def test_corners_of_an_all_sky_image_may_be_off_the_sky():
    header = make_header(
        CTYPE1="GLON-AIT", CTYPE2="GLAT-AIT", CRVAL1=0.0, CRVAL2=0.0, CDELT1=-3.0,
        CDELT2=2.0, RADESYS=None, EQUINOX=None,
    )  # fmt: skip
    found = read(header)
    assert found.wcs is not None and found.notes == ()
    assert np.isnan(found.wcs.all_pix2world([[0, 0]], 0)).any()


@pytest.mark.parametrize(
    "projection, declination",
    [
        *itertools.product(("SIN", "TAN", "ZEA"), (-89.99, -30.0, 0.3, 89.99)),
        *itertools.product(("SFL", "CAR"), (-45.0, -15.0, 0.15, 45.0)),
        ("NCP", 89.99),
    ],
)
def test_good_projections_are_kept(projection, declination):
    names = {"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}"}
    found = read(make_header(**names, CRVAL2=declination))
    assert found.wcs is not None and found.notes == ()


@pytest.mark.parametrize(
    "card, said, unit",
    [
        (b"BUNIT   = 'JY/BEAM\x00'", "", "JY/BEAM"),
        (b"CDELT2  =        0.\n005", "CDELT2 = 'unreadable'", "JY"),
    ],
)
def test_damaged_cards(card, said, unit, tmp_path, rng):
    header = make_header(BUNIT="JY")
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(rng.normal(size=SHAPE).astype("f4"), header).writeto(path)
    whole = path.read_bytes()
    start = whole.index(card[:8])
    path.write_bytes(whole[:start] + card.ljust(80) + whole[start + 80 :])
    image = read_sky_image(path)
    assert image.unit == unit
    assert (image.wcs is None) == bool(said) and said in "".join(image.notes)


@pytest.mark.parametrize("kind", [fits.ImageHDU, fits.CompImageHDU])
@pytest.mark.parametrize("bad", [b"\0", b"\n"])
@pytest.mark.parametrize(
    "after", [b"OBJECT  = '", b"CTYPE1  = 'RA---SIN'", b"CRVAL2  ="]
)
def test_bytes_that_fits_does_not_allow_are_spaces(kind, bad, after, header, rng):
    header.insert(0, ("OBJECT", "3C 48"))
    content = io.BytesIO()
    hdu = kind(rng.normal(size=SHAPE).astype("f4"), header)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(content)
    whole = content.getvalue()
    place = whole.index(after) + len(after)
    damaged = whole[:place] + bad + whole[place + 1 :]
    for source in (damaged, fits.open(io.BytesIO(damaged))):
        image = read_sky_image(source)
        assert image.notes == () and image.name == "array"
        np.testing.assert_array_equal(
            image.wcs.all_pix2world([[3, 4]], 0), WCS(header).all_pix2world([[3, 4]], 0)
        )


def test_a_given_wcs_that_loses_pixels_is_refused(header):
    wcs = WCS(header)
    wcs.wcs.cdelt = [0, 5e-4]
    with pytest.raises(ValueError, match="`wcs` "):
        read_sky_image(np.eye(9), wcs=wcs)
