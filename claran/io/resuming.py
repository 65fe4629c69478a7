"""Partial results, so that an interrupted run can resume."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from claran.io.atomic import replace_file

__all__ = ["PartialResults", "code_fingerprint", "settings_differ"]

Result = TypeVar("Result")
PACKAGE = Path(__file__).parents[1]
SECONDS = 30.0  # Between parts: as much as an interruption costs.


class PartialResults(Generic[Result]):
    """Results of the first items of a list, in parts that are files of NumPy's `.npz`.

    A part is whole or not there. Each says what it was made with: with other settings
    the run starts afresh. Damage, which the format's checksums show, costs the parts
    from there on.

    Args:
        folder: Holds the parts and nothing else; made when there is one.
        settings: All that decides the results; plain values for JSON.
        pack: Turns results into arrays without Python objects.
        unpack: Turns these arrays into the results.
        tell: Takes messages for the user.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        pack: Callable[[Sequence[Result]], dict[str, np.ndarray]],
        unpack: Callable[[Mapping[str, np.ndarray]], list[Result]],
        tell: Callable[[str], None] = print,
    ) -> None:
        self.folder = folder
        self.settings = dict(settings)
        self.results: list[Result] = []
        """Of the first items."""
        self.seconds = 0.0
        """How long it took to make them."""
        self._pack = pack
        self._parts = 0
        self._read(unpack, tell)
        self._before, self._began = self.seconds, time.monotonic()
        self._written, self._kept = self._began, len(self.results)

    def add(self, result: Result) -> None:
        """Takes the result of the next item; writes a part every now and then."""
        self.results.append(result)
        now = time.monotonic()
        self.seconds = self._before + now - self._began
        if now >= self._written + SECONDS:
            self.write()

    def write(self) -> None:
        """Writes the results that no part holds yet."""
        if self._kept == len(self.results):
            return
        about = {"settings": self.settings, "seconds": self.seconds}
        arrays: dict[str, Any] = self._pack(self.results[self._kept :])
        arrays["about"] = np.array(json.dumps(about))
        replace_file(self._path(), lambda path: np.savez(path, **arrays))
        self._parts += 1
        self._kept, self._written = len(self.results), time.monotonic()

    def remove(self) -> None:
        """Removes the folder, once the run has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self) -> Path:
        return self.folder / f"part-{self._parts:06d}.npz"

    def _read(
        self,
        unpack: Callable[[Mapping[str, np.ndarray]], list[Result]],
        tell: Callable[[str], None],
    ) -> None:
        while (path := self._path()).exists():
            try:
                # NumPy 2.4 leaves a damaged file open; Windows then cannot remove it.
                with path.open("rb") as stream:
                    file = np.load(stream, allow_pickle=False)
                    arrays = {name: file[name] for name in file.files}
                about = json.loads(str(arrays.pop("about")))
                settings, seconds = about["settings"], float(about["seconds"])
                results = unpack(arrays)
            except Exception as error:  # A damaged archive has a dozen ways to fail.
                tell(f"{path}: damaged ({error}); the run resumes before it.")
                break
            if settings_differ(self.folder, settings, self.settings, tell):
                break
            self.results += results
            self.seconds = seconds
            self._parts += 1
        for path in self.folder.glob("part-*.npz"):  # Of no use.
            if path.name >= self._path().name:
                path.unlink()


def settings_differ(
    folder: Path,
    begun: Mapping[str, Any],
    now: Mapping[str, Any],
    tell: Callable[[str], None],
) -> bool:
    """Returns whether partial results were made with other settings; says which.

    Args:
        folder: For the message.
        begun: All that decided the results when they were begun.
        now: The same of today.
        tell: Takes the message for the user.
    """
    names = sorted({*begun, *now})
    changed = [name for name in names if begun.get(name) != now.get(name)]
    if changed:
        tell(f"{folder}: begun with another {', '.join(changed)}; starts afresh.")
    return bool(changed)


def code_fingerprint(folder: Path = PACKAGE) -> str:
    """Returns a hash of all Python files in a folder; the version may be the same."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
