import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran.figures.sky_marks import (
    bar_length,
    beam_outline,
    beam_text,
    free_corners,
    sky_axes,
)


def make_wcs(**cards):
    header = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    header["CRPIX1"] = header["CRPIX2"] = 50.5
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 2 / 3600
    header.update(cards)
    return WCS(header)


def position_angle(wcs, outline):
    """Returns the position angle of an ellipse's major axis by Astropy, in degrees."""
    center = wcs.pixel_to_world(49.5, 49.5)
    ends = wcs.pixel_to_world(*(49.5 + outline).T)
    return center.position_angle(ends[center.separation(ends).argmax()]).deg % 180


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CDELT1": 2 / 3600},
        {"CROTA2": 70.0},
        {"CDELT2": 3 / 3600},
        {"CRVAL1": 0.0},
        {"CRVAL2": 89.9},
        {"CTYPE1": "DEC--SIN", "CTYPE2": "RA---SIN", "CRVAL1": 30.0, "CRVAL2": 180.0},
        {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
    ],
    ids=str,
)
def test_the_beam_lies_on_the_sky(cards):
    wcs = make_wcs(**cards)
    outline = beam_outline((12.0, 6.0, 35.0), sky_axes(wcs, np.nan, (49.5, 49.5)))
    assert position_angle(wcs, outline) == pytest.approx(35, abs=0.1)
    x, y = outline.T
    sky = wcs.pixel_to_world(49.5 + x, 49.5 + y)
    widths = 2 * sky.separation(wcs.pixel_to_world(49.5, 49.5)).arcsec
    assert (widths.min(), widths.max()) == pytest.approx((6, 12), rel=0.01)


def test_without_a_wcs_north_is_up():
    axes = sky_axes(None, 2.0, (0.0, 0.0))
    assert np.asarray(axes).tolist() == [[-2.0, 0.0], [0.0, 2.0]]
    assert sky_axes(None, np.nan, (0.0, 0.0)) is None
    # Outside of the projection there is no direction.
    beyond = make_wcs(CDELT1=-1.0, CDELT2=1.0)
    assert np.asarray(sky_axes(beyond, 2.0, (999.0, 999.0))).tolist() == axes.tolist()


@pytest.mark.parametrize(
    "width, text",
    [(0.0001, "20 µas"), (1, "200 mas"), (9, "2″"), (600, "2′"), (4e5, "20°")],
)
def test_scale_bars_are_at_most_a_quarter(width, text):
    length, shown = bar_length(width)
    assert shown == text and width / 12 <= length <= width / 4


def test_a_tiny_field_has_a_bar():
    length, text = bar_length(1e-9)
    assert length == 2.5e-10 and text == "2.5e-10″"


def test_texts_of_beams():
    assert beam_text((5.4, 5.4, 9.0)) == "5.4″"
    assert beam_text((0.01234, 0.01, 9.0)) == "0.0123″ × 0.01″, PA 9°"


def test_marks_go_where_nothing_is():
    area = (0.0, 100.0, 0.0, 100.0)
    assert free_corners(np.zeros((0, 4)), area)[:2] == ["lower left", "lower right"]
    boxes = np.array([[0.0, 0, 9, 5], [95, 0, 99, 5], [0, 99, 9, 100]])
    assert free_corners(boxes, area)[0] == "upper right"
