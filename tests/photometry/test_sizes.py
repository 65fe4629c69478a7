"""Beams, errors and sizes without the beam."""

import numpy as np
import pytest

from claran.photometry.deconvolution import deconvolve
from claran.photometry.gaussian_errors import condon_errors
from claran.photometry.pixel_beams import PixelBeam, covariance, ellipse, turned


def arrays(*numbers):
    return tuple(np.array([number], float) for number in numbers)


def test_ellipses(rng):
    major, angle = rng.uniform(3, 9, 20), rng.uniform(0, 180, 20)
    minor = major * rng.uniform(0.2, 0.9, 20)
    for found, true in zip(
        ellipse(covariance(major, minor, angle)), (major, minor, angle), strict=True
    ):
        np.testing.assert_allclose(found, true)
    # Towards +y at 0, towards -x at 90 degrees.
    (up,), (left,) = covariance(*arrays(4, 2, 0)), covariance(*arrays(4, 2, 90))
    assert up[1, 1] > up[0, 0] and left[0, 0] > left[1, 1]
    (between,) = covariance(*arrays(4, 2, 30))
    assert between[0, 1] < 0


def test_beams():
    beam = PixelBeam(5.0, 3.2, 30.0)
    (matrix,) = covariance(*arrays(5.0, 3.2, 30.0))
    np.testing.assert_allclose(
        beam.to_sigmas @ matrix @ beam.to_sigmas, np.eye(2), atol=1e-12
    )
    np.testing.assert_allclose(beam.to_sigmas @ beam.to_pixels, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(turned(beam.to_pixels, np.eye(2)[None]), [matrix])
    assert beam.area == pytest.approx(2 * np.pi * np.sqrt(np.linalg.det(matrix)))


@pytest.mark.parametrize(
    "numbers, words",
    [
        ((0.0, 1.0), "`major` of the beam must be positive and finite, got 0.0 pixels"),
        ((2.0, np.nan), "`minor` of the beam must be positive and finite, got nan"),
        ((2.0, 1.0, np.inf), "`angle` of the beam must be finite, got inf"),
    ],
)
def test_beams_that_are_none(numbers, words):
    with pytest.raises(ValueError, match=words):
        PixelBeam(*numbers)


def test_errors_are_condons():
    """His equations 20, 21 and 30 to 41, for a source 2 x 1.5 beams large."""
    major, minor, snr = 2.0, 1.5, 20.0

    def rho2(alpha, beta):
        gain = (1 + 1 / major**2) ** alpha * (1 + 1 / minor**2) ** beta
        return major * minor / 4 * gain * snr**2

    (fixed,) = arrays(0)
    found = condon_errors(*arrays(major, minor, snr), fixed > 0)
    peak, long, short = (2 / rho2(*e) for e in ((1.5, 1.5), (2.5, 0.5), (0.5, 2.5)))
    expected = {
        "peak": peak, "major": long * major**2, "minor": short * minor**2,
        "flux": peak + (long + short) / (major * minor),
        "along": long * major**2 / (8 * np.log(2)) * 1.06**2,
        "angle": 2 * short * np.degrees(major * minor / (major**2 - minor**2)) ** 2,
    }  # fmt: skip
    for name, variance in expected.items():
        assert getattr(found, name)[0] ** 2 == pytest.approx(variance, rel=0.05), name


def test_errors_of_fixed_shapes():
    point = condon_errors(*arrays(1, 1, 10), np.array([True]))
    assert point.major == point.minor == point.angle == 0
    assert 0.1 < point.peak < point.flux < 0.15
    assert condon_errors(*arrays(1, 1, 10), np.array([False])).angle == 90


def test_deconvolved_sizes():
    beam = PixelBeam(5.0, 3.0, 30.0)
    (matrix,) = covariance(*arrays(4, 2, 100)) + covariance(*arrays(5, 3, 30))
    fitted = ellipse(matrix[None])
    found = deconvolve(fitted, arrays(0.1, 0.1, 2), beam)
    assert found.major == pytest.approx(4) and found.minor == pytest.approx(2)
    assert found.angle == pytest.approx(100)
    assert found.e_major == pytest.approx(0.1 * fitted[0] / 4)
    assert found.e_angle >= 2


def test_sizes_that_are_not_resolved():
    beam = PixelBeam(5.0, 3.0, 30.0)
    found = deconvolve(arrays(5.1, 2.9, 30), arrays(0.2, 0.2, 3), beam)
    assert found.major == found.minor == found.angle == 0
    assert found.e_major == pytest.approx(np.sqrt(5.4**2 - 25))
    assert found.e_minor == pytest.approx(np.sqrt(3.4**2 - 9))
    assert found.e_angle == 90
