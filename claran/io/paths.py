"""Names of files: patterns, pairs of radio and infrared images, names of fields."""

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from claran.errors import ImageError

__all__ = [
    "FITS_ENDINGS",
    "PICTURE_ENDINGS",
    "expand",
    "field_name",
    "pair_infrared",
    "table_names",
]

FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

# Words after the name of the field in the name of a file.
KINDS = re.compile(r"(?:^|[-_. ])(radio|infrared|ir|wise|w1)$", re.IGNORECASE)


def expand(names: Iterable[str], endings: tuple[str, ...] | None) -> list[Path]:
    """Returns the files of the given names, in order; files in a folder are sorted.

    Args:
        names: Files, folders, patterns (`*`, `?`, `[...]`), or `@list.txt`, a text file
            with one of these on each line.
        endings: Endings of the files to take from a folder; None for FITS and pictures.

    Raises:
        ImageError: There is no file of a name.
    """
    endings = endings or FITS_ENDINGS + PICTURE_ENDINGS
    paths: list[Path] = []
    for name in names:
        if name.startswith("@"):
            try:
                lines = Path(name[1:]).read_text("utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ImageError(
                    f"{name[1:]}: cannot be read as a list of files ({error})."
                ) from None
            listed = [line.strip() for line in lines if line.strip()]
            if not listed:
                raise ImageError(f"{name[1:]}: is empty; write a file on each line.")
            paths += expand(listed, endings)
        elif Path(name).is_dir():
            inside = [path for path in Path(name).iterdir() if path.is_file()]
            found = sorted(
                path for path in inside if path.name.lower().endswith(endings)
            )
            if not found:
                raise ImageError(
                    f"{name}: no {', '.join(endings)} in this folder; give another one."
                )
            paths += found
        elif Path(name).is_file():
            paths.append(Path(name))
        else:
            matches = map(Path, sorted(glob.glob(name, recursive=True)))
            found = [path for path in matches if path.is_file()]
            if not found:
                raise ImageError(f"{name}: no such file; check the path.")
            paths += found
    return paths


def pair_infrared(radio: Sequence[Path], infrared: Sequence[Path]) -> dict[Path, Path]:
    """Returns the infrared file of each radio file.

    A single radio and a single infrared file are a pair. Otherwise they are paired by
    name, without its ending and without `_radio`, `_infrared`, `_ir`, `_w1` or `_wise`.

    Raises:
        ImageError: A radio file has no infrared file, or more than one.
    """
    if len(radio) == len(infrared) == 1:
        return {radio[0]: infrared[0]}
    by_field: dict[str, list[Path]] = {}
    for path in infrared:
        if path not in radio:  # Both may be in one folder.
            by_field.setdefault(field_name(path), []).append(path)
    pairs = {}
    for path in radio:
        own = by_field.get(field_name(path), [])
        if len(own) != 1:
            what = "no file" if not own else f"{len(own)} files"
            raise ImageError(
                f"{path}: {what} among the infrared images (--ir) for it; name one "
                f"{field_name(path)}_infrared.png."
            )
        pairs[path] = own[0]
    return pairs


def field_name(path: Path) -> str:
    """Returns the name of the field in a file.

    >>> field_name(Path("fits/J1234+5607_radio.fits.gz"))
    'J1234+5607'
    """
    name = re.sub(
        r"(\.(fits|fit|fts|gz|fz|png|jpe?g|tiff?))+$", "", path.name, flags=re.I
    )
    return KINDS.sub("", name)


def table_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Returns the name of each file in a table.

    If two files have the same name, all are named by their paths in the folder that
    they have in common.
    """
    names = {path: path.name for path in paths}
    if len(set(names.values())) == len(names):
        return names
    root = os.path.commonpath([path.absolute().parent for path in paths])
    return {path: path.absolute().relative_to(root).as_posix() for path in paths}
