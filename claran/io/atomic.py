"""Atomic writes: a file is complete or does not exist."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["flush", "replace_file"]


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file under another name and renames it.

    If writing fails, an existing file is unchanged.

    Args:
        path: The file; its folder is created if it does not exist.
        write: Writes to the path that it is given, with the same ending.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(partial)
        flush(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Waits until a file, or the names of the files in a folder, are on the disk."""
    if os.name == "nt":
        return  # Windows cannot open folders, and flushes files when they are closed.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
