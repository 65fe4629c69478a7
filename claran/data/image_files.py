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
    own = [PurePosixPath(path.relative_to(folder)) for path in files]
    above = [_folders([place]) for place in own]
    found: list[Path | None] = [None] * len(wanted)
    used: set[int] = set()
    # Of two labels for one file, that with the name of the file is right.
    order = sorted(range(len(wanted)), key=lambda number: _differ(places[number]))
    for key in (PurePosixPath.as_posix, *(_by_name(key) for key in keys)):
        index: dict[str, list[int]] = {}
        for i, place in enumerate(own):
            index.setdefault(key(place), []).append(i)
        for number in order:
            if found[number] is not None:
                continue
            folders = _folders(places[number])
            for place in places[number]:
                free = [
                    i for i in index.get(key(place), [])
                    if i not in used
                    and (not folders or not above[i] or folders == above[i])
                ]  # fmt: skip
                if free:
                    # The first of those that are alike.
                    best = max(free, key=lambda i: _alike(own[i], place))
                    found[number] = files[best]
                    used.add(best)
                    break
    left = [path for i, path in enumerate(files) if i not in used]
    by_key = {keys[-1](files[i].name): files[i] for i in used}
    for path in left:
        if beside := by_key.get(keys[-1](path.name)):
            report.add("duplicated image", f"{path} beside {beside}")
    by_name = {path.name: path for path in left}
    for (first, *_), path in zip(places, found, strict=True):
        if path is None and first.name in by_name:
            what = f"{first}: {by_name[first.name]} is not taken for it"
            report.add("image of another folder", what)
    return found


def _folders(places: Sequence[PurePosixPath]) -> set[str]:
    """Returns the names of the folders that places are in."""
    return {place.parent.name.lower() for place in places if place.parent.name}


def _place(name: str, report: Report) -> PurePosixPath:
    place = path_in_folder(name)
    if place is None:
        report.add("outside of the folder", f"{name}: only its last part is used")
        return PurePosixPath(PurePosixPath(name.replace("\\", "/")).name)
    return place


def _by_name(key: Callable[[str], str]) -> Callable[[PurePosixPath], str]:
    return lambda path: key(path.name)


def _differ(places: Sequence[PurePosixPath]) -> bool:
    return len({without_ending(place.name) for place in places}) > 1


def _alike(path: PurePosixPath, place: PurePosixPath) -> int:
    """Returns how many folders of two paths are the same, from the last one."""
    pairs = zip(reversed(path.parent.parts), reversed(place.parent.parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
