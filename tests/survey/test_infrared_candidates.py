"""Candidates on infrared images that are measured part by part, each once."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.spatial import KDTree

from claran.hosts.infrared_sources import measure_candidates
from claran.sky.mosaics import open_mosaic
from claran.survey import infrared_candidates
from claran.survey.infrared_candidates import measure_images

pytest.importorskip("sep")
PIXEL = 1.375
SIGMA = 6.1 / PIXEL / 2.3548


def here(_, function, context, items, **__):
    return (function(context, item) for item in items)


def write(path, shape, origin=(0, 0), **cards):
    """Draws 40 stars of a sky on an image of WISE whose corner is at `origin`."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---SIN", "DEC--SIN"], [150, 2]
    wcs.wcs.cdelt = [-PIXEL / 3600, PIXEL / 3600]
    wcs.wcs.crpix = [200 - origin[0], 200 - origin[1]]
    places = np.random.default_rng(1).uniform(0, 400, (40, 2)) - origin
    y, x = np.mgrid[: shape[0], : shape[1]]
    values = np.random.default_rng(origin[0]).normal(30, 1, shape)
    for px, py in places:
        square = (x - px) ** 2 + (y - py) ** 2
        values += 40 * np.exp(-0.5 * square / SIGMA**2)
    known = {"TELESCOP": "WISE", "BAND": 1, "MAGZP": 20.5} | cards
    header = wcs.to_header()
    header.update({name: one for name, one in known.items() if one is not None})
    fits.writeto(path, values.astype("f4"), header)
    return path


def opened(path):
    return open_mosaic(path, scratch=path.parent)


def test_parts_give_the_sources_of_the_whole(tmp_path, monkeypatch):
    path = write(tmp_path / "w1.fits", (400, 400))
    monkeypatch.setattr(infrared_candidates, "SIDE", 150)
    found = measure_images([opened(path)], here)
    whole = measure_candidates(path)
    bright = whole.magnitude < 13.5
    assert bright.sum() > 25
    near, row = KDTree(found.directions).query(whole.directions[bright])
    assert (near < np.radians(0.1 / 3600)).all()
    np.testing.assert_allclose(found.magnitude[row], whole.magnitude[bright], atol=0.05)
    assert found.area_deg2 == pytest.approx(whole.area_deg2)
    assert len(set(found.ids)) == len(found)
    assert not found.relative


def test_what_two_images_show_counts_once(tmp_path):
    paths = [
        write(tmp_path / "a.fits", (400, 250)),
        write(tmp_path / "b.fits", (400, 250), origin=(150, 0)),
    ]
    one, two = (measure_images([opened(path)], here) for path in paths)
    both = measure_images([opened(path) for path in paths], here)
    assert max(len(one), len(two)) < len(both) < len(one) + len(two)
    near = KDTree(both.directions).query_pairs(np.radians(2 / 3600))
    assert not near
    assert both.area_deg2 < one.area_deg2 + two.area_deg2


def test_magnitudes_without_a_zero_point_do_not_count(tmp_path):
    found = measure_images(
        [opened(write(tmp_path / "w1.fits", (120, 120), MAGZP=None))], here
    )
    assert found.relative
    assert found.notes == ("w1.fits: no zero point in W1: magnitudes do not count",)


def test_image_with_nothing_on_it(tmp_path):
    path = write(tmp_path / "w1.fits", (120, 120))
    values, header = fits.getdata(path, header=True)
    fits.writeto(path, np.full_like(values, np.nan), header, overwrite=True)
    assert len(measure_images([opened(path)], here)) == 0
