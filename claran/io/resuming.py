"""Partial results, so that an interrupted run can resume."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from claran.io.atomic import replace_file

__all__ = ["PartialResults", "code_fingerprint", "settings_differ"]

Result = TypeVar("Result")
PACKAGE = Path(__file__).parents[1]
SECONDS = 30.0  # Between parts; an interruption loses as much.


class PartialResults(Generic[Result]):
    """Results of the first items of a list, in a folder of NumPy's `.npz` files.

    Each file is written atomically and contains the settings. With other settings the
    run starts again. If a file is damaged, as its checksums show, this and the later
    files are not used.

    Args:
        folder: Folder of the files and nothing else; created with the first file.
        settings: All settings that the results depend on; values for JSON.
        pack: Converts results to arrays without Python objects.
        unpack: Converts these arrays to the results.
        tell: Receives messages for the user.
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
        """Results of the first items."""
        self.seconds = 0.0
        """Time it took to make them."""
        self._pack = pack
        self._parts = 0
        self._read(unpack, tell)
        self._before, self._began = self.seconds, time.monotonic()
        self._written, self._kept = self._began, len(self.results)

    def add(self, result: Result) -> None:
        """Adds the result of the next item; writes a file every 30 seconds."""
        self.results.append(result)
        now = time.monotonic()
        self.seconds = self._before + now - self._began
        if now >= self._written + SECONDS:
            self.write()

    def write(self) -> None:
        """Writes the results that are in no file yet."""
        if self._kept == len(self.results):
            return
        about = {"settings": self.settings, "seconds": self.seconds}
        arrays: dict[str, Any] = self._pack(self.results[self._kept :])
        arrays["about"] = np.array(json.dumps(about))
        replace_file(self._path(), lambda path: np.savez(path, **arrays))
        self._parts += 1
        self._kept, self._written = len(self.results), time.monotonic()

    def remove(self) -> None:
        """Removes the files, when the run has ended, and the folder if it is empty."""
        for path in self._files():
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _path(self) -> Path:
        return self.folder / f"part-{self._parts:06d}.npz"

    def _files(self) -> list[Path]:
        return list(self.folder.glob(f"part-{'[0-9]' * 6}.npz"))

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
            except Exception as error:  # A damaged archive fails in many ways.
                tell(f"{path}: damaged ({error}); resuming before it.")
                break
            if settings_differ(self.folder, settings, self.settings, tell):
                break
            self.results += results
            self.seconds = seconds
            self._parts += 1
        for path in self._files():  # Unusable.
            if path.name >= self._path().name:
                path.unlink()


def settings_differ(
    folder: Path,
    begun: Mapping[str, Any],
    now: Mapping[str, Any],
    tell: Callable[[str], None],
) -> bool:
    """Returns whether partial results were made with other settings; reports which.

    Args:
        folder: Folder of the results, for the message.
        begun: Settings of the partial results.
        now: Settings of this run.
        tell: Receives the message for the user.
    """
    names = sorted({*begun, *now})
    changed = [name for name in names if begun.get(name) != now.get(name)]
    if changed:
        tell(f"{folder}: made with another {', '.join(changed)}; starting again.")
    return bool(changed)


def code_fingerprint(folder: Path = PACKAGE) -> str:
    """Returns a hash of all Python files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
