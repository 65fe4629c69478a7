"""Names of fields: made of file names, and found again by what others call them."""

import collections
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from claran.io.paths import FITS_ENDINGS, PICTURE_ENDINGS, field_name

__all__ = ["FieldNames", "distinct_names", "without_ending"]

# Any ending, but not the decimals of a position.
ENDING = re.compile(r"(?<=[^/.])\.[a-z]\w*$", re.IGNORECASE)


def without_ending(name: str) -> str:
    """Returns the name of an image without `.fits`, `.fits.gz`, `.png` ...

    >>> without_ending("train/a.fits.gz"), without_ending("J12.5")
    ('train/a', 'J12.5')
    """
    fits = (end for end in FITS_ENDINGS if name.lower().endswith(end))
    pictures = (end for end in PICTURE_ENDINGS if name.lower().endswith(end))
    return name[: len(name) - max(map(len, [*fits, *pictures]), default=0)]


def distinct_names(files: Sequence[str]) -> list[str]:
    """Returns a name of its own for each file.

    It is the name of the file without the ending. Files that share it are named by
    their paths without the ending, or, if they share these too, by their paths.

    Args:
        files: Different paths with `/`.

    >>> distinct_names(["x/c.png", "train/a.png", "val/a.png", "b.png", "b.jpg"])
    ['c', 'train/a', 'val/a', 'b.png', 'b.jpg']
    >>> distinct_names(["J101500.0-013000", "J101500.0+013000.png"])
    ['J101500.0-013000', 'J101500.0+013000']
    """
    bare = [PurePosixPath(ENDING.sub("", file)) for file in files]
    forms = [
        (path.name, path.as_posix(), file)
        for path, file in zip(bare, files, strict=True)
    ]
    level = [0] * len(files)
    while True:
        names = [own[i] for own, i in zip(forms, level, strict=True)]
        counts = collections.Counter(names)
        again = [
            number
            for number, name in enumerate(names)
            if counts[name] > 1 and level[number] < 2
        ]
        if not again:
            return names
        for number in again:
            level[number] += 1


class FieldNames:
    """Fields by what lists and tables of others call them.

    That is the name of a field, with or without an ending, with more or fewer of the
    folders above it, or that of a file of it, such as `a_radio.fits`.

    Args:
        names: Names of the fields.

    >>> names = FieldNames(["train/a", "val/a", "b"])
    >>> names.find("images/val/a.png"), names.find("x/b_radio.fits"), names.find("a")
    ('val/a', 'b', None)
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._whole: dict[str, set[str]] = {}
        self._tails: dict[str, set[str]] = {}
        for name in self._names:
            for form in {name, without_ending(name)}:
                self._whole.setdefault(form, set()).add(name)
                for tail in _tails(form):
                    self._tails.setdefault(tail, set()).add(name)

    def find(self, text: str) -> str | None:
        """Returns the name of the field; None if there is none, or several."""
        if text in self._names:
            return text
        path = PurePosixPath(text.replace("\\", "/"))
        other = path.parent / field_name(Path(path))
        for form in (path, without_ending(path.as_posix()), other):
            whole = [self._whole.get(tail) for tail in _tails(str(form))]
            for found in (*whole, self._tails.get(str(form))):
                if found:
                    return min(found) if len(found) == 1 else None
        return None


def _tails(path: str) -> Iterator[str]:
    """Yields a path, and what is left of it without each of the folders above.

    >>> list(_tails("x/train/a"))
    ['x/train/a', 'train/a', 'a']
    """
    parts = path.split("/")
    yield from ("/".join(parts[i:]) for i in range(len(parts)))
