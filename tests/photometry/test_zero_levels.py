"""The zero level of photometry."""

import numpy as np
import pytest

from claran.photometry.zero_levels import take_zero_off, window_zero, zero_levels


def test_zero_of_a_window(rng, simulated):
    noise = simulated.noise((200, 200))
    assert window_zero(noise - 0.7) == pytest.approx(-0.7, abs=0.12)
    crowded = noise - 0.7
    for x, y in rng.integers(0, 190, (600, 2)):
        crowded[y : y + 6, x : x + 6] += rng.pareto(1.2)
    assert np.median(crowded) > -0.45
    assert window_zero(crowded) == pytest.approx(-0.7, abs=0.2)
    assert window_zero(noise + 50) == 1.0  # Emission is not the sky.


def test_windows_without_values():
    assert np.isnan(window_zero(np.full((10, 10), np.nan)))
    assert window_zero(np.ones((10, 10))) == 1.0
    half = np.zeros((100, 200), np.float32)
    half[:, :120] = np.nan
    assert (zero_levels(half, 40.0) == 0).all()


def test_taking_it_off(simulated):
    image = 3 * simulated.noise((180, 240)) + 2.0
    image[50, 60] = np.nan
    found = take_zero_off(image, np.full_like(image, 3), 100.0)
    assert found.dtype == np.float32 and np.isnan(found[50, 60])
    assert np.nanmedian(found) == pytest.approx(0, abs=0.3)
    assert np.nanstd(image - found) < 0.3
