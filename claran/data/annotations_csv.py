"""Labels in a table of comma-separated values, with one line for each source.

Columns, in any order; others are ignored:

| column | |
|---|---|
| `first_id` or `name` | name of the field; required |
| `box_x0, box_y0, box_x1, box_y1` | edges in pixels of the FITS array, row 0 lowest, \
the upper ones exclusive; required |
| `cls` | class; by default made of `num_cpnts` and `num_peaks`, such as "2_3" |
| `num_cpnts`, `num_peaks` | number of components and of peaks |
| `cl` or `consensus` | consensus level, 0 to 1 |
| `peak_ras`, `peak_decs` | brightest peak of each component, degrees, ";" between |
| `host_ra`, `host_dec` | host galaxy, degrees; empty or "nan" if unknown |
| `ignore` | 1 for a source that is neither a source to find nor background |
| `split` | "train", "validation" or "test" |
| `training` | 1 for train, 0 for test; used if there is no `split` |
| `image`, `infrared` | file names, if they differ from the name of the field |

A field without a source has one line with its name and nothing else.
"""

import csv
import math
import os
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Float32, Float64

from claran.data.annotations import (
    NOT_GIVEN,
    Annotations,
    FieldLabels,
    LabelledObject,
    Report,
    gather,
    read_box,
    read_flag,
    read_name,
)
from claran.errors import ImageError
from claran.io.text_files import encoding_of

__all__ = ["read_csv"]

BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
NAMES = ("first_id", "name", "cls")
COLUMNS = (
    *NAMES, *BOX, "num_cpnts", "num_peaks", "cl", "consensus",
    "peak_ras", "peak_decs", "host_ra", "host_dec", "ignore", "split", "training",
    "image", "infrared",
)  # fmt: skip
SPLITS = {
    "train": "train", "training": "train", "validation": "validation",
    "valid": "validation", "val": "validation", "test": "test",
}  # fmt: skip
DELIMITERS = ",;\t|"


def read_csv(
    path: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Annotations:
    """Returns the labels of a table; see the top of this module for its columns.

    An invalid line is left out and reported as "malformed". If the lines of a field
    have several splits, the field is in the last of train, validation and test, and is
    reported as "conflicting".

    Args:
        path: The table, in UTF-8, or with a byte order mark in UTF-16; with commas,
            semicolons or tabs between the columns.
        classes: Names of the classes; see `claran.data.annotations.gather`.

    Raises:
        ImageError: The file cannot be read, lacks a column, or has no valid line.
    """
    path = Path(path)
    report = Report()
    lines = 0
    objects: dict[str, list[LabelledObject]] = {}
    first: dict[str, dict[str, str]] = {}
    splits: dict[str, set[str]] = {}
    for place, row in _rows(path, report):
        lines += 1
        try:
            name, entry, split = _read_row(row)
        except ValueError as error:
            report.add("malformed", f"{path.name}, {place}: {error}")
            continue
        first.setdefault(name, row)
        objects.setdefault(name, []).extend([entry] if entry else [])
        splits.setdefault(name, set()).add(split)
    if not objects:
        what = f"no valid line; {report}" if lines or report.counts else (
            "no line after the names of the columns; write one for each source"
        )  # fmt: skip
        raise ImageError(f"{path}: has {what}.")
    fields = [
        FieldLabels(
            name=name,
            objects=tuple(entries),
            y_up=True,
            image=first[name].get("image", ""),
            infrared=first[name].get("infrared", ""),
            split=_one_split(name, splits[name], report),
        )
        for name, entries in objects.items()
    ]
    return gather(fields, classes, report)


def _rows(path: Path, report: Report) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields place and cells of each line; raises ImageError for the whole file."""
    try:
        with path.open("rb") as file:
            encoding = encoding_of(file.read(4))
        with path.open(newline="", encoding=encoding) as file:
            yield from _cells(path, file, report)
    except UnicodeDecodeError as error:
        raise ImageError(
            f"{path}: cannot be read as a table ({error}); save it as UTF-8."
        ) from None
    except (OSError, csv.Error) as error:
        raise ImageError(f"{path}: cannot be read as a table ({error}).") from None


def _cells(
    path: Path, file: TextIO, report: Report
) -> Iterator[tuple[str, dict[str, str]]]:
    header = file.readline()
    # The delimiter with which the names of the columns make sense, else the comma.
    columns, delimiter = _split_header(header, DELIMITERS[0]), DELIMITERS[0]
    for other in DELIMITERS:
        if not _missing(own := _split_header(header, other)):
            columns, delimiter = own, other
            break
    _check_columns(path, columns)
    reader = csv.reader(file, delimiter=delimiter)
    while True:
        start = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report.add("malformed", f"{path.name}, line {start}: {error}")
            continue
        end = reader.line_num + 1
        place = f"line {start}" if end == start else f"lines {start} to {end}"
        if len(cells) not in (0, len(columns)):
            what = "has more or fewer columns than the first line"
            # A quotation mark that nothing closes takes in all lines after it.
            what += "" if end == start else "; a quotation mark begins it"
            report.add("malformed", f"{path.name}, {place}: {what}")
        elif cells:
            cleaned = map(_clean, columns, cells)
            yield place, dict(zip(columns, cleaned, strict=True))


def _clean(column: str, cell: str) -> str:
    """Returns a cell without spaces around it, and without a word for nothing."""
    text = cell.strip()
    return "" if column not in NAMES and text.lower() in NOT_GIVEN else text


def _split_header(line: str, delimiter: str) -> list[str]:
    rows = list(csv.reader([line], delimiter=delimiter))
    return [name.strip() for name in rows[0]] if rows else []


def _missing(columns: Sequence[str]) -> list[str]:
    missing = [name for name in BOX if name not in columns]
    if not {"first_id", "name"} & set(columns):
        missing.insert(0, "first_id")
    if "cls" not in columns and not {"num_cpnts", "num_peaks"} <= set(columns):
        missing.append("cls")
    return missing


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if missing := _missing(columns):
        raise ImageError(
            f"{path}: lacks the column(s) {', '.join(missing)}; has "
            f"{reprlib.repr(', '.join(columns)) if columns else 'none'}."
        )
    if twice := [name for name in COLUMNS if list(columns).count(name) > 1]:
        raise ImageError(f"{path}: has the column {twice[0]} twice; leave one out.")


def _read_row(row: dict[str, str]) -> tuple[str, LabelledObject | None, str]:
    """Returns the field's name, its source if the line has one, and the split."""
    name = row.get("first_id") or row.get("name")
    if not name:
        raise ValueError("has no name of a field")
    name = read_name(name, "the name of the field")
    split = _split(row)
    if {row.get(key, "").lower() for key in (*BOX, "cls")} <= NOT_GIVEN:
        return name, None, split
    components, peaks = _count(row, "num_cpnts"), _count(row, "num_peaks")
    code = row.get("cls") or f"{components}_{peaks}"
    if code == "0_0" and not row.get("cls"):
        raise ValueError("has no class")
    code = read_name(code, "its class")
    entry = LabelledObject(
        box=_box(row),
        code=code,
        consensus=_number(row, "cl" if row.get("cl") else "consensus"),
        components=components,
        peaks=peaks,
        component_sky=_positions(row),
        host_sky=_host(row),
        ignore=_flag(row, "ignore"),
    )
    return name, entry, split


def _box(row: dict[str, str]) -> Float32[np.ndarray, "4"]:
    return read_box([_number(row, key) for key in BOX])


def _number(row: dict[str, str], key: str) -> float:
    text = row.get(key) or "nan"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{key} must be a number, got {text!r}") from None


def _count(row: dict[str, str], key: str) -> int:
    value = _number(row, key) if row.get(key) else 0.0
    if not (0 <= value < np.inf and value == int(value)):
        raise ValueError(f"{key} must be a whole number, got {row[key]!r}")
    return int(value)


def _flag(row: dict[str, str], key: str) -> bool:
    flag = read_flag(row.get(key))
    if flag is None:
        raise ValueError(f"{key} must be 1 or 0, got {row[key]!r}")
    return flag


def _positions(row: dict[str, str]) -> Float64[np.ndarray, "c 2"]:
    axes = [_degrees(row, key) for key in ("peak_ras", "peak_decs")]
    if len(axes[0]) != len(axes[1]):
        raise ValueError("peak_ras and peak_decs differ in length")
    if not all(abs(ra) <= 360 for ra in axes[0]):
        raise ValueError(f"peak_ras must be degrees from 0 to 360, got {axes[0]}")
    if not all(abs(dec) <= 90 for dec in axes[1]):
        raise ValueError(f"peak_decs must be degrees from -90 to 90, got {axes[1]}")
    return np.array(axes, np.float64).T.reshape(-1, 2)


def _degrees(row: dict[str, str], key: str) -> list[float]:
    text = row.get(key, "")
    try:
        return [float(part) for part in text.split(";") if part.strip()]
    except ValueError:
        raise ValueError(f"{key} must be numbers with ;, got {text!r}") from None


def _host(row: dict[str, str]) -> tuple[float, float] | None:
    host = _number(row, "host_ra"), _number(row, "host_dec")
    # Surveys have -99 or -999 if there is none. Others that are not on the sky are
    # reported where the image's WCS is known.
    unknown = any(math.isnan(value) or -1e5 < value <= -99 for value in host)
    return None if unknown else host


def _split(row: dict[str, str]) -> str:
    if split := row.get("split", ""):
        if split.lower() not in SPLITS:
            raise ValueError(
                f"split must be one of train, validation, test, got {split!r}"
            )
        return SPLITS[split.lower()]
    if not row.get("training"):
        return ""
    return "train" if _flag(row, "training") else "test"


def _one_split(name: str, splits: set[str], report: Report) -> str:
    if len(splits) > 1:
        report.add("conflicting", f"{name}: is in {', '.join(sorted(splits))}")
    return max(splits, key=("", "train", "validation", "test").index)
