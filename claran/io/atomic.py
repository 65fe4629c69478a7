"""Atomic writes: a file is complete or does not exist."""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["beside", "flush", "remove_partials", "remove_unfinished", "replace_file"]

ABANDONED = 3600.0  # Seconds without a change; its process was killed.
_unfinished: set[Path] = set()


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file under another name and renames it.

    If writing fails, an existing file is unchanged. Several processes may write one
    file; the last one wins.

    Args:
        path: The file; its folder is created if it does not exist.
        write: Writes to the path that it is given, with the same ending.
    """
    with beside(path) as partial:
        write(partial)
        flush(partial)
        partial.replace(path)


@contextlib.contextmanager
def beside(path: Path, *, folder: bool = False, parents: bool = True) -> Iterator[Path]:
    """Context with a new file or folder beside a path, to be renamed to it.

    Nobody can guess its name and put a link there. It is removed at the end of the
    context, or by the next write of the same path if this process is killed.

    Args:
        path: The path; its folder is created if it does not exist.
        folder: Whether to make a folder.
        parents: Whether the parents of its folder are created too. If not, and they
            do not exist, `FileNotFoundError` is raised.
    """
    path.parent.mkdir(parents=parents, exist_ok=True)
    start, end = _partial_name(path)
    _remove_partials(path, ABANDONED)
    partial = path.with_name(f"{start}{secrets.token_hex(8)}{end}")
    _unfinished.add(partial)
    try:
        if folder:
            partial.mkdir()
        else:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield partial
    except OSError as error:
        raise _named(error, path) from error
    finally:
        _remove(partial)
        _unfinished.discard(partial)


def remove_partials(path: Path) -> None:
    """Removes what killed processes have left of a path that none is writing now.

    Args:
        path: The path, in a folder that exists.
    """
    _remove_partials(path, 0.0)


def remove_unfinished() -> None:
    """Removes what is being written, before this process ends in the middle of it."""
    for partial in tuple(_unfinished):
        with contextlib.suppress(OSError):
            _remove(partial)


def flush(path: Path) -> None:
    """Waits until a file, or the names of the files in a folder, are on the disk."""
    if os.name == "nt":
        return  # Windows cannot open folders, and flushes files when they are closed.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _named(error: OSError, path: Path) -> OSError:
    """Returns the error with the name of the file that was to be written.

    The system gives no name for a full disk, and HDF5 an error without a number.
    """
    if error.errno is None:
        return OSError(f"{path}: cannot be written ({error}).")
    return OSError(error.errno, error.strerror, str(path))


def _partial_name(path: Path) -> tuple[str, str]:
    """Returns the start and the end of the names of unfinished files."""
    # File systems take 255 bytes, and a character has up to four.
    return f".{path.stem[:40]}.", f".partial{path.suffix}"


def _remove_partials(path: Path, seconds: float) -> None:
    """Removes unfinished files that have not changed for some time."""
    start, end = _partial_name(path)
    now = time.time()
    for entry in os.scandir(path.parent):
        if not (entry.name.startswith(start) and entry.name.endswith(end)):
            continue
        with contextlib.suppress(OSError):  # Another process was faster.
            if now - entry.stat(follow_symlinks=False).st_mtime >= seconds:
                _remove(path.parent / entry.name)


def _remove(partial: Path) -> None:
    if partial.is_dir() and not partial.is_symlink():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)
