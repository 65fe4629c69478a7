"""Surveys as the simulator observes them, and those made of others."""

import dataclasses

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from astropy.io import fits

from claran import main
from claran.simulation import observation
from claran.simulation.arrays import ASKAP
from claran.simulation.observation import (
    FIRST,
    FIRST_NATIVE,
    SIMULATED_SURVEYS,
    SimulatedSurvey,
)
from claran.simulation.simulated_field import simulate
from claran.sky import surveys
from claran.sky.surveys import SURVEYS, Survey


def test_defaults_are_first():
    assert isinstance(FIRST, Survey)
    assert FIRST.beam == surveys.FIRST.beam == (5.4, 5.4, 0.0)
    assert (FIRST.name, FIRST.frequency_hz) == ("FIRST", 1.4e9)
    assert FIRST.field_arcsec == pytest.approx(181.5)
    assert FIRST_NATIVE.pixel_arcsec == surveys.FIRST.pixel_arcsec


def test_no_attribute_is_listed_twice():
    names = [field.name for field in dataclasses.fields(SimulatedSurvey)]
    assert len(names) == len(set(names))
    assert {field.name for field in dataclasses.fields(Survey)} <= set(names)


@pytest.mark.parametrize("name", SURVEYS)
def test_a_field_of_any_survey_covers_33_beams(name):
    survey = SURVEYS[name]
    made = SimulatedSurvey.of(survey)
    beams = made.field_arcsec / survey.beam_arcsec
    slack = survey.pixel_arcsec / survey.beam_arcsec / 2
    assert beams == pytest.approx(100 / 3, abs=slack)
    assert SIMULATED_SURVEYS[name] == made
    assert (made.beam, made.name) == (survey.beam, survey.name)
    one = simulate(np.random.default_rng(1), survey=made)
    assert one.radio.shape == (made.size, made.size)
    assert np.isfinite(one.sigma) and one.sigma > 0.5 * survey.noise_jy


def test_an_unknown_survey_has_firsts_artifacts_in_beams_and_faults_of_tracks():
    survey = Survey(
        name="MINE", beam_major_arcsec=9.0, beam_minor_arcsec=6.0, beam_angle_deg=20.0,
        pixel_arcsec=2.0, noise_jy=5e-5, frequency_hz=9e8,
    )  # fmt: skip
    made = SimulatedSurvey.of(survey)
    assert made.array == ASKAP and not made.array.snapshot
    beam = np.sqrt(54)
    assert made == dataclasses.replace(
        FIRST, **dataclasses.asdict(survey), size=round(beam / 2 * 100 / 3),
        array=ASKAP, largest_arcsec=120 / 5.4 * made.beam_arcsec, spokes=2.0,
        uneven=0.25, sidelobes=0.008,
    )  # fmt: skip


def test_first_itself_stays_a_snapshot():
    assert SimulatedSurvey.of(surveys.FIRST) is FIRST_NATIVE
    assert FIRST_NATIVE.array.snapshot


def test_a_coarse_survey_has_a_pixel():
    coarse = dataclasses.replace(surveys.FIRST, pixel_arcsec=500.0)
    assert SimulatedSurvey.of(coarse).size == 1


def test_areas_are_those_of_the_beam():
    solid_angle = np.pi / (4 * np.log(2)) * (5.4 / 1.375) ** 2
    assert FIRST.beam_area_pixels == pytest.approx(solid_angle, rel=1e-12)
    assert dataclasses.replace(FIRST, min_beams=0.0).min_pixels == 1


@pytest.mark.parametrize(
    "changes, message",
    [
        pytest.param({"size": 0}, "`size` must be > 0, got 0", id="size"),
        pytest.param({"largest_arcsec": -1.0}, "`largest_arcsec` must be > 0", id="-1"),
        pytest.param({"noise_jy": np.nan}, "`noise_jy` must be positive", id="n"),
        pytest.param({"stripes": -1.0}, "`stripes` must be >= 0, got -1", id="stripes"),
        pytest.param({"edges": np.nan}, "`edges` must be >= 0, got nan", id="edges"),
        pytest.param(
            {"beam_major_arcsec": 2.0}, r"at least `beam_minor_arcsec`, got 2\.0 <",
            id="beam",
        ),
    ],
)  # fmt: skip
def test_survey_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        SimulatedSurvey(**changes)


@pytest.mark.parametrize(
    "asked, name, beam, pixel",
    [
        ({}, "FIRST", 5.4, 1.375),
        ({"survey": "first"}, "FIRST", 5.4, 1.8),
        ({"survey": "VLASS"}, "VLASS", 2.5, 1.0),
        ({"survey": "mine.toml"}, "MINE", 8.0, 2.0),
    ],
    ids=str,
)
def test_the_command_imitates_a_survey(tmp_path, monkeypatch, asked, name, beam, pixel):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        'name = "MINE"\nbeam_arcsec = 8.0\npixel_arcsec = 2.0\nnoise_jy = 1e-4\n'
        "frequency_hz = 1.3e9\n"
    )
    with flagsaver.flagsaver():
        main.call("simulate", num=2, output="fields", **asked)
        flags.FLAGS.unparse_flags()
    header = fits.getheader(tmp_path / "fields/SIM0000001_radio.fits")
    assert header["SURVEY"] == f"{name} (simulated)"
    assert 3600 * header["BMAJ"] == pytest.approx(beam)
    assert 3600 * header["CDELT2"] == pytest.approx(pixel)
    side = 180 / pixel if name == "FIRST" else observation.FIELD_BEAMS * beam / pixel
    assert header["NAXIS1"] == pytest.approx(side, abs=1.5)


def test_the_command_refuses_an_unknown_survey(tmp_path):
    with flagsaver.flagsaver(), pytest.raises(ValueError, match="'nvss': not one of f"):
        main.call("simulate", num=1, output=str(tmp_path), survey="nvss")
