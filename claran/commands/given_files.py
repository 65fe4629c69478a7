"""The files that a flag names."""

from pathlib import Path

from absl import flags

from claran.errors import ImageError
from claran.io.paths import expand

__all__ = ["given_files"]

FLAGS = flags.FLAGS


def given_files(name: str, endings: tuple[str, ...] | None) -> list[Path]:
    """Returns the files of a flag."""
    names: list[str] = FLAGS[name].value or []
    try:
        return expand(names, endings)
    except ImageError as error:
        if len(names) < 2:
            raise
        raise ImageError(
            f"{error} In --{name} a comma separates names; write a name with a comma "
            "into a list, as --radio=@list.txt."
        ) from None
