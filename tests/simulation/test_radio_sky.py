import numpy as np
import pytest

from claran.simulation import artifacts, field_noise
from claran.simulation import radio_sky as radio
from claran.simulation.arrays import ASKAP, LOFAR, MEERKAT, VLA, uv_counts
from claran.simulation.observation import FIRST, FIRST_NATIVE, SimulatedSurvey

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


def test_bowl_takes_a_third_of_the_flux():
    blobs = np.array([[10.0, 0.0, 0.3, 1.0], [0.0, 10.0, 0.1, 1.0]])
    ((x, y, flux, sigma),) = radio.bowl(blobs, FIRST)
    assert (x, y) == pytest.approx((7.5, 2.5))
    assert flux == pytest.approx(-0.33 * 0.4)
    assert sigma == pytest.approx(120 / 2.3548, rel=1e-4)


def test_sidelobes_surround_a_bright_source(rng):
    center = np.array([[-30.0, 20.0]])
    image = artifacts.draw_sidelobes(rng, FIRST, center, np.array([10.0]), 1e-4)
    column, row = np.rint(center[0] / FIRST.pixel_arcsec + 65.5).astype(int)
    assert abs(image[row, column]) < 1e-3 * np.abs(image).max()
    assert 1e-3 < np.abs(image).max() < 0.5


def test_no_sidelobes_of_a_faint_source_or_in_a_survey_without_them(rng):
    center, peak = np.zeros((1, 2)), np.array([1e-3])
    assert not artifacts.draw_sidelobes(rng, FIRST, center, peak, 1e-4).any()
    clean = SimulatedSurvey(sidelobes=0.0)
    assert not artifacts.draw_sidelobes(rng, clean, center, 1e4 * peak, 1e-4).any()


def test_sidelobes_of_another_array(rng):
    survey = SimulatedSurvey(array=MEERKAT)
    image = artifacts.draw_sidelobes(
        rng, survey, np.zeros((1, 2)), np.array([10.0]), 1e-4
    )
    assert np.abs(image).max() > 1e-3


def test_stripes_without_sources(rng):
    stripes = [
        artifacts.draw_stripes(rng, FIRST, np.empty((0, 2)), np.empty(0), 1e-4)
        for _ in range(40)
    ]
    assert 0 < np.std(stripes) < 1e-4


def test_blank_strips(rng):
    strips = [artifacts.draw_blank(rng, SimulatedSurvey(edges=1.0)) for _ in range(60)]
    shares = np.array([strip.mean() for strip in strips])
    assert 0 < shares.min() < np.median(shares) < 0.1 < shares.max() <= 0.41
    sides = {tuple(np.argwhere(strip)[0]) for strip in strips}
    assert len(sides) > 2
    assert not any(
        artifacts.draw_blank(rng, SimulatedSurvey(edges=0.0)).any() for _ in "abc"
    )


def test_spokes_of_bright_sources_alone(rng):
    survey = SimulatedSurvey(array=ASKAP, spokes=5.0)
    centers, peaks = np.array([[20.0, -30.0], [0.0, 0.0]]), np.array([0.1, 1e-3])
    faint = artifacts.draw_spokes(rng, survey, centers[1:], peaks[1:], 1e-4)
    assert not faint.any()
    image = artifacts.draw_spokes(rng, survey, centers, peaks, 1e-4)
    assert 1e-4 < np.abs(image).max() < 4e-3
    row, column = np.unravel_index(np.abs(image).argmax(), image.shape)
    x, y = (np.array([column, row]) - 65.5) * survey.pixel_arcsec
    assert np.hypot(x - 20, y + 30) < 60


def test_uneven_noise_rises_or_steps(rng):
    maps = [artifacts.draw_unevenness(rng, FIRST) for _ in range(30)]
    steps = [len(np.unique(one)) == 2 for one in maps]
    assert 5 < sum(steps) < 25
    assert all(0.8 < one.min() and one.max() < 2.7 for one in maps)


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
