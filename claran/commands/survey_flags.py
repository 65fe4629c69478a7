"""Flags for the survey and the beam of images whose headers lack them."""

import math

from absl import flags

from claran.commands.common import UsageError
from claran.sky.surveys import SURVEYS, Survey, find_survey

__all__ = ["beam", "survey"]

flags.DEFINE_string(
    "survey",
    None,
    f"Survey of the radio images: {', '.join(SURVEYS)}, or a .toml file with name, "
    "beam_arcsec, pixel_arcsec, noise_jy and frequency_hz. It is used if the header "
    "lacks them. Without it FIRST's beam is assumed, with a note in the output and in "
    "the metadata of the table. simulate: survey to simulate.",
)
flags.DEFINE_float(
    "beam",
    None,
    "Full width at half maximum of the radio beam, arcsec, to replace the headers'.",
)
FLAGS = flags.FLAGS


def survey() -> Survey | None:
    """Returns the survey of `--survey`; None without.

    Raises:
        ImageError: There is no such survey, or its file is invalid.
    """
    return None if FLAGS.survey is None else find_survey(FLAGS.survey)


def beam() -> float | None:
    """Returns the width of `--beam`, arcsec; None without.

    Raises:
        UsageError: It is not positive and finite.
    """
    if FLAGS.beam is not None and not 0 < FLAGS.beam < math.inf:
        raise UsageError(f"--beam must be positive and finite, got {FLAGS.beam}.")
    return FLAGS.beam
