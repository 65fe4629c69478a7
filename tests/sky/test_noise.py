"""Noise of images by their known truth and by slow twins."""

import numpy as np
import pytest
from astropy.stats import mad_std
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from claran.sky.noise import local_noise, noise


def test_noise(rng):
    values = rng.normal(3.0, 2.0, (200, 200)).astype(np.float32)
    values[:20, :20] = 1000.0
    values[-5:] = np.nan
    values[0, 0] = np.inf
    assert noise(values) == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize("fill, expected", [(7.0, 0.0), (np.nan, np.nan)])
def test_noise_of_a_constant(fill, expected):
    assert noise(np.full((3, 4), fill)) == pytest.approx(expected, nan_ok=True)


def test_local_noise_follows_the_image(rng):
    steps = np.repeat([1.0, 3.0], 200)
    values = rng.normal(size=(120, 400)) * steps
    values[40:46, 30:36] = 1000.0
    found = local_noise(values, 50.0)
    assert found.shape == values.shape and found.dtype == np.float32
    np.testing.assert_allclose(found[:, :150], 1, rtol=0.12)
    np.testing.assert_allclose(found[:, 250:], 3, rtol=0.12)
    # Between, it rises from the last window of the left to the first of the right.
    assert (np.diff(found[60, 150:250]) >= -0.02).all()
    np.testing.assert_allclose(local_noise(values.T, 50.0), found.T, rtol=1e-6)


def test_local_noise_of_a_window_in_the_middle_is_that_of_its_pixels(rng):
    values = rng.normal(size=(90, 90)) * np.linspace(1, 5, 90)
    # Windows of 31 from edge to edge: the third of five starts at 30.
    middle = local_noise(values, 31)[45, 45]
    assert middle == pytest.approx(noise(values[30:61, 30:61]), rel=1e-6)


@pytest.mark.parametrize("fill", [np.nan, 0.0])
def test_local_noise_of_blank_and_padded_parts_is_the_images(rng, fill):
    values = rng.normal(size=(60, 200)) * np.repeat([1.0, 2.0, 2.0, 2.0], 50)
    values[:, :80] = fill
    found = local_noise(values, 40)
    assert found[:, :20] == pytest.approx(noise(values))
    assert found[:, -20:] == pytest.approx(2, rel=0.1)


def test_an_image_of_about_one_window_has_one_noise(rng):
    values = rng.normal(size=(100, 150))
    assert local_noise(values, 100.0) is None
    assert local_noise(values, 99.0) is not None


def slow_noise(values):
    finite = values[np.isfinite(values)]
    return mad_std(finite) if finite.size else np.nan


def slow_local_noise(values, side):
    """Windows one by one; between their centers by SciPy's interpolation."""
    starts = [
        np.linspace(0, length - side, int(np.ceil(2 * (length - side) / side)) + 1)
        if length > side
        else np.zeros(1)
        for length in values.shape
    ]
    starts = [one.round().astype(int) for one in starts]
    sigmas = np.array(
        [
            [slow_noise(values[y : y + side, x : x + side]) for x in starts[1]]
            for y in starts[0]
        ]
    )
    sigmas[~(sigmas > 0)] = slow_noise(values)
    grid = np.meshgrid(
        *(
            np.interp(np.arange(length), one + (side - 1) / 2, np.arange(len(one)))
            for length, one in zip(values.shape, starts, strict=True)
        ),
        indexing="ij",
    )
    return ndimage.map_coordinates(sigmas, grid, order=1)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 90)),
    side=st.integers(2, 25),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=40)
def test_against_slow_twins(seed, shape, side, dtype):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) * np.linspace(1, 4, shape[1])
    values[rng.random(shape) < 0.05] = np.nan
    values[:, :side] = np.where(rng.random() < 0.3, np.nan, values[:, :side])
    values = values.astype(dtype)
    expected = slow_noise(values)
    assert noise(values) == pytest.approx(expected, rel=1e-6, nan_ok=True)
    found = local_noise(values, float(side))
    if max(shape) <= 1.5 * side:
        assert found is None
    elif noise(values) > 0:
        expected = slow_local_noise(values, side)
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_the_image_is_left_as_it_is(rng):
    values = rng.normal(size=(40, 90)).astype(np.float32)
    before = values.copy()
    noise(values), local_noise(values, 20)
    np.testing.assert_array_equal(values, before)
