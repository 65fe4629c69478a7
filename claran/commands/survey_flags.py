"""What is known of the survey, where the images do not say it."""

import math

from absl import flags

from claran.commands.common import UsageError
from claran.sky.surveys import SURVEYS, Survey, find_survey

__all__ = ["beam", "survey"]

flags.DEFINE_string(
    "survey",
    None,
    f"Survey of the radio images: {', '.join(SURVEYS)}, or a .toml file with name, "
    "beam_arcsec, pixel_arcsec, noise_jy and frequency_hz. It says what a header does "
    "not. Without it, an image without a beam is assumed to have FIRST's; that is "
    "said, and stands in the table's metadata. simulate: what to imitate.",
)
flags.DEFINE_float(
    "beam",
    None,
    "Full width at half maximum of the radio beam, arcsec, in place of the headers'.",
)
FLAGS = flags.FLAGS


def survey() -> Survey | None:
    """Returns the survey that `--survey` names; None without.

    Raises:
        ImageError: There is no such survey, or its file is not right.
    """
    return None if FLAGS.survey is None else find_survey(FLAGS.survey)


def beam() -> float | None:
    """Returns the width of the beam that `--beam` gives, arcsec; None without.

    Raises:
        UsageError: It is not above 0 and finite.
    """
    if FLAGS.beam is not None and not 0 < FLAGS.beam < math.inf:
        raise UsageError(f"--beam must be above 0 and finite, got {FLAGS.beam}.")
    return FLAGS.beam
