"""Labels in PASCAL VOC's XML, one file for each picture, y down.

VOC counts pixels from one, and its boxes include the last pixel: the edges are
`(xmin - 1, ymin - 1, xmax, ymax)`. Tools that count from zero cannot be told from
others but by a box that begins at 0. It is cut at the edge and reported as "counted
from 0".
"""

import dataclasses
import itertools
import os
import re
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
    read_box,
    read_flag,
    read_name,
)
from claran.data.field_names import distinct_names
from claran.data.image_files import path_in_folder
from claran.errors import ImageError
from claran.io.text_files import encoding_of, read_content

__all__ = ["parse_voc", "read_voc", "voc_paths"]

ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?\bencoding\s*=\s*["']([\w.:-]+)["']""")
WIDE = re.compile("utf.?16|utf.?32|ucs|iso-10646")
MYSQL = {"utf8mb4": "utf-8", "utf8mb3": "utf-8"}  # What it calls UTF-8.


def read_voc(
    folder: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Annotations:
    """Returns the labels of all `.xml` files in a folder and one level below it.

    The name of a field is that of its file, or more of the path where files in two
    folders share it.

    Args:
        folder: The folder.
        classes: Names of the classes; see `claran.data.annotations.gather`.

    Raises:
        ImageError: The folder is missing, or has no VOC file.
    """
    folder = Path(folder)
    paths = voc_paths(folder)
    if not paths:
        raise ImageError(f"{folder}: no such folder, or no .xml file in it.")
    report = Report()
    fields = []
    names = distinct_names([path.relative_to(folder).as_posix() for path in paths])
    for path, name in zip(paths, names, strict=True):
        try:
            read_name(name, "file name")
            field = parse_voc(read_content(path), name, report)
        except ValueError as error:
            report.add("malformed", str(error))
            continue
        if field is not None:
            # The picture in the folder of the file, or in one of that name.
            place = path_in_folder(field.image) if field.image else None
            below = path.parent.relative_to(folder)
            image = field.image if place is None else (below / place).as_posix()
            fields.append(dataclasses.replace(field, image=image))
    if not fields:
        raise ImageError(f"{folder}: has no PASCAL VOC file; {report}.")
    return gather(fields, classes, report)


def voc_paths(folder: Path) -> list[Path]:
    """Returns the `.xml` files in a folder and in the folders of this folder."""
    found = itertools.chain(folder.glob("*"), folder.glob("*/*"))
    return sorted(
        path
        for path in found
        # macOS leaves files "._*".
        if path.suffix.lower() == ".xml" and not path.name.startswith("._")
    )


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
        root = ElementTree.fromstring(_text(content))
    # The others are for encodings that are unknown, or not that of the file.
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
            objects.append(_read_object(node, f"{name}.xml, object {number}", report))
        except ValueError as error:
            report.add("malformed", f"{name}.xml, object {number}: {error}")
    return FieldLabels(
        name=name,
        objects=tuple(objects),
        y_up=False,
        image=(root.findtext("filename") or "").strip(),
        shape=_shape(root),
    )


def _text(content: bytes) -> str:
    """Returns the text of an XML file in any encoding that Python knows.

    Python's parser itself takes none with several bytes to a character but UTF-8 and
    UTF-16, and a declaration of the encoding in a text is passed over.

    Raises:
        ValueError: The file defines entities, which VOC does not need, and which can
            make a short file endless or read other files; or it is no text.
        LookupError: The encoding is unknown.
    """
    name = encoding_of(content)
    said = ENCODING.match(content) if name == "utf-8" else None
    # What is read byte by byte is not UTF-16, though tools of Windows say so.
    if said and not WIDE.match(own := said.group(1).decode("ascii").lower()):
        name = MYSQL.get(own, own)
    text = content.decode(name).lstrip()
    if "<!ENTITY" in text:
        raise ValueError("defines entities; write the text itself")
    return text


def _read_object(
    node: ElementTree.Element, place: str, report: Report
) -> LabelledObject:
    x0, y0, x1, y1 = edges = [
        _number(node, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")
    ]
    # A box of one pixel has xmin == xmax.
    if not (-np.inf < x0 <= x1 < np.inf and -np.inf < y0 <= y1 < np.inf):
        raise ValueError(
            f"its box must satisfy xmin <= xmax and ymin <= ymax, got {edges}"
        )
    if x1 < 0 or y1 < 0:
        raise ValueError(f"its box is outside of the picture, got {edges}")
    # The original converts names to lower case, but its own have no letters.
    code = (node.findtext("name") or "").strip()
    if not code:
        raise ValueError("has no name")
    low = np.maximum([x0 - 1, y0 - 1], 0)
    labelled = LabelledObject(
        box=read_box([*low, *np.maximum([x1, y1], 1)]),
        code=read_name(code, "name"),
        ignore=(ignore := read_flag(node.findtext("difficult"))) is not False,
    )
    if min(x0, y0) < 1:
        kind = "counted from 0" if min(x0, y0) >= 0 else "cut by the edge"
        report.add(kind, f"{place}: {edges} begins before pixel 1, and is cut there")
    if ignore is None:
        what = f"<difficult> is {node.findtext('difficult')!r}; it is ignored"
        report.add("unclear flag", f"{place}: {what}")
    return labelled


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
