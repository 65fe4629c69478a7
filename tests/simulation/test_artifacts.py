import numpy as np

from claran.simulation import artifacts
from claran.simulation.arrays import ASKAP, MEERKAT
from claran.simulation.observation import FIRST, SimulatedSurvey


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
