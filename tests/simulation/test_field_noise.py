import numpy as np
import pytest

from claran.simulation import field_noise
from claran.simulation.arrays import ASKAP, LOFAR, VLA
from claran.simulation.observation import FIRST, FIRST_NATIVE, SimulatedSurvey


@pytest.mark.parametrize("array", [VLA, ASKAP, LOFAR], ids=lambda a: a.name)
def test_noise_has_the_given_standard_deviation(array, rng):
    survey = SimulatedSurvey(array=array)
    noise = [field_noise.draw_noise(rng, survey, 2e-4) for _ in range(60)]
    assert np.std(noise) == pytest.approx(2e-4, rel=0.02)
    assert np.mean(noise) == pytest.approx(0, abs=1e-5)


def test_noise_is_correlated_as_in_real_images(rng):
    """Autocorrelation of real cutouts outside sources, relative to the variance.

    It is 0.78 (x) and 0.79 (y) at a lag of one pixel of 1.8", and 0.42 and 0.46 at two.
    """
    noise = np.array(
        [field_noise.draw_noise(rng, FIRST_NATIVE, 1.0) for _ in range(60)]
    )
    along = [np.mean(noise[:, :, :-lag] * noise[:, :, lag:]) for lag in (1, 2)]
    assert along == pytest.approx([0.75, 0.36], abs=0.05)


def test_noise_is_not_periodic(rng):
    noise = np.array([field_noise.draw_noise(rng, FIRST, 1.0) for _ in range(60)])
    assert abs(np.mean(noise[:, :, 0] * noise[:, :, -1])) < 0.1
