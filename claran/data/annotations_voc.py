"""Labels in PASCAL VOC's XML, one file for each picture, y down.

VOC counts pixels from one, and its boxes include the last pixel: the edges are
`(xmin - 1, ymin - 1, xmax, ymax)`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from claran.data.annotations import (
    Annotations,
    FieldLabels,
    LabelledObject,
    Report,
    gather,
)
from claran.errors import ImageError

__all__ = ["parse_voc", "read_voc"]


def read_voc(
    folder: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Annotations:
    """Returns the labels of all `.xml` files in a folder.

    Args:
        folder: The folder.
        classes: Names of the classes; see `claran.data.annotations.gather`.

    Raises:
        ImageError: The folder is missing, or has no VOC file.
    """
    paths = sorted(Path(folder).glob("*.xml"))
    if not paths:
        raise ImageError(f"{folder}: no such folder, or no .xml file in it.")
    report = Report()
    fields = [parse_voc(path.read_bytes(), path.stem, report) for path in paths]
    usable = [field for field in fields if field is not None]
    if not usable:
        raise ImageError(f"{folder}: has no PASCAL VOC file; {report}.")
    return gather(usable, classes, report)


def parse_voc(content: bytes, name: str, report: Report) -> FieldLabels | None:
    """Returns the labels in an XML file; None if it is not a VOC file.

    Such a file, or an invalid object, is left out and reported as "malformed". A field
    without objects is kept and reported as "unlabelled".

    Args:
        content: Content of the file.
        name: Name of the field.
        report: Receives the problems.
    """
    try:
        root = ElementTree.fromstring(content)
    # The last two are for encodings that are unknown or not supported.
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        report.add("malformed", f"{name}.xml: not XML ({error})")
        return None
    if root.tag != "annotation":
        report.add("malformed", f"{name}.xml: <{root.tag}>, not <annotation>")
        return None
    objects = []
    nodes = root.findall("object")
    if not nodes:
        report.add("unlabelled", f"{name}.xml: has no <object>")
    for number, node in enumerate(nodes, start=1):
        try:
            objects.append(_read_object(node))
        except ValueError as error:
            report.add("malformed", f"{name}.xml, object {number}: {error}")
    return FieldLabels(
        name=name,
        objects=tuple(objects),
        y_up=False,
        image=(root.findtext("filename") or "").strip(),
        shape=_shape(root),
    )


def _read_object(node: ElementTree.Element) -> LabelledObject:
    x0, y0, x1, y1 = (
        _number(node, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")
    )
    # A box of one pixel has xmin == xmax.
    if not (0 < x0 <= x1 < np.inf and 0 < y0 <= y1 < np.inf):
        raise ValueError(
            "its box must satisfy 0 < xmin <= xmax and 0 < ymin <= ymax, got "
            f"{[x0, y0, x1, y1]}"
        )
    # The original converts names to lower case, but its own have no letters.
    code = (node.findtext("name") or "").strip()
    if not code:
        raise ValueError("has no name")
    return LabelledObject(
        box=np.array([x0 - 1, y0 - 1, x1, y1], np.float32),
        code=code,
        ignore=(node.findtext("difficult") or "0").strip() not in ("", "0"),
    )


def _number(node: ElementTree.Element, path: str) -> float:
    text = (node.findtext(path) or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"<{path}> must be a number, got {text!r}") from None


def _shape(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        height, width = (_number(root, f"size/{key}") for key in ("height", "width"))
    except ValueError:
        return None
    if not (0 < height < np.inf and 0 < width < np.inf):
        return None
    return int(height), int(width)
