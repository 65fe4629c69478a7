"""The beam in headers good and bad, and the area and sigma of a Gaussian."""

import subprocess
import sys

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.stats import gaussian_fwhm_to_sigma
from hypothesis import given, strategies
from radio_beam import Beam

from claran.sky.beams import beam_area_pixels, fwhm_to_sigma, read_beam

AIPS = "AIPS   CLEAN BMAJ=  1.7599E-03 BMIN=  1.5740E-03 BPA=   2.61"
CASA = "> restoration: 1.34841 by 0.830715 (arcsec) at pa 82.8827 (deg)"


@pytest.mark.parametrize(
    "cards, beam",
    [
        pytest.param(
            {"BMAJ": 0.002, "BMIN": 0.0015, "BPA": -11}, (7.2, 5.4, -11), id="all"
        ),
        pytest.param({"BMAJ": 0.002, "BMIN": 0.0015}, (7.2, 5.4, 0), id="no angle"),
        pytest.param({"BMAJ": 0.0015}, (5.4, 5.4, 0), id="round"),
        pytest.param(
            {"BMAJ": 0.0015, "BMIN": 0.002, "BPA": 10}, (7.2, 5.4, 100), id="exchanged"
        ),
        pytest.param(
            {"BMAJ": 0.0015, "BMIN": 0.0015, "BPA": "?"}, (5.4, 5.4, 0), id="odd angle"
        ),
        pytest.param({}, None, id="none"),
        pytest.param({"BMIN": 0.0015, "BPA": 3.0}, None, id="no major axis"),
        pytest.param({"BMAJ": 0.0, "BMIN": 0.0, "BPA": 0.0}, None, id="zero"),
        pytest.param({"BMAJ": 0.002, "BMIN": -0.0015}, None, id="negative"),
        pytest.param({"BMAJ": 0.002, "BMIN": "nan"}, None, id="not a number"),
        pytest.param({"BMAJ": "inf", "BMIN": 0.0015}, None, id="infinite"),
        pytest.param({"BMAJ": "five", "BMIN": "five"}, None, id="words"),
        pytest.param({"BMAJ": None, "BMIN": 0.0015}, None, id="undefined"),
    ],
)
def test_cards(cards, beam):
    assert read_beam(fits.Header(cards)) == (beam and pytest.approx(beam))


def test_broken_card_is_no_beam():
    header = fits.Header.fromstring(f"{'BMAJ    = 1.2.3.4':80}{'END':80}")
    assert read_beam(header) is None


@pytest.mark.parametrize(
    "lines, beam",
    [
        pytest.param([AIPS], (6.33564, 5.6664, 2.61), id="AIPS"),
        pytest.param([CASA], (1.34841, 0.830715, 82.8827), id="CASA"),
        pytest.param(
            [AIPS.replace("1.7599", "2.0000"), AIPS, "AIPS   FITTP"],
            (6.33564, 5.6664, 2.61),
            id="the last one",
        ),
        pytest.param([AIPS, CASA], (1.34841, 0.830715, 82.8827), id="both"),
        pytest.param(["AIPS   IMLOD", "AIPS   FITTP"], None, id="no beam"),
        pytest.param(["the restoration of 1985"], None, id="no image restored"),
        pytest.param(["BMAJ=0.0015"], None, id="another form"),
        pytest.param(["AIPS   CLEAN BMAJ= x BMIN= y BPA= z"], None, id="words"),
        pytest.param([AIPS.replace("1.5740", "0.0")], None, id="zero"),
    ],
)
def test_history(lines, beam):
    header = fits.Header()
    for line in lines:
        header.add_history(line)
    assert read_beam(header) == (beam and pytest.approx(beam))


def test_cards_come_before_the_history():
    header = fits.Header({"BMAJ": 0.0015, "BMIN": 0.0015})
    header.add_history(AIPS)
    assert read_beam(header) == pytest.approx((5.4, 5.4, 0))
    header["BMAJ"] = 0.0  # Without a usable beam, the history is all there is.
    assert read_beam(header) == pytest.approx((6.33564, 5.6664, 2.61))


@given(
    major=strategies.floats(1e-5, 1.0),
    ratio=strategies.floats(0.1, 1.0),
    angle=strategies.floats(-180, 180),
)
def test_cards_are_read_as_radio_beam_reads_them(major, ratio, angle):
    header = fits.Header({"BMAJ": major, "BMIN": ratio * major, "BPA": angle})
    theirs = Beam.from_fits_header(header)
    widths = [axis.to_value(units.arcsec) for axis in (theirs.major, theirs.minor)]
    assert read_beam(header) == pytest.approx((*widths, theirs.pa.to_value("deg")))


def test_real_headers(real_data):
    def read(name):
        with fits.open(real_data / name, memmap=False) as hdus:
            return read_beam(hdus[0].header)

    assert read("atlas_elais_s1/S999.fits") == pytest.approx((9.6, 6.7, 0.0))
    assert read("rgz_first_dev/fits/FIRSTJ172752.1+534612.fits") is None


def test_area_is_the_sum_of_a_gaussian_of_peak_one():
    y, x = np.mgrid[-30:31, -30:31]
    sigma = fwhm_to_sigma(7.0)
    total = np.exp(-(x**2 + y**2) / (2 * sigma**2)).sum()
    assert beam_area_pixels(7.0) == pytest.approx(total)
    theirs = Beam(7.0 * units.arcsec).sr.to_value(units.arcsec**2)
    assert beam_area_pixels(7.0) == pytest.approx(theirs)


def test_sigma_is_that_of_astropy():
    assert fwhm_to_sigma(2.0) == pytest.approx(2 * gaussian_fwhm_to_sigma)


def test_radio_beam_is_loaded_only_for_the_history():
    code = (
        "import sys\n"
        "from astropy.io.fits import Header\n"
        "from claran.sky.beams import read_beam\n"
        "header = Header({'BMAJ': 0.0015, 'BMIN': 0.0015})\n"
        "print(read_beam(header), 'radio_beam' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(5.4, 5.4, 0.0) False\n", done.stderr
