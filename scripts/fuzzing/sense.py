"""What a good answer is: checks of tables, fields and errors."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from claran.detection.detections import Detections
from claran.fields.field import Field

__all__ = [
    "Case",
    "Nonsense",
    "check_detections",
    "check_field",
    "check_rows",
    "check_table",
    "names_its_cause",
]

LONGEST = 2000  # Characters of a message.
WHOLE_SKY = 360 * 3600.0  # Arcsec.


class Nonsense(Exception):  # noqa: N818 - as it is said
    """An answer that cannot be right."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """An input.

    Attributes:
        files: Content of each file, by its path in a folder.
        note: What was damaged, in words.
        how: What is done with it; see the modules of the kinds.
        arguments: Flags of a command line.
        refused: What must be in an error, as the input must not be accepted.
    """

    files: Mapping[str, bytes]
    note: str
    how: str = ""
    arguments: tuple[str, ...] = ()
    refused: str = ""


def check_table(table: QTable, fields: Mapping[str, Field]) -> None:
    """Checks every row of a table of detections.

    Args:
        table: The table.
        fields: Each field with a row, by its name.

    Raises:
        Nonsense: A row cannot be right.
    """
    scores = np.asarray(table["score"], float)
    edges = ("x0", "y0", "x1", "y1")
    boxes = np.stack([np.asarray(table[name], float) for name in edges], axis=1)
    sky = None
    if "center" in table.colnames:
        center: Any = table["center"]
        degrees = center.ra.deg, center.dec.deg
        columns: Any = table
        sizes = [columns[name].to_value("arcsec") for name in ("width", "height")]
        sky = np.stack([*degrees, *sizes], axis=1)
    names = np.array([str(name) for name in table["image"]], dtype=str)
    for name in sorted(set(names.tolist())):
        own = names == name
        if name not in fields:
            raise Nonsense(f"rows of {name!r}, which is no field")
        field = fields[name]
        check_rows(boxes[own], scores[own], field.shape)
        if field.wcs is None:
            if sky is not None and not np.isnan(sky[own]).all():
                raise Nonsense(f"positions without a WCS: {sky[own][0].tolist()}")
        elif sky is None:
            raise Nonsense("no positions, though there is a WCS")
        else:
            _check_sky(sky[own])


def check_rows(
    boxes: np.ndarray, scores: np.ndarray, shape: tuple[int, int] | None
) -> None:
    """Checks boxes, `(n, 4)`, and scores; `shape` is that of the field, if known."""
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise Nonsense("a box or score is not finite")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise Nonsense(f"a score of {scores.max()} or {scores.min()}")
    if not (boxes[:, :2] < boxes[:, 2:]).all():
        raise Nonsense("a box without width or height, or reversed")
    if shape is not None:
        ny, nx = shape
        inside = (boxes >= -1e-3) & (boxes <= np.array([nx, ny, nx, ny]) + 1e-3)
        if not inside.all():
            raise Nonsense(f"a box outside of {nx} x {ny} pixels: {boxes.tolist()[:2]}")


def _check_sky(rows: np.ndarray) -> None:
    """Checks right ascension, declination, width and height, `(n, 4)`."""
    if not np.isfinite(rows).all():
        raise Nonsense("a position or size on the sky is not finite")
    ra, dec, *sizes = rows.T
    if not ((ra >= 0) & (ra < 360) & (np.abs(dec) <= 90)).all():
        raise Nonsense("a position that is not on the sky")
    if not all(((size > 0) & (size <= WHOLE_SKY)).all() for size in sizes):
        raise Nonsense("a width or height that is not positive, or beyond the sky")


def check_field(field: Field, class_count: int) -> None:
    """Checks the labelled objects of a field.

    Raises:
        Nonsense: An object cannot be right.
    """
    objects = field.objects
    check_rows(objects.boxes, np.ones(len(objects)), field.shape)
    labels = objects.labels
    if not ((labels >= 0) & (labels <= class_count)).all():
        raise Nonsense(f"labels {labels.tolist()} of {class_count} classes")
    if not (objects.ignored | (labels > 0)).all():
        raise Nonsense("an object without a class that is not ignored")
    places = objects.component_positions
    if places is not None and not np.isfinite(places).all():
        raise Nonsense("the position of a component is not finite")
    if objects.host is not None and np.isinf(objects.host).any():
        raise Nonsense("the position of a host is infinite")
    if field.has_radio and not 0 < field.noise < np.inf:
        raise Nonsense(f"a noise of {field.noise}")


def check_detections(found: Detections) -> bool:
    """Returns whether all boxes are the right way around; checks that they are finite.

    Other tools may have boxes beyond the edge and scores of any range.
    """
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise Nonsense("a detection that is not finite was taken")
    return bool((found.boxes[:, :2] < found.boxes[:, 2:]).all())


def names_its_cause(message: str, folder: Path, case: Case) -> bool:
    """Returns whether a message names a file, a flag or an argument, and is short."""
    stems = {Path(name).name.split(".")[0] for name in case.files}
    named = {str(folder), "`", "--", *stems}
    return len(message) < LONGEST and any(name in message for name in named if name)
