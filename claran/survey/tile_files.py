"""The files of results of tiles: whole or not there, without pickles, known by name."""

import contextlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from claran.io.atomic import beside

__all__ = ["make_tile", "read_tile", "remove_tiles", "tile_path", "tiles_in"]

DIGITS = "[0-9a-f]"
SUBFOLDER = re.compile(f"{DIGITS}{{2}}")
# A result, or what a process that was killed left of one (see `claran.io.atomic`).
FILE = re.compile(
    rf"{DIGITS}{{40}}\.npz|\.{DIGITS}{{40}}\.{DIGITS}{{16}}\.partial\.npz"
)


def tile_path(folder: Path, fingerprint: str) -> Path:
    """Returns the path of a result, in one of 256 folders: there may be many.

    Args:
        folder: Folder of the stage.
        fingerprint: Fingerprint of all that the result depends on.
    """
    return folder / fingerprint[:2] / f"{fingerprint}.npz"


def make_tile(
    function: Callable[[Any, Any], Mapping[str, np.ndarray]],
    context: Any,
    item: Any,
    path: Path,
) -> None:
    """Writes `function(context, item)` as the result with this path.

    Raises:
        OSError: The file cannot be written.
        Exception: All that the function raises, with a note that names the item.
    """
    try:
        arrays = function(context, item)
    except Exception as error:
        error.add_note(f"This was item {item!r} of {path.parents[1].name}.")
        raise
    # Without parents: a folder that was removed, or a disk that is no longer there, is
    # not made anew.
    with beside(path, parents=False) as partial:
        _write(partial, arrays, path.stem)
        # Without a wait for the disk, which took 0.6 s a tile on a busy one. What a
        # power failure damages is found by its checksums, and made again.
        partial.replace(path)


def read_tile(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a result.

    Raises:
        FileNotFoundError: There is none.
        Exception: The file is damaged, which shows in many ways, or another one.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.comment != path.stem.encode():
            raise ValueError("it is of another tile")
        # Whole members, since only at their end the checksum is looked at.
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(archive.read(name)), allow_pickle=False
            )
            for name in archive.namelist()
        }


def tiles_in(folder: Path) -> set[str]:
    """Returns the fingerprints of all results in the folder of a stage."""
    return {path.stem for path in _files(folder) if not path.name.startswith(".")}


def remove_tiles(folder: Path) -> None:
    """Removes all results in the folder of a stage, and folders that are then empty."""
    for path in _files(folder):
        path.unlink(missing_ok=True)
    for inside in (*_subfolders(folder), folder):
        with contextlib.suppress(OSError):  # Something of the user's is in it.
            inside.rmdir()


def _write(path: Path, arrays: Mapping[str, np.ndarray], fingerprint: str) -> None:
    # Not `numpy.savez`, to which no array may be named "file".
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = fingerprint.encode()
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)


def _files(folder: Path) -> list[Path]:
    return [
        path
        for inside in _subfolders(folder)
        for path in inside.iterdir()
        if FILE.fullmatch(path.name)
    ]


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if SUBFOLDER.fullmatch(path.name)]
