"""Detections as VOC text files, one per class, in the format of ClaRAN.

A line is `name score xmin ymin xmax ymax`, with three decimals for the score and one
for the box; y runs down. VOC counts pixels from one, and its boxes include the last
pixel: as edges they are `(xmin - 1, ymin - 1, xmax, ymax)`.
"""

import collections
import hashlib
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from claran.data.field_names import FieldNames
from claran.detection.detections import Detections
from claran.errors import ImageError
from claran.io.text_files import brief, decode

__all__ = ["file_names", "format_voc", "read_voc_detections"]

Row = tuple[float, float, float, float, float, int]  # Score, edges, class.

UNSAFE = re.compile(r"[^\w .()+,=@&#~-]|^[.~-]")
# Devices, which Windows opens whatever follows a point.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
LONGEST = 120  # Bytes; file systems take 255, and a part of it is for us.


def format_voc(
    names: Sequence[str], detections: Sequence[Detections], label: int
) -> str:
    """Returns the content of the file of one class.

    Args:
        names: Names of the fields.
        detections: Detections in each field, with y down.
        label: The class, from 1.
    """
    lines = []
    for name, found in zip(names, detections, strict=True):
        for i in np.flatnonzero(found.labels == label):
            x0, y0, x1, y1 = found.boxes[i]
            lines.append(
                f"{name} {found.scores[i]:.3f} "
                f"{x0 + 1:.1f} {y0 + 1:.1f} {x1:.1f} {y1:.1f}\n"
            )
    return "".join(lines)


def file_names(class_names: Sequence[str]) -> list[str]:
    """Returns the file of each class: `CLASS.txt` for ordinary names.

    Names of classes come from others' files. What could lead out of a folder, or be no
    file on some computer, is written as `%` and the number of the byte. No two classes
    have one file, also where files that differ only in capitals are one.

    >>> file_names(["1_1", "FR-I", "fr-i", "../x", "a/b", "con", ""])[:3]
    ['1_1.txt', 'FR-I.txt', 'fr-i%~2.txt']
    >>> file_names(["../x", "a/b", "con", ""])
    ['%2E.%2Fx.txt', 'a%2Fb.txt', '%63on.txt', '%.txt']
    """
    counts: collections.Counter[str] = collections.Counter()
    found = []
    for name in class_names:
        safe = _safe(name)
        alike = unicodedata.normalize("NFKC", safe).casefold()
        counts[alike] += 1
        again = f"%~{counts[alike]}" if counts[alike] > 1 else ""
        found.append(f"{safe}{again}.txt")
    return found


def _safe(name: str) -> str:
    safe = UNSAFE.sub(_escape, name) or "%"
    if RESERVED.match(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe.encode()) > LONGEST:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{safe[:20]}%-{digest[:32]}"
    return safe


def _escape(found: re.Match) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


def read_voc_detections(
    folder: Path, names: Sequence[str], class_names: Sequence[str]
) -> tuple[list[Detections], int]:
    """Returns the detections in each field of the files `CLASS.txt` of a folder.

    Args:
        folder: The folder.
        names: Names of the fields wanted.
        class_names: Names of the labels 1, 2 ... Some of the files may be missing.

    Returns:
        Detections in each field, with y down; and the number of those in other fields.

    Raises:
        ImageError: No class has a file, a line has another format, or no line is of a
            field wanted.
    """
    rows: dict[str | None, list[Row]] = {name: [] for name in (*names, None)}
    index = FieldNames(names)
    line = ""
    for label, path in _class_files(folder, class_names):
        try:
            lines = decode(path.read_bytes()).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ImageError(f"{path}: cannot be read as text ({error}).") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                name, row = _parse(line, label, f"{path}, line {number}")
                rows[index.find(name)].append(row)
    unknown = len(rows.pop(None))
    if unknown and not any(rows.values()):
        raise ImageError(
            f"{folder}: none of its {unknown:,} lines is of a field of the data. The "
            f"last is {brief(line)!r}, the first field {names[0]!r}; give the data of "
            "these detections, or another --split."
        )
    return [_detections(rows[name]) for name in names], unknown


def _class_files(
    folder: Path, class_names: Sequence[str]
) -> Iterator[tuple[int, Path]]:
    """Yields label and file of each class that has one."""
    # Names from the folder itself lead nowhere else.
    there = {path.name for path in folder.iterdir() if path.is_file()}
    ours = file_names(class_names)
    found = False
    for label, (name, own) in enumerate(zip(class_names, ours, strict=True), start=1):
        if file := {own, f"{name}.txt"} & there:
            found = True
            yield label, folder / (own if own in file else f"{name}.txt")
    if not found:
        raise ImageError(
            f"{folder}: has no {ours[0]} and no file of another class; give the folder "
            "that contains them."
        )


def _parse(line: str, label: int, place: str) -> tuple[str, Row]:
    name, *texts = line.rsplit(maxsplit=5) or [""]  # A name may have spaces.
    try:
        score, x0, y0, x1, y1 = (float(text) for text in texts)
        if not math.isfinite(score + x0 + y0 + x1 + y1):
            raise ValueError
    except ValueError:
        raise ImageError(
            f"{place}: must be name score xmin ymin xmax ymax, got {brief(line)!r}."
        ) from None
    return name, (score, x0 - 1, y0 - 1, x1, y1, label)


def _detections(rows: Sequence[Row]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        boxes=table[:, 1:5], labels=table[:, 5].astype(int), scores=table[:, 0]
    )
