"""Surveys as values: the presets, and those of a TOML file."""

import dataclasses
import math
import re
import tomllib

import pytest

from claran.errors import ImageError
from claran.sky.surveys import FIRST, SURVEYS, Survey, find_survey, read_survey

ROUND = """
name = "MINE"
beam_arcsec = 8.0
pixel_arcsec = 2.0
noise_jy = 1e-5
frequency_hz = 1.3e9
"""
ELLIPTICAL = ROUND.replace(
    "beam_arcsec = 8.0",
    "beam_major_arcsec = 8\nbeam_minor_arcsec = 4.5\nbeam_angle_deg = -30",
)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize("name", SURVEYS)
def test_every_preset_is_sensible(name):
    survey = SURVEYS[name]
    assert name == survey.name.lower() == name.strip()
    # An interferometer's image has two to ten pixels across the beam,
    assert 2 <= survey.beam_arcsec / survey.pixel_arcsec <= 10
    # is between LOFAR's 10 MHz and the VLA's 50 GHz,
    assert 1e7 < survey.frequency_hz < 5e10
    # is not deeper than SKA's and not shallower than the first surveys,
    assert 1e-7 < survey.noise_jy < 1e-2
    # and resolves an arcminute, not a milliarcsecond.
    assert 0.5 < survey.beam_arcsec < 60
    major, minor, angle = survey.beam
    assert survey.beam_arcsec == pytest.approx(math.sqrt(major * minor))
    assert major >= minor and math.isfinite(angle)


def test_first_has_three_pixels_in_its_beam():
    assert SURVEYS["first"] is FIRST
    assert FIRST.beam_arcsec / FIRST.pixel_arcsec == pytest.approx(3)


@pytest.mark.parametrize("name", ["first", "FIRST", "First"])
def test_presets_are_found_in_any_case(name):
    assert find_survey(name) is FIRST


def test_a_file_describes_a_survey(write):
    found = find_survey(write(ROUND))
    assert found == read_survey(write(ROUND)) == find_survey(str(write(ROUND)))
    assert found == Survey(
        name="MINE", beam_major_arcsec=8.0, beam_minor_arcsec=8.0, pixel_arcsec=2.0,
        noise_jy=1e-5, frequency_hz=1.3e9,
    )  # fmt: skip


def test_a_file_may_describe_an_elliptical_beam(write):
    survey = read_survey(write(ELLIPTICAL))
    assert survey.beam == (8, 4.5, -30)
    assert survey.beam_arcsec == pytest.approx(6)


def test_the_example_in_the_documentation_is_right(write):
    text = re.search(r"((?:        \w+ = .*\n)+)", read_survey.__doc__).group(1)
    example = "\n".join(line.strip() for line in text.splitlines())
    assert tomllib.loads(example) == tomllib.loads(ROUND)


def test_other_names_are_refused(tmp_path):
    with pytest.raises(
        ImageError, match=r"survey 'nvss': not one of first, vlass, .*not a \.toml file"
    ):
        find_survey("nvss")
    with pytest.raises(ImageError, match=r"gone\.toml: no such file; check the path"):
        find_survey(tmp_path / "gone.toml")
    (tmp_path / "huge.toml").write_text("x = [" + 10_000 * "1," + "]")
    with pytest.raises(
        ImageError, match=r"huge\.toml: has 0\.02 MB, more than the 0\.0"
    ):
        find_survey(tmp_path / "huge.toml")


@pytest.mark.parametrize(
    "text, message",
    [
        ("name = MINE", r"mine\.toml: cannot be read as TOML \("),
        (ROUND.replace("noise_jy = 1e-5", ""), r"survey: it lacks noise_jy\."),
        (ROUND + "telescope = 'A'", "survey: `telescope` is not one of name, bea"),
        ("beam_arcsec = 1", "it lacks name, pixel_arcsec, noise_jy, frequency_hz"),
        ("", "it lacks name, beam_major_arcsec, beam_minor_arcsec, pixel_arcsec"),
        (ROUND.replace("8.0", "0.0"), "`beam_major_arcsec` must be positive and finit"),
        (ROUND.replace("2.0", "'two'"), "`pixel_arcsec` must be a number, got 'two'"),
        (ROUND.replace("2.0", "true"), "`pixel_arcsec` must be a number, got True"),
        (ROUND.replace('"MINE"', "7"), "`name` must be text, got 7"),
        (
            ROUND + "beam_minor_arcsec = 3.0",
            "give `beam_arcsec` or `beam_minor_arcsec`, not",
        ),
        (
            ELLIPTICAL.replace("4.5", "9.5"),
            r"`beam_major_arcsec` must be at least `beam_minor_arcsec`, got 8 < 9\.5",
        ),
    ],
)
def test_files_that_describe_no_survey_are_refused(write, text, message):
    with pytest.raises(ImageError, match=message):
        read_survey(write(text))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"noise_jy": math.nan}, "`noise_jy` must be positive and finite, got nan"),
        ({"frequency_hz": -1.0}, "`frequency_hz` must be positive and finite, got -1"),
        ({"pixel_arcsec": math.inf}, "`pixel_arcsec` must be positive .* got inf"),
        ({"beam_minor_arcsec": 0.0}, r"`beam_minor_arcsec` must be .* got 0\.0"),
        ({"beam_angle_deg": math.nan}, "`beam_angle_deg` must be finite, got nan"),
        ({"beam_major_arcsec": 2.0}, "at least `beam_minor_arcsec`, got 2.0 < 5.4"),
    ],
)
def test_values_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(FIRST, **changes)
