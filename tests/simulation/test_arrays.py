import numpy as np
import pytest

from claran.simulation.arrays import ASKAP, LOFAR, MEERKAT, VLA, uv_counts


@pytest.mark.parametrize("array", [VLA, ASKAP, LOFAR, MEERKAT], ids=lambda a: a.name)
def test_uv_coverage(array):
    counts = uv_counts(array, side=65, cell=24.0, hour_angle=0.0, dec=0.5)
    antennas = 27 if array is VLA else array.antennas
    samples = 1 if array.snapshot else 25
    assert counts.sum() == samples * antennas * (antennas - 1)
    # Each baseline counts from both of its ends.
    np.testing.assert_array_equal(counts, counts[::-1, ::-1])
    radius = np.hypot(*(np.argwhere(counts) - 32).T)
    assert 20 < radius.max() < 25
    filled = (counts > 0).mean()
    assert filled < 0.115 if array is VLA else filled > 0.12
