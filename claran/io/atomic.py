"""Files that are whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["flush", "replace_file"]


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Has a file written under another name, then renamed: it is whole or the old one.

    Args:
        path: The file; its folder is made if need be.
        write: Writes to the path it is given, which has the same ending.
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
    """Waits until a file, or the names in a folder, are on the disk."""
    if os.name == "nt":
        return  # Windows opens no folders, and flushes files when they close.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
