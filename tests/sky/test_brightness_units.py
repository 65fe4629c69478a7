"""Factors to Jy/beam by astropy.units, and units as headers spell them."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from claran.errors import ImageError
from claran.sky.brightness_units import jansky_per_beam, observed_frequency

BEAM = (6.0, 4.0, 20.0)
PIXEL = (2 * u.arcsec) ** 2
AREA = 2 * np.pi * 6 * 4 / (8 * np.log(2)) * u.arcsec**2


@pytest.mark.parametrize(
    "unit, factor",
    [
        ("Jy/beam", 1), ("JY/BEAM", 1), ("Jy beam-1", 1), ("Jy.beam**-1", 1),
        ("jy/bm", 1), ("mJy/beam", 1e-3), ("MJY/BEAM", 1e-3), ("mJy beam^-1", 1e-3),
        ("uJy/beam", 1e-6), ("µJy/beam", 1e-6), ("microJy/beam", 1e-6),
        ("nJy/beam", 1e-9), ("Jy / beam", 1), ("beam-1 Jy", 1), ("Jy per beam", 1),
    ],
)  # fmt: skip
def test_flux_per_beam(unit, factor):
    found, note = jansky_per_beam(unit, BEAM, None, None)
    assert found == pytest.approx(factor)
    assert (note == "") == (factor == 1)


@pytest.mark.parametrize(
    "unit, meant",
    [
        ("Jy/pixel", u.Jy / PIXEL), ("JY/PIXEL", u.Jy / PIXEL), ("Jy/sr", u.Jy / u.sr),
        ("mJy pix-1", u.mJy / PIXEL), ("MJy/sr", u.MJy / u.sr),
        ("MJY/SR", u.MJy / u.sr), ("mJy/arcsec2", u.mJy / u.arcsec**2),
        ("Jy arcsec-2", u.Jy / u.arcsec**2), ("Jy/arcsec^2", u.Jy / u.arcsec**2),
    ],
)  # fmt: skip
def test_surface_brightness(unit, meant):
    found, note = jansky_per_beam(unit, BEAM, 2.0, None)
    assert found == pytest.approx((meant * AREA).to_value(u.Jy))
    assert f"{found:.4g} Jy/beam" in note


@pytest.mark.parametrize(
    "unit, factor",
    [
        ("K", 1), ("mK", 1e-3), ("MK", 1e-3), ("uK", 1e-6), ("kelvin", 1),
        ("Kelvin", 1), ("K (Tb)", 1), ("K_CMB", 1), ("mK (Tb)", 1e-3),
    ],
)  # fmt: skip
def test_temperature(unit, factor):
    law = u.brightness_temperature(1.4 * u.GHz, AREA)
    found, note = jansky_per_beam(unit, BEAM, None, 1.4e9)
    assert found == pytest.approx((factor * u.K).to_value(u.Jy, law), rel=1e-5)
    assert "1.4 GHz" in note and unit in note


@pytest.mark.parametrize("unit", ["", "Jy", "mJy", "counts", "W/m2/Hz"])
def test_what_is_assumed_is_said(unit):
    found, note = jansky_per_beam(unit, BEAM, 2.0, 1e9)
    assert found == (1e-3 if unit == "mJy" else 1)
    assert "assumed" in note


def test_what_is_missing_is_said():
    with pytest.raises(ImageError, match="frequency is unknown"):
        jansky_per_beam("K", BEAM, 2.0, None)
    with pytest.raises(ImageError, match="size of its pixels is unknown"):
        jansky_per_beam("Jy/pixel", BEAM, None, None)


@pytest.mark.parametrize(
    "cards, expected",
    [
        ({"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": 1e7, "CRPIX3": 1}, 1.4e9),
        ({"CTYPE4": "FREQ", "CRVAL4": 1.4e9, "CDELT4": 1e7, "CRPIX4": 0}, 1.41e9),
        ({"CTYPE3": "FREQ", "CRVAL3": 1.4, "CUNIT3": "GHz"}, 1.4e9),
        ({"CTYPE3": "STOKES", "CRVAL3": 1.0, "RESTFRQ": 3e9}, 3e9),
        ({"RESTFREQ": "8.87D8"}, 8.87e8), ({"FREQ": 1e9}, 1e9),
        ({"CTYPE3": "FREQ", "CRVAL3": -1.0, "RESTFRQ": 3e9}, 3e9),
        ({"CTYPE3": "VRAD", "CRVAL3": 5.0}, None), ({}, None), ({"RESTFRQ": 0.0}, None),
    ],
)  # fmt: skip
def test_frequency(cards, expected):
    header = fits.Header(cards)
    assert observed_frequency(header) == (expected and pytest.approx(expected))
