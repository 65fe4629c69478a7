"""Noise of images by their known truth and by slow twins."""

import numpy as np
import pytest
from astropy.stats import mad_std
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from claran.sky.islands import find_islands
from claran.sky.noise import local_noise, noise
from claran.sky.signal_to_noise import noise_excess


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


def test_a_blank_window_has_the_noise_of_the_nearest(rng):
    values = rng.normal(size=(60, 200)) * np.repeat([1.0, 2.0, 5.0, 5.0], 50)
    values[:, :80] = np.nan
    found = local_noise(values, 40)
    assert found[:, :20] == pytest.approx(2, rel=0.2)
    assert found[:, -20:] == pytest.approx(5, rel=0.1)


def test_extended_sources_do_not_raise_the_noise(rng):
    values = rng.normal(size=(300, 300))
    values[100:160, 100:160] += 40  # A third of a window.
    found = local_noise(values, 100)
    assert noise(values[80:180, 80:180]) > 1.6
    assert found == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("step", [0.02, 0.3, 1.0, 1.5, 2.5])
def test_noise_of_integers(rng, step):
    values = np.float32(step) * np.round(rng.normal(0.2, 1, (200, 200)) / step)
    # The spread of integers is that of the noise and of the rounding.
    expected = np.hypot(1, step / np.sqrt(12))
    assert noise(values.astype(np.float32)) == pytest.approx(expected, rel=0.06)


def test_integers_need_steps_of_one_size(rng):
    values = np.round(rng.normal(size=(100, 100)))
    exact = values + np.where(values > 2, 0.3, 0)  # Not all are integers.
    assert noise(values) == pytest.approx(1.04, rel=0.1)
    assert noise(exact) == pytest.approx(mad_std(exact))


BEAM = 3.0


def beam_noise(rng, shape):
    """Noise of 1 with the correlation of a beam of 3 pixels."""
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), BEAM / 2.3548)
    return (smooth / smooth.std()).astype(np.float32)


def uneven(rng, name):
    """Empty fields in which the noise changes within a window; see `noise_excess`."""
    values = beam_noise(rng, (500, 500))
    y, x = np.mgrid[:500, :500] - 249.5
    if name == "primary beam":
        response = 0.1 ** ((x**2 + y**2) / 250**2)
        return np.where(response < 0.1, np.nan, values / response).astype(np.float32)
    noisy, gain = {
        "half": (x > 0, 6), "strip of 10": (np.abs(x - 200) < 5, 6),
        "strip of 60": (x > 190, 6), "spot of 15": (np.hypot(x, y) < 8, 10),
        "spot of 30": ((np.abs(x) < 15) & (np.abs(y - 40) < 15), 10),
    }[name]  # fmt: skip
    values[noisy] *= gain
    return values


def islands_of(values):
    ratio = values / local_noise(values, 100)
    excess = noise_excess(ratio, BEAM, start=1.4)
    corrected = ratio if excess is None else ratio / excess
    return [len(find_islands(v, 1.0, min_pixels=4)) for v in (ratio, corrected)]


@pytest.mark.parametrize(
    "name, before, after",
    [
        ("half", 5, 0), ("primary beam", 2, 0), ("strip of 10", 40, 3),
        ("strip of 60", 40, 0), ("spot of 15", 1, 0), ("spot of 30", 5, 0),
    ],
)  # fmt: skip
def test_noise_that_changes_within_a_window_makes_no_islands(rng, name, before, after):
    with_windows, with_excess = islands_of(uneven(rng, name))
    assert with_windows >= before
    assert with_excess <= after


def test_even_noise_and_sources_have_no_excess(rng):
    values = beam_noise(rng, (300, 300))
    y, x = np.mgrid[:300, :300]
    values += 3000 * np.exp(-((x - 80) ** 2 + (y - 80) ** 2) / 3.2)
    values += 20 * np.exp(-((x - 200) ** 2 + (y - 200) ** 2) / 800)
    assert noise_excess(values, BEAM, start=1.4) is None


def test_excess_is_where_the_noise_is(rng):
    values = beam_noise(rng, (200, 300))
    values[80:120, 100:140] *= 4
    values[:20, :20] = np.nan
    excess = noise_excess(values, BEAM, start=1.4)
    assert excess.shape == values.shape and excess.dtype == np.float32
    assert excess[80:120, 100:140] == pytest.approx(4, rel=0.35)
    far = np.ones(values.shape, bool)
    far[40:160, 60:180] = False
    assert (excess[far] == 1).all()


@pytest.mark.parametrize("shape", [(1, 1), (5, 8), (3, 200)])
def test_excess_of_tiny_images(rng, shape):
    values = rng.normal(size=shape).astype(np.float32)
    assert noise_excess(values, BEAM, start=1.4) is None
    blank = np.full(shape, np.nan, np.float32)
    assert noise_excess(blank, BEAM, start=1.4) is None


def test_an_image_of_about_one_window_has_one_noise(rng):
    values = rng.normal(size=(100, 150))
    assert local_noise(values, 100.0) is None
    assert local_noise(values, 99.0) is not None


def slow_noise(values):
    finite = values[np.isfinite(values)]
    return mad_std(finite) if finite.size else np.nan


def slow_window_noise(values):
    finite = values[np.isfinite(values)]
    if len(finite) < 0.1 * values.size:
        return np.nan
    negative = finite[finite < 0]
    below = 1.482602218505602 * np.median(-negative) if len(negative) else np.nan
    enough = len(negative) >= 0.1 * len(finite)
    raised = enough and slow_noise(values) > 1.2 * below
    return below if raised else slow_noise(values)


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
            [slow_window_noise(values[y : y + side, x : x + side]) for x in starts[1]]
            for y in starts[0]
        ]
    )
    if not (sigmas > 0).all():
        return None  # See the test of blank windows.
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
    elif (expected := slow_local_noise(values, side)) is not None:
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_the_image_is_left_as_it_is(rng):
    values = rng.normal(size=(40, 90)).astype(np.float32)
    before = values.copy()
    noise(values), local_noise(values, 20)
    np.testing.assert_array_equal(values, before)
