"""Positions and consensus levels of labels that make no sense."""

import numpy as np
import pytest
from astropy.io import fits

from claran.data.sources import open_source

COLUMNS = "name,cls,box_x0,box_y0,box_x1,box_y1,cl,peak_ras,peak_decs,host_ra,host_dec"


@pytest.fixture
def opened(tmp_path, rng):
    """Opens a field around 180, +30 with the given ends of lines."""

    def open_(*ends):
        cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 180.0}
        cards |= {"CRVAL2": 30.0, "CRPIX1": 20.5, "CRPIX2": 20.5}
        header = fits.Header(cards | {"CDELT1": -5e-4, "CDELT2": 5e-4})
        values = rng.normal(size=(40, 40)).astype(np.float32)
        fits.PrimaryHDU(values, header).writeto(tmp_path / "a.fits")
        lines = [f"a,1_1,{i},2,{i + 5},9,{end}" for i, end in enumerate(ends)]
        (tmp_path / "annotations.csv").write_text("\n".join([COLUMNS, *lines]) + "\n")
        source = open_source(tmp_path, "all")
        return source[0].objects, source.report

    return open_


def test_positions_off_the_sky_are_counted_and_left_out(opened):
    objects, report = opened(
        "0.9,180.0;0.0,30.0;-30.0,180.0,30.0",  # The second is behind.
        "0.9,,,1e300,1.0",
        "0.9,,,inf,inf",
        "0.9,,,0.0,-30.0",
        "0.9,,,nan,nan",
        "0.9,,,-99,-99",
    )
    assert len(objects) == 6
    np.testing.assert_allclose(objects.component_positions, [[20, 20]], atol=1e-3)
    assert objects.component_objects.tolist() == [0]
    assert np.isfinite(objects.host).all(axis=1).tolist() == [True] + [False] * 5
    assert np.isnan(objects.host[1:]).all()
    assert report.counts == {"position off the image's sky": 4}
    assert "a: component at (0.0, -30.0)" in str(report)


def test_a_consensus_that_is_no_fraction_is_counted_and_unknown(opened):
    objects, report = opened("0.85,,,,", "85,,,,", "-1,,,,", "1e300,,,,", ",,,,")
    np.testing.assert_array_equal(
        objects.consensus, np.float32([0.85, np.nan, np.nan, np.nan, np.nan])
    )
    assert report.counts == {"consensus not from 0 to 1": 3}
