"""Labels of fields, independent of the format of their file, and their problems.

The formats are read in `annotations_csv` (a table), `annotations_coco` (COCO JSON) and
`annotations_voc` (PASCAL VOC XML).
"""

import collections
import dataclasses
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from claran.io.text_files import CONTROLS, brief
from claran.labels import RGZ_CLASSES

__all__ = [
    "LARGEST_EDGE",
    "NOT_GIVEN",
    "Annotations",
    "FieldLabels",
    "LabelledObject",
    "Report",
    "gather",
    "read_box",
    "read_flag",
    "read_name",
]

NOT_GIVEN = {"", "none", "null", "nan", "n/a", "na", "unspecified", "unknown", "-"}
"""What tools write for an empty cell, in lower case."""

# Words for a flag; tools write what their language prints.
FALSE = {"false", "no", "n", "f", "off"}
TRUE = {"true", "yes", "y", "t", "on"}

LARGEST_EDGE = 1e7
"""Pixels from the origin; beyond 2**24 a float32 cannot count them."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledObject:
    """A labelled radio source; positions in the frame of its `FieldLabels`.

    Attributes:
        box: `(x0, y0, x1, y1)`, edges in pixels.
        code: Class, as in the file.
        consensus: Fraction of volunteers who agree, 0 to 1; NaN if unknown.
        components: Number of islands of emission; 0 if unknown.
        peaks: Number of brightness peaks; 0 if unknown.
        component_sky: Right ascension and declination of each component's brightest
            peak, degrees.
        host_sky: Right ascension and declination of the host galaxy, degrees; None if
            unknown.
        host: Position of the host galaxy, `(x, y)` in pixels; None if unknown.
        polygons: Polygons `(p, 2)` about the emission, pixels; none if unknown.
        ignore: Whether the source is ignored: it is neither a source to find nor
            background. VOC's "difficult", COCO's "iscrowd", sources of other classes.
    """

    box: Float32[np.ndarray, "4"]
    code: str
    consensus: float = float("nan")
    components: int = 0
    peaks: int = 0
    component_sky: Float64[np.ndarray, "c 2"] = dataclasses.field(
        default_factory=lambda: np.empty((0, 2))
    )
    host_sky: tuple[float, float] | None = None
    host: tuple[float, float] | None = None
    polygons: tuple[Float64[np.ndarray, "_ 2"], ...] = ()
    ignore: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldLabels:
    """The labels of a field.

    Boxes are edges in pixels, pixel `i` covers `[i, i + 1]` (see `claran.ops.boxes`),
    in the frame of the file: the FITS array with row 0 lowest if `y_up`, else a picture
    with row 0 on top.

    Attributes:
        name: Unique name of the field.
        objects: The sources; may be empty.
        y_up: Whether y is up.
        image: File name of the image, or of the radio image, in the labels; "" if not
            given.
        infrared: File name of the infrared image in the labels; "" if not given.
        split: "train", "validation" or "test"; "" if not given.
        shape: `(height, width)` of the image in the labels; None if not given.
    """

    name: str
    objects: tuple[LabelledObject, ...]
    y_up: bool
    image: str = ""
    infrared: str = ""
    split: str = ""
    shape: tuple[int, int] | None = None

    @property
    def boxes(self) -> Float32[np.ndarray, "n 4"]:
        """The objects' boxes."""
        return np.array([o.box for o in self.objects], np.float32).reshape(-1, 4)

    @property
    def codes(self) -> tuple[str, ...]:
        """The objects' classes."""
        return tuple(o.code for o in self.objects)


class Report:
    """Counts the problems of a data set by kind, and keeps some of the messages.

    Args:
        keep: Number of messages to keep of each kind.

    >>> report = Report()
    >>> report.add("malformed", "table.csv, line 7: no box")
    >>> print(report)
    1 malformed (table.csv, line 7: no box)
    """

    def __init__(self, keep: int = 5):
        self.counts: collections.Counter[str] = collections.Counter()
        self.messages: dict[str, list[str]] = {}
        self._keep = keep

    def add(self, kind: str, message: str) -> None:
        """Adds a problem.

        Args:
            kind: Kind of the problem, such as "malformed".
            message: Description; the first few of each kind are kept. It may quote a
                file: characters that a terminal would obey or refuse become "?".
        """
        self.counts[kind] += 1
        kept = self.messages.setdefault(kind, [])
        if len(kept) < self._keep:
            kept.append(brief(message))

    def merge(self, other: "Report") -> None:
        """Adds the problems of another report."""
        for kind, messages in other.messages.items():
            room = self._keep - len(self.messages.setdefault(kind, []))
            self.messages[kind] += messages[: max(room, 0)]
        self.counts.update(other.counts)

    def __repr__(self) -> str:
        return f"<Report: {dict(self.counts)}>"

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Returns counts and messages by kind, for JSON."""
        return {
            kind: {"count": count, "first": self.messages[kind]}
            for kind, count in sorted(self.counts.items())
        }

    def __str__(self) -> str:
        if not self.counts:
            return "no problems"
        parts = []
        for kind, count in sorted(self.counts.items()):
            kept = self.messages[kind]
            more = "; ..." if count > len(kept) else ""
            parts.append(f"{count} {kind} ({'; '.join(kept)}{more})")
        return "\n".join(parts)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Annotations:
    """All labels of a data set.

    Attributes:
        classes: Names of the classes, without background.
        fields: The labels of each field.
        report: Problems, which are not in `fields`.
    """

    classes: tuple[str, ...]
    fields: tuple[FieldLabels, ...]
    report: Report


def read_flag(value: Any) -> bool | None:
    """Returns what a flag of labels means; None if that is not clear.

    >>> [read_flag(value) for value in (0, "0.0", "False", "no", "Unspecified", "")]
    [False, False, False, False, False, False]
    >>> [read_flag(value) for value in (1, "TRUE", "yes", "maybe", 7)]
    [True, True, True, None, None]
    """
    if not isinstance(value, str | int | float | None):
        return None
    word = "" if value is None else str(value).strip().lower()
    if word in NOT_GIVEN | FALSE:
        return False
    if word in TRUE:
        return True
    try:
        return {0.0: False, 1.0: True}.get(float(word))
    except ValueError:
        return None


def read_name(value: Any, what: str) -> str:
    """Returns a name of a field, a class or a file, without spaces around it.

    Args:
        value: Text, or a whole number.
        what: What it names, for the message.

    Raises:
        ValueError: It is something else, is empty, or has control characters.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{what} must be text, got {reprlib.repr(value)}")
    name = str(value).strip()
    if not name or CONTROLS.search(name):
        raise ValueError(f"{what} is empty or has control characters: {name!r}")
    return name


def read_box(edges: Sequence[float]) -> Float32[np.ndarray, "4"]:
    """Returns `(x0, y0, x1, y1)` as an array.

    Raises:
        ValueError: The edges are in another order, equal, or not finite.
    """
    with np.errstate(over="ignore"):
        box = np.array(edges, np.float32)
    # Written so that a NaN fails.
    if not (box[:2] < box[2:]).all():
        raise ValueError(
            f"its box must satisfy x0 < x1 and y0 < y1, got {[*map(float, edges)]}"
        )
    if not (np.abs(box) <= LARGEST_EDGE).all():
        raise ValueError(
            f"its box must be within {LARGEST_EDGE:,.0f} pixels, got "
            f"{[*map(float, edges)]}"
        )
    return box


def gather(
    fields: Iterable[FieldLabels], classes: Sequence[str] | None, report: Report
) -> Annotations:
    """Returns the fields with each box once, and the classes.

    The second of two equal boxes in a field is dropped, and reported as "duplicated",
    or as "conflicting" if its class differs. An object of a class that is not in
    `classes` is reported as "unknown class" and ignored: it is a source, so that it
    must not be learned as background.

    Args:
        fields: The fields, as read.
        classes: Names of the classes; None for the six of Radio Galaxy Zoo if there are
            no others, else for all that occur, sorted.
        report: Receives the problems.
    """
    unique = [_without_duplicates(field, report) for field in fields]
    if classes is None:
        found = {o.code for field in unique for o in field.objects if not o.ignore}
        classes = RGZ_CLASSES if found <= set(RGZ_CLASSES) else sorted(found)
    known = [_without_unknown(field, set(classes), report) for field in unique]
    return Annotations(classes=tuple(classes), fields=tuple(known), report=report)


def _without_duplicates(field: FieldLabels, report: Report) -> FieldLabels:
    first: dict[tuple[float, ...], LabelledObject] = {}
    for entry in field.objects:
        kept = first.setdefault(tuple(entry.box.tolist()), entry)
        if kept is entry:
            continue
        kind = "duplicated" if kept.code == entry.code else "conflicting"
        report.add(
            kind,
            f"{field.name}: box {entry.box.tolist()} is {kept.code} and {entry.code}",
        )
    return dataclasses.replace(field, objects=tuple(first.values()))


def _without_unknown(
    field: FieldLabels, classes: set[str], report: Report
) -> FieldLabels:
    objects = []
    for entry in field.objects:
        if entry.code not in classes and not entry.ignore:
            report.add("unknown class", f"{field.name}: {entry.code!r}")
            objects.append(dataclasses.replace(entry, ignore=True))
        else:
            objects.append(entry)
    return dataclasses.replace(field, objects=tuple(objects))
