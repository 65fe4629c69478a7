"""What all modes share: flags, and how they talk to a person."""

from absl import flags

from claran import accelerator

__all__ = ["UsageError", "say"]

flags.DEFINE_enum("accelerator", "auto", accelerator.ACCELERATORS, "Where to compute.")
flags.DEFINE_integer("device_index", 0, "Which of several accelerators.")
flags.DEFINE_string(
    "output",
    None,
    "Folder to write to; predict: or a file ending in .ecsv, .csv, .fits, .vot or "
    ".xml; convert: a file ending in .keras.",
)
flags.DEFINE_list("class_names", None, "Names of the classes, if not the six of RGZ.")


class UsageError(ValueError):
    """Flags that do not go together."""


def say(text: str) -> None:
    """Prints a line for the user."""
    print(text)  # noqa: T201
