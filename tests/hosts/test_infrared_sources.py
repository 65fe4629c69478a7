import io
import sys

import cv2
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from scipy.spatial import KDTree

from claran.errors import ImageError
from claran.hosts.infrared_sources import measure_candidates, picture_candidates
from claran.sky.images import SkyImage
from claran.sky.infrared_headers import Photometry

pytest.importorskip("sep")
PIXEL = 1.375
SIGMA = 6.1 / PIXEL / 2.3548
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
    values = np.random.default_rng(0).normal(30, 1.0, (200, 200))
    for (px, py), flux in zip(PLACES, FLUXES, strict=True):
        square = (x - px) ** 2 + (y - py) ** 2
        values += flux / (2 * np.pi * SIGMA**2) * np.exp(-0.5 * square / SIGMA**2)
    return values.astype(np.float32)


def matched(candidates):
    x, y = sky().wcs_world2pix(candidates.ra, candidates.dec, 0)
    away = np.hypot(x - PLACES[:, :1], y - PLACES[:, 1:])
    return away.argmin(axis=1), away.min(axis=1) * PIXEL


def test_positions_and_magnitudes_are_measured():
    values = pixels()
    values[:20] = np.nan
    image = SkyImage(values=values, wcs=sky())
    candidates = measure_candidates(image, zero_point=20.5, band="W1")
    index, away = matched(candidates)
    assert len(candidates) <= 5
    assert (away < 5 * candidates.error_arcsec[index]).all()
    assert (away < 0.4).all()
    expected = 20.5 - 0.222 - 2.5 * np.log10(FLUXES)
    np.testing.assert_allclose(candidates.magnitude[index], expected, atol=0.1)
    assert not candidates.relative
    assert candidates.area_deg2 == pytest.approx(180 * 200 * (PIXEL / 3600) ** 2)


@pytest.fixture(scope="module")
def hdus():
    header = sky().to_header()
    header.update(TELESCOP="WISE", BAND=1, MAGZP=20.5)
    second = header.copy()
    second.update(BAND=2, MAGZP=19.5)
    return fits.HDUList([
        fits.PrimaryHDU(pixels(), header), fits.ImageHDU(pixels(), second, name="W2")
    ])  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "packed", "bytes", "HDU", "list"])
def test_zero_point_and_band_come_from_the_header(tmp_path, hdus, kind):
    source = {"HDU": hdus[0], "list": hdus, "file": tmp_path / "a.fits"}.get(kind)
    if kind == "file":
        hdus.writeto(source)
    elif kind == "packed":
        source = tmp_path / "a.fits.fz"
        packed = fits.CompImageHDU(hdus[0].data, hdus[0].header, quantize_level=256)
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(source)
    elif kind == "bytes":
        file = io.BytesIO()
        hdus.writeto(file)
        source = file.getvalue()
    candidates = measure_candidates(source)
    assert not candidates.relative
    found = candidates.magnitude[matched(candidates)[0]]
    expected = 20.5 - 0.222 - 2.5 * np.log10(FLUXES)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_magnitudes_of_another_band_do_not_count(tmp_path, hdus):
    hdus.writeto(tmp_path / "a.fits")
    candidates = measure_candidates(f"{tmp_path / 'a.fits'}[1]")
    assert candidates.relative
    assert "those of W2" in candidates.notes[0]
    found = candidates.magnitude[matched(candidates)[0]]
    np.testing.assert_allclose(found, 19.5 - 2.5 * np.log10(FLUXES), atol=0.1)


def test_without_a_zero_point_magnitudes_are_relative():
    candidates = measure_candidates(SkyImage(values=pixels(), wcs=sky()))
    assert candidates.relative
    assert "relative" in candidates.notes[0]


def star(brightness, at=(100.3, 99.6)):
    """A star of a peak in an image with a noise of 1."""
    y, x = np.mgrid[:200, :200]
    square = (x - at[0]) ** 2 + (y - at[1]) ** 2
    # A Gaussian in wings, as that of WISE.
    profile = 0.95 * np.exp(-square / 14) + 0.05 * np.exp(-square / 100)
    noise = np.random.default_rng(5).normal(30, 1.0, (200, 200))
    return noise + brightness * profile


def places(candidates):
    return np.stack(sky().wcs_world2pix(candidates.ra, candidates.dec, 0), 1)


@pytest.mark.parametrize("how", ["header", "equal", "hole", "picture", "gray", "jpeg"])
@pytest.mark.parametrize("brightness", [500, 5000])
def test_saturated_star_is_one_source_at_its_center(how, brightness):
    values = star(brightness).astype(np.float32)
    photometry = Photometry()
    if how == "hole":
        values[values > 200] = np.nan
    elif how != "header":
        values = np.minimum(values, 200)
    else:
        top = values > 200
        values[top] = 200 + np.random.default_rng(1).random(top.sum())
        photometry = Photometry(saturation=200)
    if how in ("picture", "gray", "jpeg"):
        picture = (values[::-1] * (1.1 if how == "gray" else 1.275)).astype(np.uint8)
        ending = ".jpg" if how == "jpeg" else ".png"
        found = picture_candidates(cv2.imencode(ending, picture)[1].tobytes(), sky())
    else:
        found = measure_candidates(
            SkyImage(values=values, wcs=sky(), photometry=photometry)
        )
    away = np.hypot(*(places(found) - (100.3, 99.6)).T) * PIXEL
    assert (away < 25).sum() == 1
    assert away.min() < 0.7
    assert found.error_arcsec[away.argmin()] >= 1
    assert any("1 saturated" in note for note in found.notes)


def test_position_errors_hold_in_correlated_noise():
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (600, 600)), (0, 0), 1.5)
    noise /= noise.std()
    y, x = np.mgrid[-9:10, -9:10]
    true = []
    for row in range(20, 590, 40):
        for column in range(20, 590, 40):
            dx, dy = rng.uniform(-0.5, 0.5, 2)
            square = (x - dx) ** 2 + (y - dy) ** 2
            part = noise[row - 9 : row + 10, column - 9 : column + 10]
            part += rng.uniform(7, 60) * np.exp(-0.5 * square / SIGMA**2)
            true.append((column + dx, row + dy))
    found = measure_candidates(SkyImage(values=noise.astype("f4"), wcs=sky()))
    away, index = KDTree(places(found)).query(true)
    near = away < 3
    assert near.mean() > 0.95
    pulls = (places(found)[index] - true)[near] * PIXEL
    errors = np.sqrt(found.error_arcsec[index][near, None] ** 2 - 0.1**2)
    pulls /= errors  # Without the error of the frame, which this image has not.
    assert 0.85 < pulls.std() < 1.15
    assert 0.85 < 1.4826 * np.median(np.abs(pulls)) < 1.15
    assert len(found) < len(true) + 10  # Noise has few maxima above the threshold.


def test_picture_has_the_same_sources():
    picture = np.clip(pixels()[::-1] / 4, 0, 255).astype(np.uint8)
    candidates = picture_candidates(cv2.imencode(".png", picture)[1].tobytes(), sky())
    assert (matched(candidates)[1] < 0.7).all()
    assert candidates.relative


def test_positions_are_icrs_whatever_the_frame_of_the_image():
    wcs = sky()
    wcs.wcs.ctype = ["GLON-SIN", "GLAT-SIN"]
    candidates = measure_candidates(SkyImage(values=pixels(), wcs=wcs))
    found = SkyCoord(candidates.ra, candidates.dec, unit="deg").galactic
    x, y = sky().wcs_world2pix(found.l.deg, found.b.deg, 0)
    away = np.hypot(x - PLACES[:, :1], y - PLACES[:, 1:]).min(axis=1)
    assert (away < 0.3).all()


def test_missing_sep_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sep", None)
    with pytest.raises(ImageError, match=r"pip install 'claran\[hosts\]'"):
        measure_candidates(SkyImage(values=pixels(), wcs=sky()))


@pytest.mark.parametrize(
    "values, wcs, says",
    [(pixels(), None, "no celestial WCS"), (np.ones((50, 50)), sky(), "no noise")],
)
def test_unusable_images_give_one_line(values, wcs, says):
    with pytest.raises(ImageError, match=says):
        measure_candidates(SkyImage(values=values.astype(np.float32), wcs=wcs))
