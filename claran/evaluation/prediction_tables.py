"""Reading of detections in a table or in COCO's JSON, whoever wrote it."""

import csv
import io
import math
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from astropy.io import votable
from astropy.table import Table
from astropy.table.meta import get_header_from_yaml

from claran.catalog.tables import plain_cell, table_format
from claran.detection.detections import ALTERNATIVE, PROBABILITY
from claran.errors import ImageError, first_line
from claran.evaluation.host_shares import HOST_COLUMNS
from claran.io.paths import from_ascii
from claran.io.text_files import brief, decode, read_json

__all__ = ["COLUMNS", "NUMBERS", "read_coco_results", "read_table"]

COLUMNS = ("image", "label", "score", "x0", "y0", "x1", "y1")
NUMBERS = (PROBABILITY, *HOST_COLUMNS)
"""Further columns of numbers that a table may have."""
FURTHER = (ALTERNATIVE, *NUMBERS)


def read_table(path: Path) -> Table:
    """Returns the columns `COLUMNS` of a table, and the `FURTHER` ones that it has.

    Astropy is given the content and never the name: it opens names that look like the
    address of a server.

    Raises:
        ImageError: The file cannot be read, or lacks a column.
    """
    try:
        astropy_format = table_format(path)
        if not os.path.isfile(path):
            raise FileNotFoundError("no such file")
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of small faults that do no harm.
            table = READERS[astropy_format](content)
        # Without coordinates.
        there = [name for name in (*COLUMNS, *FURTHER) if name in table.colnames]
        table = Table([table[name] for name in there], meta=table.meta)
    except Exception as error:  # Astropy's readers fail in many ways.
        reason = brief(first_line(error))
        raise ImageError(f"{path}: cannot be read as a table ({reason}).") from None
    if missing := [name for name in COLUMNS if name not in there]:
        raise ImageError(
            f"{path}: has no column {', '.join(missing)}; it needs "
            f"{', '.join(COLUMNS)}, as --mode=predict writes them."
        )
    return table


def read_coco_results(
    path: Path, names: Sequence[str], class_names: Sequence[str]
) -> Table:
    """Returns COCO's results as a table with the columns `COLUMNS`.

    Args:
        path: The JSON file.
        names: Names of the fields, which `image_id` counts from 1 or names.
        class_names: Names of the classes, which `category_id` counts from 1.

    Raises:
        ImageError: The file cannot be read, or is something else.
    """
    results = read_json(path)
    if not isinstance(results, list):
        raise ImageError(f"{path}: is not a list of COCO results.")
    rows = []
    for number, result in enumerate(results, start=1):
        try:
            x, y, width, height = (float(value) for value in result["bbox"])
            image = _name(result["image_id"], names)
            label = _name(result["category_id"], class_names)
            score = float(result["score"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ImageError(
                f"{path}: is not a list of COCO results (number {number}: "
                f"{type(error).__name__}: {brief(error)})."
            ) from None
        rows.append((image, label, score, x, y, x + width, y + height))
    columns = zip(*rows, strict=True) if rows else [[]] * len(COLUMNS)
    return Table(dict(zip(COLUMNS, map(list, columns), strict=True)))


def _name(number: Any, names: Sequence[str]) -> str:
    """Returns the name with a number from 1, "" if there is none, or a name as it is.

    >>> [_name(number, ["a", "b"]) for number in (2, "2", 2.0, 3, "b")]
    ['b', 'b', 'b', '', 'b']
    """
    if isinstance(number, str) and number in names:
        return number
    if isinstance(number, str) and not number.strip().isdecimal():
        return number
    whole = int(number)
    odd = isinstance(number, bool) or (isinstance(number, float) and whole != number)
    if odd or whole < 1:  # From 0, all others would be taken for their neighbors.
        raise ValueError(f"{number} is no number of an image or a class, from 1")
    return names[whole - 1] if whole <= len(names) else ""


def _read_csv(content: bytes) -> Table:
    """Returns the columns as text, as a name of digits is a name."""
    rows = csv.reader(io.StringIO(decode(content), newline=""))
    header = [name.strip() for name in next(rows, [])]
    wanted = (*COLUMNS, *FURTHER)
    numbers = (*COLUMNS[2:], *HOST_COLUMNS)
    places = {name: header.index(name) for name in wanted if name in header}
    found: dict[str, list[str]] = {name: [] for name in places}
    for row in rows:
        if len(row) != len(header):
            if not row:
                continue
            raise ValueError(f"line {rows.line_num} has not {len(header)} columns")
        for name, place in places.items():
            cell = plain_cell(row[place]).strip()
            found[name].append(cell or ("nan" if name in numbers else ""))
    return Table({name: column or [""][:0] for name, column in found.items()})


def _read_ecsv(content: bytes) -> Table:
    lines = [line.rstrip("\n") for line in io.StringIO(decode(content), newline=None)]
    return Table.read(lines, format="ascii.ecsv")


def _read_fits(content: bytes) -> Table:
    if not content.startswith(b"SIMPLE"):  # Something packed may be endless.
        raise ValueError("it is not FITS")
    table = Table.read(io.BytesIO(content), format="fits")
    table.convert_bytestring_to_unicode()
    for name in {"image", "label"} & set(table.colnames):
        texts = [from_ascii(str(one)) for one in table[name]]
        table[name] = np.array(texts, dtype=str)
    for name, value in table.meta.items():
        if isinstance(value, str):
            table.meta[name] = from_ascii(value)
    return table


def _read_votable(content: bytes) -> Table:
    _check_votable(content)
    file = votable.parse(io.BytesIO(content))
    table = Table.read(file, format="votable")
    infos = [info for resource in file.resources for info in resource.infos]
    table.meta |= {str(info.name): info.value for info in infos}
    return table


def _check_votable(content: bytes) -> None:
    """Checks what Astropy would fetch, expand or take memory for.

    Raises:
        ValueError: The table has its data elsewhere; it defines entities, which can
            make a short file endless; or it claims far more than the file can hold.
    """
    rows = claimed = values = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal rows, claimed, values
        name = name.rsplit(":", maxsplit=1)[-1].upper()
        if name == "STREAM" and "href" in attributes:
            raise ValueError(
                f"its data are elsewhere, at {attributes['href']}; give a table that "
                "contains them"
            )
        if name == "TR":
            rows += 1
        if name == "TABLE":
            claimed = max(claimed, int(attributes.get("nrows", "0") or 0))
        if name == "FIELD":
            sides = re.findall(r"\d+", attributes.get("arraysize", "1"))
            values += math.prod(map(int, sides))

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EntityDeclHandler = _refuse_entity
    parser.Parse(content, True)
    if max(rows, claimed) * values > 100 * len(content) + 1e6:
        raise ValueError(
            f"{max(rows, claimed):,} rows of {values:,} values are more than it holds"
        )


def _refuse_entity(name: str, *_: Any) -> None:
    raise ValueError(f"it defines the entity {name}; write the text itself")


def _read_parquet(content: bytes) -> Table:
    import pyarrow as pa  # noqa: PLC0415 - optional, large
    import pyarrow.parquet as pq  # noqa: PLC0415

    found = pq.read_table(pa.BufferReader(content))
    about = (found.schema.metadata or {}).get(b"table_meta_yaml", b"")
    header = get_header_from_yaml(about.decode().splitlines()) if about else {}
    columns = {name: found[name].to_numpy() for name in found.column_names}
    return Table(columns, meta=header.get("meta"))


READERS = {
    "ascii.csv": _read_csv,
    "ascii.ecsv": _read_ecsv,
    "fits": _read_fits,
    "parquet": _read_parquet,
    "votable": _read_votable,
}
