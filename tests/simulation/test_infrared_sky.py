import matplotlib as mpl
import numpy as np
import pytest

from claran.simulation import infrared_sky as infrared
from claran.simulation import simulated_field as field
from claran.simulation.observation import FIRST, SimulatedSurvey


@pytest.fixture
def fields(rng):
    return [infrared.draw_infrared(rng, FIRST, np.empty((0, 3))) for _ in range(60)]


def test_color_map_is_gist_heat():
    expected = mpl.colormaps["gist_heat"](np.arange(256), bytes=True)[:, 2::-1]
    difference = infrared._heat().astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_mean_color_is_that_of_the_original_pictures(fields):
    """BGR (14, 45, 213). A few bright stars change the mean of a field considerably."""
    pictures = np.array([infrared.picture(one) for one in fields])
    assert pictures.dtype == np.uint8
    mean = pictures.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(mean, [14, 45, 213], atol=9)


def test_sky_is_that_of_the_atlas(fields):
    """Sky of 2 to 3 DN, 1.4826 MAD of 0.109 and 0.130 DN in two real cutouts."""
    skies = np.median(fields, axis=(1, 2))
    spread = [np.median(np.abs(one - np.median(one))) for one in fields]
    assert np.median(skies) == pytest.approx(2.5, abs=0.1)
    assert 1.4826 * np.median(spread) == pytest.approx(0.12, abs=0.03)


def test_host_is_where_it_was_put(rng):
    hosts = np.array([[-30.0, 20.0, 11.0]])
    image = infrared.draw_infrared(rng, FIRST, hosts)
    column, row = np.rint(hosts[0, :2] / FIRST.pixel_arcsec + 65.5).astype(int)
    assert image[row, column] > 100 * infrared.SIGMA_DN
    flux = 10 ** (-0.4 * (11.0 - infrared.ZERO_POINT))
    window = image[row - 12 : row + 13, column - 12 : column + 13]
    total = (window - np.median(image)).sum()
    assert total == pytest.approx(flux, rel=0.4)


def test_spikes_of_a_bright_star():
    image = infrared._spikes(FIRST, np.array([0.0, 0.0]), 1000.0, roll=0.3)
    turned = np.rot90(image)
    np.testing.assert_allclose(image, turned, atol=1e-3)  # The four arms are equal.
    x, y = np.rint(65.5 + 30 * np.array([np.cos(0.3), np.sin(0.3)])).astype(int)
    assert image[y, x] > 20 * image[65, 65 + 30] * np.exp(-1)
    assert image.max() == pytest.approx(20, rel=0.1)


def test_brightness_does_not_depend_on_the_pixels(rng):
    host = np.array([[0.0, 0.0, 9.0]])
    # The size is odd, so that the source is in the middle of a pixel.
    coarse, fine = (
        infrared.draw_infrared(
            rng, SimulatedSurvey(size=size, pixel_arcsec=pixel), host
        )
        for size, pixel in ((61, 3.0), (131, 1.375))
    )
    assert coarse.max() == pytest.approx(fine.max(), rel=0.1)


def test_infrared_and_radio_see_the_same_source():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(30):
        one = field.simulate(rng)
        for source in one.sources:
            if source.family == "compact" and np.isfinite(source.host).all():
                x, y = np.clip(source.host.astype(int), 0, 131)
                found.append(one.infrared[y, x] > np.median(one.infrared) + 0.4)
    assert len(found) > 3 and np.mean(found) > 0.7
