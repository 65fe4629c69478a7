"""What an evaluation has found so far, kept in its folder: killed, it goes on."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from claran.evaluation.truth import FieldDetections, catalog
from claran.io.atomic import replace_file
from claran.io.resuming import is_other

__all__ = ["Unfinished"]

SECONDS = 30.0  # Between parts: as much as a kill costs.


class Unfinished:
    """Detections field by field, in parts that are files of NumPy's `.npz`.

    A part is whole or not there. Each says what it was found with and in; with anything
    else the evaluation starts afresh, and damage, which the format's checksums show,
    costs the parts from there on.

    Args:
        folder: Holds the parts and nothing else; made if need be.
        about: All that decides the detections; plain values for JSON.
        tell: Takes messages for the user.
    """

    def __init__(
        self,
        folder: Path,
        about: dict[str, Any],
        *,
        tell: Callable[[str], None] = print,
    ) -> None:
        self.folder = folder
        self.about = about
        self.tell = tell
        self.seconds = 0.0
        """How long it took to find what `read` and `keep` have returned."""

    def read(self) -> list[FieldDetections]:
        """Returns what was found in the first fields; removes what is of no use."""
        found: list[FieldDetections] = []
        paths = sorted(self.folder.glob("part-*.npz"))
        for i, path in enumerate(paths):
            try:
                part = _load(path)
                fields = _split(part)
                about = json.loads(str(part["about"]))
            except Exception as error:  # A damaged archive has a dozen ways to fail.
                self.tell(f"{path}: damaged ({error}); does without.")
                self._remove(paths[i:])
                break
            if is_other(self.folder, about, self.about, self.tell):
                self._remove(paths)
                return []
            if path != self._path(len(found)):  # The one before is lost.
                self._remove(paths[i:])
                break
            found += fields
            self.seconds = float(part["seconds"])
        return found

    def keep(
        self, found: Iterable[FieldDetections], *, start: int, batch_size: int
    ) -> Iterator[FieldDetections]:
        """Yields what is found, and writes it down every now and then.

        Args:
            found: In the fields from `start` on.
            start: Number of fields that `read` has returned.
            batch_size: A part holds whole batches of so many fields, but for the last:
                batches are the same then, however often the evaluation is killed.
        """
        waiting: list[FieldDetections] = []
        before, began = self.seconds, time.monotonic()
        written = began
        for one in found:
            waiting.append(one)
            now = time.monotonic()
            self.seconds = before + now - began
            if len(waiting) % batch_size == 0 and now >= written + SECONDS:
                self._write(start, waiting)
                start, waiting, written = start + len(waiting), [], now
            yield one
        if waiting:
            self._write(start, waiting)

    def remove(self) -> None:
        """Removes the folder, once the evaluation has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, start: int) -> Path:
        return self.folder / f"part-{start:09d}.npz"

    def _write(self, start: int, fields: Sequence[FieldDetections]) -> None:
        rows = catalog(fields)
        arrays: dict[str, Any] = {
            "about": np.array(json.dumps(self.about)),
            "seconds": np.array(self.seconds),
            "counts": np.array([len(one.labels) for one in fields]),
            "boxes": rows.boxes,
            "labels": rows.labels,
            "scores": rows.scores,
        }
        replace_file(self._path(start), lambda path: np.savez(path, **arrays))

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink()


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _split(part: dict[str, np.ndarray]) -> list[FieldDetections]:
    ends = np.cumsum(part["counts"])
    columns = [
        np.split(part[name], ends[:-1]) for name in ("boxes", "labels", "scores")
    ]
    return [
        FieldDetections(boxes=boxes, labels=labels, scores=scores)
        for boxes, labels, scores in zip(*columns, strict=True)
    ]
