"""Where a mode writes. What cannot be written there is refused before any work."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from absl import flags

from claran.commands.common import UsageError

__all__ = ["output_file", "output_folder", "refuse_inputs", "require_writable"]

FLAGS = flags.FLAGS
LONGER = len(".unfinished")  # Partial results are in a folder of that name.


def output_folder(default: str, names: Sequence[str] = ()) -> Path:
    """Returns the folder of `--output`, which need not exist.

    Args:
        default: The folder if the flag is not given.
        names: Names of files to be written into it.

    Raises:
        UsageError: It is a file, or nothing can be written there.
    """
    folder = Path(FLAGS.output or default)
    require_writable("output", folder)
    for name in names:
        _require_short(folder / name)
    return folder


def output_file(default: str) -> Path:
    """Returns the file of `--output`, which need not exist.

    Raises:
        UsageError: It is a folder, or nothing can be written there.
    """
    path = Path(FLAGS.output or default)
    if path.is_dir():
        raise UsageError(f"--output must be a file, but {path} is a folder.")
    if path.exists() and not path.is_file():
        raise UsageError(f"--output must be a file, but {path} is a device or a pipe.")
    require_writable("output", path.parent)
    _require_short(path)
    return path


def require_writable(flag: str, folder: Path) -> None:
    """Refuses a folder in which nothing can be written.

    Args:
        flag: The flag that names it.
        folder: The folder, which need not exist.

    Raises:
        UsageError: It says what to do.
    """
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        kind = "a file" if existing.is_file() else "no folder"
        raise UsageError(
            f"--{flag} must be a folder, but {existing} is {kind}; give another one."
        )
    try:
        # Only a file shows it: root passes all checks of permissions.
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise UsageError(
            f"--{flag}={folder}: {existing} cannot be written to ({error.strerror}); "
            "give another folder."
        ) from None


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[str | Path]) -> None:
    """Refuses files of `--output` that are also read.

    Raises:
        UsageError: It names the file.
    """
    written = {_identity(path): path for path in outputs if path.exists()}
    if not written:
        return
    for path in map(Path, inputs):
        if path.exists() and _identity(path) in written:
            raise UsageError(
                f"--output: {written[_identity(path)]} is an input too, and would be "
                "overwritten; give another one."
            )


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino


def _require_short(path: Path) -> None:
    limit = 255 - LONGER  # Of nearly all file systems.
    if len(os.fsencode(path.name)) > limit:
        raise UsageError(
            f"--output: the name {path.name[:40]}... is too long; give a file with at "
            f"most {limit} bytes in its name."
        )
