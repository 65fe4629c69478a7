"""The background of images by their known truth."""

import numpy as np
import pytest

from claran.sky.background import background, find_background, window_levels


def test_noise_and_sources_have_no_background(rng):
    values = rng.normal(size=(400, 300)).astype(np.float32)
    values[40:90, 40:90] += 50  # A quarter of a window.
    values[200:240] += 0.5  # Half the noise.
    assert background(values, 100) is None


@pytest.mark.parametrize("level", [7.0, -7.0, 1e5])
@pytest.mark.parametrize("shape", [(132, 132), (60, 150), (300, 420)])
def test_a_level_is_found(rng, level, shape):
    values = rng.normal(level, 1, shape).astype(np.float32)
    values[20:30, 20:50] += 500
    values[:5, :5] = np.nan
    found = background(values, 100)
    assert found.shape == shape and found.dtype == np.float32
    np.testing.assert_allclose(found, level, atol=0.5)


@pytest.mark.parametrize("side", [132, 400])
def test_a_slope_is_followed_to_the_edges(rng, side):
    y, x = np.mgrid[:side, :side] / side
    slope = 12 * x - 5 * y + 4
    values = (slope + rng.normal(size=(side, side))).astype(np.float32)
    np.testing.assert_allclose(background(values, 100), slope, atol=1.2)


def test_it_sets_in_without_a_step(rng):
    values = rng.normal(size=(100, 100)).astype(np.float32)
    values -= np.median(values)
    levels = np.arange(0, 2, 0.125, np.float32)
    found = [background(values + level, 100) for level in levels]
    mean = np.array([0 if one is None else one.mean() for one in found])
    assert (mean[levels < 0.7] == 0).all()
    np.testing.assert_allclose(mean[levels > 1.6], levels[levels > 1.6], atol=0.1)
    assert (np.diff(mean) < 0.4).all() and (np.diff(mean) >= 0).all()


def test_blank_windows_do_not_matter(rng):
    values = rng.normal(9, 1, (100, 500)).astype(np.float32)
    values[:, :260] = np.nan
    np.testing.assert_allclose(background(values, 100)[:, 260:], 9, atol=0.3)
    assert background(np.full((50, 50), np.nan, np.float32), 20) is None


def test_a_constant_has_no_background():
    assert background(np.full((50, 60), 3, np.float32), 20) is None


def test_the_second_look_is_at_windows_with_a_background(rng):
    values = rng.normal(size=(300, 500)).astype(np.float32)
    values[:130, :150] += 9
    values[90:200, 60:300] = np.nan  # Blank windows have that of the nearest.
    looks = []

    def levels(mesh, found, chosen):
        looks.append(chosen)
        rest = values if found is None else values - found.pixels()
        return window_levels(mesh, rest, chosen=chosen)

    def all_levels(mesh, found, chosen):
        return levels(mesh, found, None)

    found = find_background(values.shape, 60, levels)
    assert looks[0] is None and 0 < looks[1].mean() < 0.5
    expected = find_background(values.shape, 60, all_levels)
    np.testing.assert_array_equal(found.pixels(), expected.pixels())
    assert found.pixels()[40, 40] == pytest.approx(9, abs=1)
