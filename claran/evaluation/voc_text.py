"""Detections as VOC text files, one per class, in the format of ClaRAN.

A line is `name score xmin ymin xmax ymax`, with three decimals for the score and one
for the box; y runs down. VOC counts pixels from one, and its boxes include the last
pixel: as edges they are `(xmin - 1, ymin - 1, xmax, ymax)`.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from claran.detection.detections import Detections
from claran.errors import ImageError

__all__ = ["format_voc", "read_voc_detections"]

Row = tuple[float, float, float, float, float, int]  # Score, edges, class.


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


def read_voc_detections(
    folder: Path, names: Sequence[str], class_names: Sequence[str]
) -> list[Detections]:
    """Returns the detections in each field of the files `CLASS.txt` of a folder.

    Args:
        folder: The folder.
        names: Names of the fields wanted. Lines of other fields are skipped.
        class_names: Names of the labels 1, 2 ... Some of the files may be missing.

    Returns:
        Detections in each field, with y down.

    Raises:
        ImageError: No class has a file, or a line has another format.
    """
    rows: dict[str, list[Row]] = {name: [] for name in names}
    paths = [folder / f"{code}.txt" for code in class_names]
    if not any(path.is_file() for path in paths):
        raise ImageError(
            f"{folder}: has no {paths[0].name} and no file of another class; give the "
            "folder that contains them."
        )
    for label, path in enumerate(paths, start=1):
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        for number, line in enumerate(lines, start=1):
            name, row = _parse(line, label, f"{path}, line {number}")
            if name in rows:
                rows[name].append(row)
    return [_detections(rows[name]) for name in names]


def _parse(line: str, label: int, place: str) -> tuple[str, Row]:
    name, *texts = line.rsplit(maxsplit=5) or [""]  # A name may have spaces.
    try:
        score, x0, y0, x1, y1 = (float(text) for text in texts)
        if not math.isfinite(score + x0 + y0 + x1 + y1):
            raise ValueError
    except ValueError:
        raise ImageError(
            f"{place}: must be name score xmin ymin xmax ymax, got {line!r}."
        ) from None
    return name, (score, x0 - 1, y0 - 1, x1, y1, label)


def _detections(rows: Sequence[Row]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        boxes=table[:, 1:5], labels=table[:, 5].astype(int), scores=table[:, 0]
    )
