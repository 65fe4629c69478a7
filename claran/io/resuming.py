"""What a long detection has found so far, kept beside its table: killed, it goes on."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from astropy.table import QTable

from claran.catalog.tables import stack_tables, write_table
from claran.io.atomic import replace_file

__all__ = ["UnfinishedTable", "code_fingerprint", "is_other"]

PACKAGE = Path(__file__).parents[1]
SECONDS = 30.0  # Between parts: as much as a kill costs.


class UnfinishedTable:
    """The table of the first files of a list, in parts; each is whole or not there.

    What was begun with anything else starts afresh, and damage costs the parts from
    there on.

    Args:
        folder: Holds the parts and nothing else; made when there is one.
        about: All that decides the table, the files included; plain values for JSON.
        tell: Takes messages for the user.
    """

    def __init__(
        self,
        folder: Path,
        about: Mapping[str, Any],
        *,
        tell: Callable[[str], None] = print,
    ) -> None:
        self.folder = folder
        self.about = dict(about)
        self.done = 0
        """Number of files, from the first, that are done."""
        self.notes: list[list[str]] = []
        """Kind and text of what is to be said of some of them."""
        self._tables: list[QTable] = []
        self._parts = 0  # Of these tables, that are written.
        self._read(tell)
        self._written = time.monotonic()

    def add(self, table: QTable | None, *notes: tuple[str, str]) -> None:
        """Takes what was found in the next file; writes it down every now and then.

        Args:
            table: Its detections; None if it could not be used.
            *notes: Kind and text of what is to be said of it.
        """
        self.done += 1
        self.notes += map(list, notes)
        if table is not None:
            self._tables.append(table)
        if time.monotonic() >= self._written + SECONDS:
            self._write()

    def table(self) -> QTable:
        """Returns the detections in all files that are done."""
        return stack_tables(self._tables)

    def said(self, kind: str) -> list[str]:
        """Returns the notes of a kind."""
        return [text for one, text in self.notes if one == kind]

    def remove(self) -> None:
        """Removes the folder, once the table is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        path = self.folder / f"part-{self._parts:06d}.json"
        table = stack_tables(self._tables[self._parts :])
        # In this order: a part is there when its second file is.
        write_table(table, path.with_suffix(".ecsv"))
        part = {"about": self.about, "done": self.done, "notes": self.notes}
        replace_file(path, lambda new: new.write_text(json.dumps(part), "utf-8"))
        # One table instead of many: they take more memory than what they hold.
        self._tables[self._parts :] = [table]
        self._parts += 1
        self._written = time.monotonic()

    def _read(self, tell: Callable[[str], None]) -> None:
        while (path := self.folder / f"part-{self._parts:06d}.json").exists():
            try:
                part = json.loads(path.read_text("utf-8"))
                about, done, notes = part["about"], part["done"], part["notes"]
                table = QTable.read(path.with_suffix(".ecsv"), format="ascii.ecsv")
            except Exception as error:  # A damaged file has a dozen ways to fail.
                tell(f"{path}: damaged ({error}); does without.")
                break
            if is_other(self.folder, about, self.about, tell):
                break
            self.done, self.notes = done, notes
            self._tables.append(table)
            self._parts += 1
        for path in self.folder.glob("part-*"):  # Of no use.
            if int(path.stem.removeprefix("part-")) >= self._parts:
                path.unlink()


def is_other(
    folder: Path,
    begun: Mapping[str, Any],
    now: Mapping[str, Any],
    tell: Callable[[str], None],
) -> bool:
    """Returns whether what a folder holds was begun with anything else; says what.

    Args:
        folder: For the message.
        begun: All that decided the result when it was begun.
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
