"""The same sources are found whatever the background, the noise and the padding."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

import claran

BEAM, PIXEL, NOISE = 5.4, 1.8, 1.5e-4
SIGMA = BEAM / PIXEL / 2.3548
POINTS = ((30, 100, 0.02), (80, 80, 0.003), (100, 30, 0.002))  # x, y, Jy.


@pytest.fixture(scope="module")
def detector():
    return claran.Detector.from_preset("claran_v1")


def make(side, seed=0, points=POINTS):
    values = gaussian_filter(
        np.random.default_rng(seed).normal(size=(side, side)), SIGMA
    )
    values *= NOISE / values.std()
    y, x = np.mgrid[:side, :side]
    for x0, y0, flux in points:
        values += flux * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / SIGMA**2)
    return values.astype(np.float32)


def hdu(values):
    made = fits.PrimaryHDU(values)
    made.header.update(
        CTYPE1="RA---SIN", CTYPE2="DEC--SIN", CRPIX1=66.5, CRPIX2=66.5, CRVAL1=180.0,
        CRVAL2=30.0, CDELT1=-PIXEL / 3600, CDELT2=PIXEL / 3600, BMAJ=BEAM / 3600,
        BMIN=BEAM / 3600, BPA=0.0, BUNIT="JY/BEAM",
    )  # fmt: skip
    return made


def boxes(detector, values):
    table = detector.detect(hdu(values))
    columns = (table[name].tolist() for name in ("x0", "y0", "x1", "y1"))
    return sorted(zip(*columns, strict=True))


@pytest.mark.parametrize("level", [3e-4, 0.001, -0.001, 0.01, -0.01, 1.0, -1.0, 2.7])
def test_an_offset_hides_no_source(detector, level):
    field = make(132)
    good = boxes(detector, field)
    assert len(good) == 3
    found = boxes(detector, field + np.float32(level))
    # The background is known to about a tenth of the noise.
    np.testing.assert_allclose(found, good, atol=1)


@pytest.mark.parametrize("slope", [(0.002, 0.0), (-0.001, 0.003)])
def test_a_slope_hides_no_source(detector, slope):
    y, x = np.mgrid[:132, :132] / 132
    found = boxes(detector, make(132) + (slope[0] * x + slope[1] * y).astype("f4"))
    np.testing.assert_allclose(found, boxes(detector, make(132)), atol=1)


def test_a_background_on_a_mosaic_hides_no_source(detector):
    points = [(x, y, 0.02) for x in (60, 200, 330) for y in (90, 300)]
    field = make(400, points=points)
    y, x = np.mgrid[:400, :400] / 400
    waves = 0.002 * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y)
    found = boxes(detector, field + waves.astype("f4"))
    np.testing.assert_allclose(found, boxes(detector, field), atol=1)


@pytest.mark.parametrize("kind", ["primary beam", "half", "strip", "spot"])
def test_uneven_noise_makes_no_sources(detector, kind):
    values = make(400, points=())
    y, x = np.mgrid[:400, :400] - 199.5
    if kind == "primary beam":
        response = 0.1 ** ((x**2 + y**2) / 200**2)
        values = np.where(response < 0.1, np.nan, values / response).astype("f4")
    else:
        noisy = {
            "half": x > 0, "strip": y > 150, "spot": (np.abs(x) < 15) & (np.abs(y) < 15)
        }[kind]  # fmt: skip
        values[noisy] *= 6
    assert len(detector.detect(hdu(values))) <= 2


@pytest.mark.parametrize("fill", [0.0, -9999.0, -32768.0, 9999.0, 1e20, np.inf])
def test_padding_is_as_blank_as_nan(detector, fill):
    y, x = np.mgrid[:132, :132]
    outside = np.hypot(x - 66, y - 66) > 60
    padded, blank = make(132), make(132)
    padded[outside], blank[outside] = fill, np.nan
    assert boxes(detector, padded) == boxes(detector, blank)


@pytest.mark.parametrize("scale", [5e-5, 1e-4, 1.5e-4, 3e-4])
def test_integers_give_the_sources_of_floats(detector, scale):
    stored = hdu(np.round(make(132) / scale).astype("i2"))
    stored.header["BSCALE"] = scale
    table = detector.detect(fits.PrimaryHDU.fromstring(as_bytes(stored)))
    found = np.sort(table["x0"])
    np.testing.assert_allclose(
        found, [b[0] for b in boxes(detector, make(132))], atol=1
    )


def as_bytes(stored):
    # Astropy scales the data of a header that it reads, not of one that is set.
    header = stored.header.tostring().encode()
    data = stored.data.astype(">i2").tobytes()
    return header + data + b"\0" * (-len(data) % 2880)
