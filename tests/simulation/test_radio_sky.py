import numpy as np
import pytest

from claran.simulation import radio_sky as radio
from claran.simulation.observation import FIRST, SimulatedSurvey

TILTED = SimulatedSurvey(
    size=64, beam_major_arcsec=8.0, beam_minor_arcsec=4.0, beam_angle_deg=30.0
)


def slow_render(blobs, survey):
    """Convolves by adding the covariances of blob and beam, one pixel at a time."""
    turn = np.radians(survey.beam_angle_deg)
    widths = np.array([survey.beam_major_arcsec, survey.beam_minor_arcsec])
    # The position angle turns from north toward east, which is -x.
    axes = np.array([[-np.sin(turn), np.cos(turn)], [np.cos(turn), np.sin(turn)]]).T
    beam = axes @ np.diag(widths**2 / (8 * np.log(2))) @ axes.T
    image = np.zeros((survey.size, survey.size))
    for row in range(survey.size):
        for column in range(survey.size):
            place = np.array([column, row]) + 0.5 - survey.size / 2
            for x, y, flux, sigma in blobs:
                covariance = beam + sigma**2 * np.eye(2)
                d = place * survey.pixel_arcsec - (x, y)
                height = np.sqrt(np.linalg.det(beam) / np.linalg.det(covariance))
                height *= np.exp(-d @ np.linalg.inv(covariance) @ d / 2)
                image[row, column] += flux * height
    return image


@pytest.mark.parametrize(
    "survey",
    [
        pytest.param(SimulatedSurvey(size=40), id="round"),
        pytest.param(SimulatedSurvey(size=40, beam_major_arcsec=6.4), id="north"),
        pytest.param(TILTED, id="tilted"),
    ],
)
def test_render(survey, rng):
    blobs = np.column_stack([rng.uniform(-20, 20, (4, 2)), rng.uniform(0.1, 4, (4, 2))])
    expected = slow_render(blobs, survey)
    np.testing.assert_allclose(radio.render(blobs, survey), expected, atol=2e-6)


def test_flux_is_kept():
    blobs = np.array([[3.0, -7.0, 0.02, 4.0]])
    image = radio.render(blobs, FIRST)
    assert image.sum() / FIRST.beam_area_pixels == pytest.approx(0.02, rel=1e-4)


def test_point_source_peaks_at_its_flux():
    assert radio.peak_brightness(np.array([[1, 2, 0.3, 0]]), FIRST) == pytest.approx(
        0.3
    )
    assert radio.peak_brightness(np.empty((0, 4)), FIRST) == 0


def test_no_blobs():
    assert not radio.render(np.empty((0, 4)), FIRST).any()


def test_bowl_takes_a_third_of_the_flux():
    blobs = np.array([[10.0, 0.0, 0.3, 1.0], [0.0, 10.0, 0.1, 1.0]])
    ((x, y, flux, sigma),) = radio.bowl(blobs, FIRST)
    assert (x, y) == pytest.approx((7.5, 2.5))
    assert flux == pytest.approx(-0.33 * 0.4)
    assert sigma == pytest.approx(120 / 2.3548, rel=1e-4)
