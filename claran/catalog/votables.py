"""VOTables with UCDs and frames, as the Virtual Observatory reads them."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io.votable import tree
from astropy.table import Table

from claran.io.paths import ESCAPED, readable

__all__ = ["votable_header", "write_votable"]

FRAME = "icrs"
# VOTable's names of types, and how BINARY2 has them.
TYPES = {
    "i1": ("short", ">i2"), "i2": ("short", ">i2"), "i4": ("int", ">i4"),
    "i8": ("long", ">i8"), "u1": ("unsignedByte", "u1"), "u2": ("int", ">i4"),
    "u4": ("long", ">i8"), "f4": ("float", ">f4"), "f8": ("double", ">f8"),
}  # fmt: skip
POSITION = ("ra", "dec", "e_ra", "e_dec")
ROWS = 57 * 350  # At a time. A line of base64 has 57 bytes: all but the last are full.


def write_votable(table: Table, path: Path) -> None:
    """Writes a VOTable with BINARY2 data.

    Astropy takes 200 s to write a million sources, as it packs cell by cell.

    Args:
        table: A table of plain columns: with `ra` and `dec`, not `center`.
        path: The file.
    """
    start, end = votable_header(table).split("</TABLE>")
    with path.open("w", encoding="utf-8") as file:
        file.write(start.rstrip())
        file.write('\n   <DATA>\n    <BINARY2>\n     <STREAM encoding="base64">\n')
        for rows in _packed(table):
            file.write(base64.encodebytes(rows).decode())
        file.write("     </STREAM>\n    </BINARY2>\n   </DATA>\n  </TABLE>" + end)


def votable_header(table: Table) -> str:
    """Returns a VOTable without its rows.

    Metadata become INFO, nested ones as JSON, and a description to read.

    Args:
        table: See `write_votable`.
    """
    about = {name: _as_text(one) for name, one in dict(table.meta or {}).items()}
    file = tree.VOTableFile(version="1.4")
    resource = tree.Resource(type="results")
    file.resources.append(resource)
    element: Any = tree.TableElement(file, name="catalog")
    resource.tables.append(element)
    resource.infos.extend(
        tree.Info(ID=_identifier(name), name=name, value=value)
        for name, value in about.items()
    )
    if about:
        text = "; ".join(f"{name} = {value}" for name, value in about.items())
        element.description = text
    for name in table.colnames:
        element.add_field(_field(file, table[name], name))
    if {"ra", "dec"} <= set(table.colnames):
        _add_frame(resource, element, about.get("EPOCH"))
    buffer = io.BytesIO()
    file.to_xml(buffer)
    return buffer.getvalue().decode("utf-8")


def _as_text(value: Any) -> str:
    """Returns metadata as text, nested ones as JSON."""
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return readable(str(value))


def _identifier(name: str) -> str:
    """Returns a name as an identifier of XML.

    >>> _identifier("e_flux"), _identifier("2nd flux")
    ('e_flux', '_2nd_flux')
    """
    return re.sub(r"^(?=\d)|[^A-Za-z0-9_]", "_", name)


def _field(file: tree.VOTableFile, column: Any, name: str) -> Any:
    about = column.info
    kind, size = _type(column)[:2]
    attributes = {
        "arraysize": size, "ucd": (about.meta or {}).get("ucd"),
        "unit": about.unit and about.unit.to_string("vounit"),
        "precision": _precision(about.format),
    }  # fmt: skip
    given = {key: value for key, value in attributes.items() if value}
    field = tree.Field(file, ID=_identifier(name), name=name, datatype=kind, **given)
    field.description = about.description
    return field


def _precision(digits: Any) -> str | None:
    """Returns VOTable's form of a format such as ".6g".

    >>> _precision(".6g"), _precision(".3f"), _precision(None)
    ('E6', 'F3', None)
    """
    text = str(digits or "")
    kinds = {"f": "F", "g": "E"}
    return kinds[text[-1]] + text[1:-1] if text[-1:] in kinds else None


def _add_frame(resource: Any, element: Any, epoch: str | None) -> None:
    """Says in which frame the positions are, and which columns make one up."""
    frame: dict[str, Any] = {"epoch": epoch} if epoch else {}
    resource.coordinate_systems.append(tree.CooSys(ID=FRAME, system="ICRS", **frame))
    group = tree.Group(element, name="position", ref=FRAME, ucd="pos.eq")
    for field in element.fields:
        if field.name in POSITION:
            field.ref = FRAME
            group.entries.append(tree.FieldRef(element, ref=field.ID))
    element.groups.append(group)


def _type(column: Any) -> tuple[str, str | None, Any]:
    """Returns VOTable's name of a column's type, its size, and NumPy's type."""
    values = getattr(column, "dtype", np.dtype(object))
    if values.kind == "b":
        return "boolean", None, "S1"
    if values.kind == "O":  # Texts of very different lengths.
        values = np.array([str(one) for one in column], dtype=str).dtype
    if values.kind in "US":
        return _text_type(column, values)
    kind = f"{values.kind}{values.itemsize}"
    if kind not in TYPES or getattr(column, "ndim", 1) != 1:
        name = column.info.name
        raise TypeError(f"a VOTable here has no column like `{name}` ({values}).")
    return (*TYPES[kind][:1], None, TYPES[kind][1])


def _text_type(column: Any, values: np.dtype) -> tuple[str, str, Any]:
    size = max(
        values.itemsize // (4 if values.kind == "U" else 1), 2
    )  # 1 is deprecated.
    if all(str(one).isascii() for one in column):
        return "char", str(size), f"S{size}"
    bytes_ = max(4, *(len(str(one).encode("utf-16-be", ESCAPED)) for one in column))
    return "unicodeChar", str(bytes_ // 2), f"S{bytes_}"


def _packed(table: Table) -> Iterator[bytes]:
    """Yields the bytes of the rows: for each, bits of the nulls, then the cells."""
    types = [_type(table[name]) for name in table.colnames]
    layout = [("nulls", "u1", ((len(types) + 7) // 8,))]
    layout += [(f"c{i}", kind) for i, (_, _, kind) in enumerate(types)]
    for start in range(0, len(table), ROWS):
        part = table[start : start + ROWS]
        rows = np.zeros(len(part), layout)
        nulls = np.zeros((len(part), len(types)), bool)
        for number, name in enumerate(table.colnames):
            column: Any = part[name]
            nulls[:, number] = getattr(column, "mask", False)
            rows[f"c{number}"] = _cells(column, types[number][0])
        rows["nulls"] = np.packbits(nulls, axis=1)
        yield rows.tobytes()


def _cells(column: Any, kind: str) -> np.ndarray:
    """Returns values as BINARY2 has them."""
    values = np.ma.getdata(column)
    if kind == "boolean":
        return np.where(values, b"T", b"F")
    if kind == "char":
        return np.char.encode(np.asarray(values, dtype=str), "ascii")
    if kind == "unicodeChar":
        return np.char.encode(np.asarray(values, dtype=str), "utf-16-be", ESCAPED)
    return np.asarray(values)
