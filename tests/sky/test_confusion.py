"""By how much faint sources add to the noise of a crowded image."""

import cv2
import numpy as np
import pytest

from claran.sky.confusion import confusion, window_spreads
from claran.sky.mesh import Mesh
from claran.sky.zero_levels import window_zeros

MESH = Mesh((400, 400), 80)


def blurred(image):
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.3)


def blurred_noise(rng, shape=(400, 400)):
    noise = blurred(rng.normal(size=shape))
    return noise / noise.std()


def spreads_of(image, mesh=MESH, **kwargs):
    sigmas = np.ones(mesh.grid)
    zeros = window_zeros(mesh, image, sigmas)
    return window_spreads(mesh, image, sigmas, zeros, **kwargs)


def with_sources(image, rng, count):
    sky = np.zeros_like(image)
    x, y = rng.integers(0, 400, (2, count))
    np.add.at(sky, (y, x), 3 * (1 + rng.pareto(1.3, count)))
    return image + blurred(sky) * (2 * np.pi * 1.3**2)


def test_noise_and_a_sparse_sky_have_none(rng):
    noise = blurred_noise(rng)
    assert confusion(spreads_of(noise)) == 1
    assert confusion(spreads_of(with_sources(noise - 0.5, rng, 20))) == 1


def test_faint_sources_in_each_window(rng):
    noise = blurred_noise(rng)
    crowd = confusion(spreads_of(with_sources(noise - 0.5, rng, 1000)))
    assert 1.2 < crowd < 2
    # Brighter ones are found and do not count.
    bright = noise.copy()
    bright[::20, ::20] += 100
    assert confusion(spreads_of(bright)) == 1


def test_small_or_blank_images(rng):
    crowded = with_sources(blurred_noise(rng), rng, 1000)
    assert confusion(spreads_of(crowded, Mesh((400, 400), 250))) == 1
    assert confusion(np.full((5, 5), np.nan)) == 1
    crowded[:, :] = np.nan
    assert np.isnan(spreads_of(crowded)).all()


def test_parts_of_an_image_have_its_spreads(rng):
    image = with_sources(blurred_noise(rng), rng, 300)
    sigmas = np.ones(MESH.grid)
    zeros = window_zeros(MESH, image, sigmas)
    whole = spreads_of(image)
    assert np.isfinite(whole).sum() == pytest.approx(MESH.grid[0] ** 2 / 4, rel=0.3)
    block = (2, 6, 3, 9)
    top, bottom, left, right = block
    own = window_spreads(
        MESH, image[MESH.extent(block)], sigmas[top:bottom, left:right],
        zeros[top:bottom, left:right], block,
    )  # fmt: skip
    assert own.tobytes() == whole[top:bottom, left:right].tobytes()
