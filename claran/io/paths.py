"""Names of files: patterns, pairs of radio and infrared images, names of fields."""

import codecs
import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from claran.errors import ImageError

__all__ = [
    "ESCAPED",
    "FITS_ENDINGS",
    "PICTURE_ENDINGS",
    "bare_name",
    "expand",
    "expand_home",
    "field_name",
    "from_ascii",
    "infrared_name",
    "pair_infrared",
    "readable",
    "require_file",
    "split_hdu",
    "table_names",
    "to_ascii",
]

ESCAPED = "claran_escaped"
"""Python's name for how characters that a stream cannot show are spelled."""

FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

HDU = re.compile(r"(.+)\[([^\[\]]+)\]")  # A file and one of its HDUs.
SPELLED = re.compile(r"\\u[0-9a-f]{4}|\\U000[0-9a-f]{5}")
# Words after the name of the field in the name of a file.
KINDS = re.compile(r"(?:^|[-_. ])(radio|infrared|ir|wise|w1)$", re.IGNORECASE)


def expand_home(name: str) -> str:
    """Returns a path with `~` or `~user` at its start replaced by the home folder.

    Raises:
        ValueError: Nobody knows that home folder.
    """
    path = os.path.expanduser(name)
    if path.startswith("~") and not os.path.lexists(path):
        raise ValueError(f"{name}: no such home folder; write ./{name} for that name.")
    return path


def readable(name: str) -> str:
    r"""Returns the name of a file as text that every terminal and table can show.

    Bytes that are no UTF-8 and characters that cannot be printed are written as in
    Python, such as `\xe9` for a byte and `\n` for the end of a line.

    >>> print(readable("champ\udce9.fits"), readable("é.fits"))
    champ\xe9.fits é.fits
    """
    text = name.encode("utf-8", ESCAPED).decode("utf-8")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Spells characters that an encoding lacks; a handler of errors for `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def _spelled(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # So Python keeps a byte that is no UTF-8.
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


codecs.register_error(ESCAPED, _escape)


def to_ascii(text: str) -> str:
    r"""Returns a text for FITS, which knows only ASCII; `from_ascii` is the reverse.

    >>> print(to_ascii("é.fits"))
    \u00e9.fits
    """
    return text.encode("ascii", ESCAPED).decode("ascii")


def from_ascii(text: str) -> str:
    """Returns the text that `to_ascii` was given."""
    return SPELLED.sub(lambda found: chr(int(found[0][2:], 16)), text)


def expand(names: Iterable[str], endings: tuple[str, ...] | None) -> list[Path]:
    """Returns the files of the given names, in order; files in a folder are sorted.

    A file that is named twice is returned once. Hidden files in folders are passed
    over. Links whose target is missing, pipes and devices in folders are returned, so
    that whoever reads them can name them.

    Args:
        names: Files, folders, patterns (`*`, `?`, `[...]`), or `@list.txt`, a text file
            with one of these on each line. `~` is the home folder.
        endings: Endings of the files to take from a folder; None for FITS and pictures.

    Raises:
        ImageError: There is no file of a name.
    """
    found = _expand(names, endings or FITS_ENDINGS + PICTURE_ENDINGS, ())
    return list({os.path.abspath(path): path for path in found}.values())


def _expand(
    names: Iterable[str], endings: tuple[str, ...], lists: tuple[str, ...]
) -> list[Path]:
    paths: list[Path] = []
    for name in names:
        path = _home(name)
        if name.startswith("@") and not os.path.lexists(name):
            if name in lists:
                raise ImageError(
                    f"{name[1:]}: names itself; write files into the list."
                )
            paths += _expand(_lines(_home(name[1:])), endings, (*lists, name))
        elif os.path.isdir(path):
            paths += _in_folder(path, endings)
        elif os.path.lexists(path):
            require_file(path)
            paths.append(Path(path))
        elif os.path.isfile(split_hdu(Path(path))[0]):
            paths.append(Path(path))
        else:
            paths += _matches(path)
    return paths


def _home(name: str) -> str:
    try:
        return expand_home(name)
    except ValueError as error:
        raise ImageError(str(error)) from None


def _lines(name: str) -> list[str]:
    """Returns the lines of a list of files that are not empty."""
    try:
        # Bytes that are no UTF-8 may be in the names of files.
        text = Path(name).read_text("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise ImageError(
            f"{name}: cannot be read as a list of files ({error.strerror})."
        ) from None
    if "\0" in text:
        raise ImageError(
            f"{name}: cannot be read as a list of files; save it as UTF-8 text."
        )
    listed = [line.strip() for line in text.splitlines() if line.strip()]
    if not listed:
        raise ImageError(f"{name}: is empty; write a file on each line.")
    return listed


def _in_folder(name: str, endings: tuple[str, ...]) -> list[Path]:
    found = sorted(
        path
        for path in Path(name).iterdir()
        if path.name.lower().endswith(endings)
        and not path.name.startswith(".")  # Such as the ._a.fits of macOS.
        and not path.is_dir()
    )
    if not found:
        raise ImageError(
            f"{name}: no {', '.join(endings)} in this folder; give another one."
        )
    return found


def require_file(name: str | os.PathLike) -> None:
    """Refuses what is there but is no file: opening a pipe waits for ever.

    Args:
        name: The path; folders and what is missing pass, as the system names them.

    Raises:
        ImageError: It is a broken link, a pipe or a device.
    """
    if os.path.isfile(name) or os.path.isdir(name) or not os.path.lexists(name):
        return
    if os.path.islink(name) and not os.path.exists(name):
        raise ImageError(
            f"{name}: is a link to {os.readlink(name)}, which is not there; mend it."
        )
    raise ImageError(f"{name}: is a device or a pipe; give a file.")


def _matches(name: str) -> list[Path]:
    """Returns the files of a pattern; folders that exist are taken by their names."""
    folders = Path(name).parts[:-1]
    count = next(
        (n for n in range(len(folders), 0, -1) if Path(*folders[:n]).is_dir()), 0
    )
    literal = glob.escape(str(Path(*folders[:count]))) if count else ""
    pattern = os.path.join(literal, *Path(name).parts[count:])
    matches = map(Path, sorted(glob.glob(pattern, recursive=True)))
    found = [path for path in matches if not path.is_dir()]
    if found:
        return found
    if glob.has_magic(name):
        raise ImageError(
            f"{name}: no such file, and none of this pattern (*, ? and [...] stand for "
            "other characters); check the path."
        )
    raise ImageError(f"{name}: no such file; check the path.")


def pair_infrared(radio: Sequence[Path], infrared: Sequence[Path]) -> dict[Path, Path]:
    """Returns the infrared file of each radio file.

    A single radio and a single infrared file are a pair. Otherwise they are paired by
    name, without its ending and without `_radio`, `_infrared`, `_ir`, `_w1` or `_wise`.

    Raises:
        ImageError: A radio file has no infrared file, or more than one.
    """
    if len(radio) == len(infrared) == 1:
        return {radio[0]: infrared[0]}
    # Both may be in one folder.
    own_radio = [path for path in radio if not infrared_name(path)] or radio
    used = set(own_radio)
    by_field: dict[str, list[Path]] = {}
    for path in infrared:
        if path not in used:
            by_field.setdefault(field_name(path), []).append(path)
    pairs = {}
    for path in own_radio:
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
    return KINDS.sub("", bare_name(split_hdu(path)[0]))


def bare_name(path: Path) -> str:
    """Returns the readable name of a file, without the endings of FITS and pictures.

    >>> bare_name(Path("fits/J1234+5607_radio.fits.gz"))
    'J1234+5607_radio'
    """
    return re.sub(
        r"(\.(fits|fit|fts|gz|fz|png|jpe?g|tiff?))+$", "", readable(path.name),
        flags=re.IGNORECASE,
    )  # fmt: skip


def infrared_name(path: Path) -> bool:
    """Returns whether a name ends in a word for infrared images.

    >>> infrared_name(Path("J1234+5607_w1.fits")), infrared_name(Path("air.fits"))
    (True, False)
    """
    found = KINDS.search(bare_name(split_hdu(path)[0]))
    return found is not None and found[1].lower() != "radio"


def split_hdu(path: Path) -> tuple[Path, str | None]:
    """Returns a file, and the number or name of an HDU in brackets after its name.

    As CFITSIO has it. A file that has this very name comes first.

    >>> split_hdu(Path("mosaic.fits[SCI]"))[1]
    'SCI'
    """
    found = HDU.fullmatch(path.name)
    if found is None or os.path.exists(path):
        return path, None
    return path.with_name(found[1]), found[2].strip()


def table_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Returns the readable name of each file in a table.

    If two files have the same name, all are named by their paths in the folder that
    they have in common.
    """
    names = {path: readable(path.name) for path in paths}
    if len(set(names.values())) == len(names):
        return names
    root = os.path.commonpath([path.absolute().parent for path in paths])
    return {
        path: readable(path.absolute().relative_to(root).as_posix()) for path in paths
    }
