"""Flags of all modes, and messages to the user."""

from absl import flags

from claran import accelerator

__all__ = ["UsageError", "say"]

flags.DEFINE_enum(
    "accelerator", "auto", accelerator.ACCELERATORS, "Device for the computations."
)
flags.DEFINE_integer(
    "device_index",
    0,
    "Number of the accelerator, from 0; train then uses only this one.",
)
flags.DEFINE_string(
    "output",
    None,
    "Output folder. predict: or a file ending in .ecsv, .csv, .fits, .vot or .xml; "
    "convert: a file ending in .keras.",
)
flags.DEFINE_list("class_names", None, "Names of the classes; default: the six of RGZ.")


class UsageError(ValueError):
    """Flags that are missing, invalid or exclude each other."""


def say(text: str) -> None:
    """Prints a line for the user."""
    print(text)  # noqa: T201
