"""Labels of a field, whatever the file they come from, and what was wrong with them.

The formats have their own modules: `annotations_csv` (a table), `annotations_coco`
(COCO JSON) and `annotations_voc` (PASCAL VOC XML).
"""

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from claran.labels import RGZ_CLASSES

__all__ = ["Annotations", "FieldLabels", "LabelledObject", "Report", "gather"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledObject:
    """One radio source of a field; positions in the frame of `FieldLabels`.

    Attributes:
        box: `(x0, y0, x1, y1)`, edges.
        code: Class, as the file spells it.
        consensus: Share of volunteers who agree, 0 to 1; NaN if unknown.
        components: Number of islands of emission; 0 if unknown.
        peaks: Number of brightness peaks; 0 if unknown.
        component_sky: Right ascension and declination of each component's brightest
            peak, degrees.
        host_sky: Right ascension and declination of the host galaxy, degrees.
        host: The host galaxy's pixel `(x, y)`.
        ignore: Neither to be learnt nor to be punished: VOC's "difficult", COCO's
            "iscrowd", sources outside the classes.
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
    ignore: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldLabels:
    """The labels of one image.

    Boxes are edges in pixels, pixel `i` covers `[i, i + 1]` (see
    `claran.ops.boxes`), in the frame of the file they come from: the FITS array with
    row 0 lowest if `y_up`, else a picture with row 0 on top.

    Attributes:
        name: Name of the field, the key of all that belongs to it.
        image: File name of the image, or of the radio image, as the labels give it; ""
            if they do not.
        infrared: File name of the infrared image, likewise.
        objects: The sources; none is a labelled field without a source.
        y_up: See above.
        split: "train", "validation" or "test"; "" if the labels do not say.
        shape: (height, width) of the image as the labels state it, or None.
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
    """Counts what was wrong with a data set, by kind, and keeps some of the messages.

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
        """Counts one more of a kind; the first few messages of each are kept."""
        self.counts[kind] += 1
        kept = self.messages.setdefault(kind, [])
        if len(kept) < self._keep:
            kept.append(message)

    def merge(self, other: "Report") -> None:
        """Adds all that another report holds."""
        for kind, messages in other.messages.items():
            room = self._keep - len(self.messages.setdefault(kind, []))
            self.messages[kind] += messages[: max(room, 0)]
        self.counts.update(other.counts)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Returns counts and messages by kind, ready for JSON."""
        return {
            kind: {"count": count, "first": self.messages[kind]}
            for kind, count in sorted(self.counts.items())
        }

    def __str__(self) -> str:
        if not self.counts:
            return "nothing wrong"
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
        classes: The class list; the background is not in it.
        fields: One entry for each image.
        report: What was wrong, and so is not in `fields`.
    """

    classes: tuple[str, ...]
    fields: tuple[FieldLabels, ...]
    report: Report


def gather(
    fields: Iterable[FieldLabels], classes: Sequence[str] | None, report: Report
) -> Annotations:
    """Returns the fields with every box once and every class in the list.

    Of two equal boxes in a field the first stays; the other is counted as
    "duplicated", or as "conflicting" if its class is another one. An object whose class
    is not in a given list is counted as "unknown class" and stays as one to ignore: it
    is a source, so that it must not be learnt as background.

    Args:
        fields: As read.
        classes: The class list; None for the six of Radio Galaxy Zoo if they are
            enough, else for all that occur, sorted.
        report: Gets what is wrong.
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
