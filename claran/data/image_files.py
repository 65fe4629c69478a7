"""The image files in a user's folder, by the names that labels give them."""

import itertools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from claran.data.annotations import Report
from claran.data.field_names import without_ending

__all__ = ["match_files", "path_in_folder"]

# A drive of Windows, or the address of a server.
ELSEWHERE = re.compile(r"^([a-z]:|\w+:/)", re.IGNORECASE)


def path_in_folder(name: str) -> PurePosixPath | None:
    """Returns the file that a label names, relative to the folder of the data.

    Labels may come from others, so that no name may lead out of that folder: this is
    the one place that decides it. Links in the folder are the user's own.

    Returns:
        The path without `..`; None if it leads out of the folder.

    >>> path_in_folder("x/../a.png"), path_in_folder("images" + chr(92) + "a.png")
    (PurePosixPath('a.png'), PurePosixPath('images/a.png'))
    >>> names = "../a.png", "/a.png", "C:/a.png", "~/a.png", "http://x.org/a.png"
    >>> {path_in_folder(name) for name in names}
    {None}
    """
    name = name.replace("\\", "/")
    if ELSEWHERE.match(name) or name.startswith("/"):
        return None
    path = PurePosixPath(os.path.normpath(name).replace(os.sep, "/"))
    first, *_ = path.parts or ("..",)
    if first == ".." or (first.startswith("~") and len(path.parts) > 1):
        return None
    return path


def match_files(
    folder: Path,
    files: Sequence[Path],
    wanted: Sequence[Sequence[str]],
    keys: Sequence[Callable[[str], str]],
    report: Report,
) -> list[Path | None]:
    """Returns the file of each field, None for a field without one.

    The path that a label gives goes first. For labels whose path is not there, files
    with the same name are taken if folders were added or left out above them, then
    those with the same name by the next key. A file in another folder than the label's
    is not taken: `train/a.png` is another image than `val/a.png`. No file belongs to
    two fields. Of several files the one is taken whose folders are most like those of
    the label.

    Args:
        folder: The folder.
        files: Files in it.
        wanted: Names or paths of each field's file, the best first. Of one that leads
            out of the folder only the last part is used; it is reported as "outside of
            the folder".
        keys: What files are known by, made of their names.
        report: Receives the problems. A file that is known by the same as one in use is
            a "duplicated image"; one that would be taken but for its folder is an
            "image of another folder".
    """
    places = [[_place(name, report) for name in names] for names in wanted]
    found: list[Path | None] = [None] * len(wanted)
    used: set[Path] = set()
    # Of two labels for one file, that with the name of the file is right.
    order = sorted(range(len(wanted)), key=lambda number: _differ(places[number]))
    for key in (PurePosixPath.as_posix, *(_by_name(key) for key in keys)):
        index: dict[str, list[Path]] = {}
        for path in files:
            index.setdefault(key(_relative(path, folder)), []).append(path)
        for number in order:
            for place in places[number]:
                free = [
                    path for path in index.get(key(place), [])
                    if path not in used
                    and not _apart(_relative(path, folder), places[number])
                ]  # fmt: skip
                if free and found[number] is None:
                    # The first of those that are alike.
                    best = max(free, key=lambda p: _alike(_relative(p, folder), place))
                    found[number] = best
                    used.add(best)
    by_key = {keys[-1](path.name): path for path in used}
    for path in files:
        beside = by_key.get(keys[-1](path.name))
        if beside is not None and path not in used:
            report.add("duplicated image", f"{path} beside {beside}")
    free_names = {path.name: path for path in files if path not in used}
    for own, path in zip(places, found, strict=True):
        if path is None and own[0].name in free_names:
            what = f"{own[0]}: {free_names[own[0].name]} is not taken for it"
            report.add("image of another folder", what)
    return found


def _apart(path: PurePosixPath, places: Sequence[PurePosixPath]) -> bool:
    """Returns whether a path is in a folder of another name than one of others."""
    folders = {place.parent.name.lower() for place in places if place.parent.name}
    own = path.parent.name.lower()
    return bool(own and folders) and folders != {own}


def _place(name: str, report: Report) -> PurePosixPath:
    place = path_in_folder(name)
    if place is None:
        report.add("outside of the folder", f"{name}: only its last part is used")
        return PurePosixPath(PurePosixPath(name.replace("\\", "/")).name)
    return place


def _relative(path: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(folder))


def _by_name(key: Callable[[str], str]) -> Callable[[PurePosixPath], str]:
    return lambda path: key(path.name)


def _differ(places: Sequence[PurePosixPath]) -> bool:
    return len({without_ending(place.name) for place in places}) > 1


def _alike(path: PurePosixPath, place: PurePosixPath) -> int:
    """Returns how many folders of two paths are the same, from the last one."""
    pairs = zip(reversed(path.parent.parts), reversed(place.parent.parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
