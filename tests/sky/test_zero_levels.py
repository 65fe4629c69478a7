"""The zero level of photometry."""

import cv2
import numpy as np
import pytest

from claran.sky.mesh import Mesh
from claran.sky.zero_levels import window_zeros, zero_image, zero_level


def blurred_noise(rng, shape):
    noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 0.9)
    return noise / noise.std()


def zero_of(values, sigma=1.0):
    mesh = Mesh(values.shape, max(values.shape))
    return window_zeros(mesh, values, np.full((1, 1), sigma))[0, 0]


def test_zero_of_a_window(rng):
    noise = blurred_noise(rng, (200, 200))
    assert zero_of(noise - 0.7) == pytest.approx(-0.7, abs=0.2)
    crowded = noise - 0.7
    for x, y in rng.integers(0, 190, (600, 2)):
        crowded[y : y + 6, x : x + 6] += rng.pareto(1.2)
    assert np.median(crowded) > -0.45
    assert zero_of(crowded) == pytest.approx(-0.7, abs=0.25)
    assert zero_of(noise + 50) == 1.0  # Emission is not the sky.


def test_windows_without_values():
    assert np.isnan(zero_of(np.full((10, 10), np.nan)))
    assert np.isnan(zero_of(np.zeros((10, 10)), np.nan))
    mesh = Mesh((100, 200), 40)
    zeros = np.full(mesh.grid, np.nan)
    zeros[1, 1] = 0.25
    assert (zero_image(mesh, zeros).pixels() == 0.25).all()


@pytest.mark.parametrize("shape", [(180, 240), (100, 150)])
def test_of_an_image_in_one_piece(rng, shape):
    """Also of about one window."""
    image = 3 * blurred_noise(rng, shape) + np.float32(2.0)
    image[50, 60] = np.nan
    found = zero_level(image, 100.0, np.float32(3.0)).pixels()
    assert found.shape == shape and found.dtype == np.float32
    assert np.nanmedian(image - found) == pytest.approx(0, abs=0.3)
    assert found.std() < 0.3


def test_parts_of_an_image_have_its_zero_level(rng):
    image = blurred_noise(rng, (150, 260)) - np.linspace(0, 0.8, 260, dtype=np.float32)
    mesh = Mesh(image.shape, 40)
    sigmas = np.ones(mesh.grid)
    whole = window_zeros(mesh, image, sigmas)
    for block in mesh.blocks():
        top, bottom, left, right = block
        part = image[mesh.extent(block)]
        own = window_zeros(mesh, part, sigmas[top:bottom, left:right], block)
        assert own.tobytes() == whole[top:bottom, left:right].tobytes()
