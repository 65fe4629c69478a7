"""Blank pixels: padding and sentinels are found, noise and sources are kept."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from claran.sky import bands
from claran.sky.blanks import blank_pixels


@pytest.fixture
def noise(rng):
    """Noise of 1.5e-4 with the correlation of a beam of 3 pixels, and a source."""
    values = gaussian_filter(rng.normal(size=(90, 120)), 1.27)
    values *= 1.5e-4 / values.std()
    y, x = np.mgrid[:90, :120]
    values += 0.5 * np.exp(-((x - 60) ** 2 + (y - 45) ** 2) / 3.2)
    return values.astype(np.float32)


def circle(shape, radius):
    y, x = np.indices(shape)
    return np.hypot(y - shape[0] / 2, x - shape[1] / 2) > radius


@pytest.mark.parametrize(
    "fill", [np.nan, np.inf, -np.inf, 0.0, -9999.0, -32768.0, 9999.0, 1e20, 3e38, -1.0]
)
@pytest.mark.parametrize("radius", [40, 25])  # 53% and 82% are filled.
def test_a_frame_is_blank(noise, fill, radius):
    outside = circle(noise.shape, radius)
    noise[outside] = fill
    found = blank_pixels(noise)
    assert not found[~outside].any()
    # Corners of the outline are too small for a square of zeros, which do no harm.
    assert (noise[outside & ~found] == 0).all()
    assert found[outside].mean() > 0.98


def test_a_frame_of_two_values_is_blank(noise):
    noise[:, :20], noise[:10] = 0, -9999
    expected = (noise == 0) | (noise == -9999)
    np.testing.assert_array_equal(blank_pixels(noise), expected)


def test_tiny_values_are_padding(noise, rng):
    noise[:, 90:] = 1e-30 * rng.normal(size=(90, 30))
    found = blank_pixels(noise)
    assert found[:, 90:].all() and not found[:, :90].any()


def test_single_dead_pixels_are_blank(noise):
    noise[[3, 50, 70], [9, 40, 100]] = -9999
    np.testing.assert_array_equal(blank_pixels(noise), noise == -9999)


def test_lines_and_single_pixels_of_zero_are_kept(noise):
    noise[5, 30:40], noise[9, 50] = 0, 0
    assert not blank_pixels(noise).any()


@pytest.mark.parametrize("step", [5e-5, 1e-4, 1.5e-4, 2e-4])
def test_noise_of_integers_is_kept_and_its_padding_is_not(noise, step):
    integers = (np.round(noise / step) * step).astype(np.float32)
    assert not blank_pixels(integers).any()
    integers[:, :40] = 0
    found = blank_pixels(integers)
    assert found[:, :40].mean() > 0.95
    assert found[:, 42:].mean() < 0.01


def test_a_flat_top_of_a_source_is_kept(noise):
    np.minimum(noise, 0.2, out=noise)
    noise[70:76, 20:26] = 0.1
    assert not blank_pixels(noise).any()


def test_a_model_without_noise_is_kept():
    y, x = np.mgrid[:60, :60]
    model = np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 8).astype(np.float32)
    model[model < 0.01] = 0
    assert not blank_pixels(model).any()
    assert not blank_pixels(np.full((20, 20), 3, np.float32)).any()


@pytest.mark.parametrize("fill", [0.0, -9999.0, 1e-30])
def test_bands_change_nothing(noise, monkeypatch, fill):
    noise[30:50, 20:70] = fill
    expected = blank_pixels(noise)
    assert expected[30:50, 20:70].all()
    monkeypatch.setattr(bands, "BAND", 3 * noise.shape[1])
    np.testing.assert_array_equal(blank_pixels(noise), expected)


def test_tiny_images_have_no_squares():
    assert not blank_pixels(np.zeros((2, 2), np.float32)).any()
    assert blank_pixels(np.full((1, 5), np.nan, np.float32)).all()
