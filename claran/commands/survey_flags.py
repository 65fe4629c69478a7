"""The survey of images whose headers lack what it says."""

from absl import flags

from claran.sky.surveys import Survey, find_survey

__all__ = ["survey"]

FLAGS = flags.FLAGS


def survey() -> Survey | None:
    """Returns the survey of `--survey`; None without.

    Raises:
        ImageError: There is no such survey, or its file is invalid.
    """
    return None if FLAGS.survey is None else find_survey(FLAGS.survey)
