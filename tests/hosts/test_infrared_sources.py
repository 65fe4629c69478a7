import cv2
import numpy as np
import pytest
from astropy.wcs import WCS

from claran.errors import ImageError
from claran.hosts.infrared_sources import measure_candidates, picture_candidates
from claran.sky.images import SkyImage

pytest.importorskip("sep")
PIXEL = 1.375
PLACES = np.array([[60.3, 70.8], [120.6, 40.2], [90.0, 150.4]])
FLUXES = np.array([4000.0, 20000.0, 1500.0])


def sky():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [0.01, -30], [100, 100]
    wcs.wcs.cdelt = [-PIXEL / 3600, PIXEL / 3600]
    return wcs


def pixels():
    y, x = np.mgrid[:200, :200]
    sigma = 6.1 / PIXEL / 2.3548
    values = np.random.default_rng(0).normal(30, 1.0, (200, 200))
    for (px, py), flux in zip(PLACES, FLUXES, strict=True):
        square = (x - px) ** 2 + (y - py) ** 2
        values += flux / (2 * np.pi * sigma**2) * np.exp(-0.5 * square / sigma**2)
    return values.astype(np.float32)


def matched(candidates):
    x, y = sky().wcs_world2pix(candidates.ra, candidates.dec, 0)
    away = np.hypot(x - PLACES[:, :1], y - PLACES[:, 1:])
    return away.argmin(axis=1), away.min(axis=1) * PIXEL


def test_positions_and_magnitudes_are_measured():
    values = pixels()
    values[:20] = np.nan
    image = SkyImage(values=values, wcs=sky())
    candidates = measure_candidates(image, zero_point=20.5)
    index, away = matched(candidates)
    assert len(candidates) <= 5
    assert (away < 5 * candidates.error_arcsec[index]).all()
    assert (away < 0.4).all()
    expected = 20.5 - 0.222 - 2.5 * np.log10(FLUXES)
    np.testing.assert_allclose(candidates.magnitude[index], expected, atol=0.1)
    assert not candidates.relative
    assert candidates.area_deg2 == pytest.approx(180 * 200 * (PIXEL / 3600) ** 2)


def test_without_a_zero_point_magnitudes_are_relative():
    candidates = measure_candidates(SkyImage(values=pixels(), wcs=sky()))
    assert candidates.relative
    assert "relative" in candidates.notes[0]


def test_blank_center_of_a_bright_source_makes_its_position_uncertain():
    values = pixels()
    values[39:42, 120:122] = np.nan
    candidates = measure_candidates(SkyImage(values=values, wcs=sky()))
    index, away = matched(candidates)
    assert candidates.error_arcsec[index[1]] >= 1
    assert away[1] < 3


def test_picture_has_the_same_sources():
    picture = np.clip(pixels()[::-1] / 4, 0, 255).astype(np.uint8)
    candidates = picture_candidates(cv2.imencode(".png", picture)[1].tobytes(), sky())
    assert (matched(candidates)[1] < 0.7).all()
    assert candidates.relative


@pytest.mark.parametrize(
    "values, wcs, says",
    [(pixels(), None, "no celestial WCS"), (np.ones((50, 50)), sky(), "no noise")],
)
def test_unusable_images_give_one_line(values, wcs, says):
    with pytest.raises(ImageError, match=says):
        measure_candidates(SkyImage(values=values.astype(np.float32), wcs=wcs))
