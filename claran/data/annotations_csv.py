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
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from claran.data.annotations import (
    Annotations,
    FieldLabels,
    LabelledObject,
    Report,
    gather,
)
from claran.errors import ImageError

__all__ = ["read_csv"]

BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
SPLITS = ("train", "validation", "test")
FLAGS = {
    "": False, "0": False, "0.0": False, "false": False, "no": False,
    "1": True, "1.0": True, "true": True, "yes": True,
}  # fmt: skip


def read_csv(
    path: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Annotations:
    """Returns the labels of a table; see the top of this module for its columns.

    An invalid line is left out and reported as "malformed". If the lines of a field
    have several splits, the field is in the last of train, validation and test, and is
    reported as "conflicting".

    Args:
        path: The table, in UTF-8.
        classes: Names of the classes; see `claran.data.annotations.gather`.

    Raises:
        ImageError: The file cannot be read, lacks a column, or has no valid line.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageError(f"{path}: cannot be read as a table ({error}).") from None
    _check_columns(path, columns)
    report = Report()
    objects: dict[str, list[LabelledObject]] = {}
    first: dict[str, dict[str, str]] = {}
    splits: dict[str, set[str]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            name, entry, split = _read_row(row)
        except ValueError as error:
            report.add("malformed", f"{path.name}, line {number}: {error}")
            continue
        first.setdefault(name, row)
        objects.setdefault(name, []).extend([entry] if entry else [])
        splits.setdefault(name, set()).add(split)
    if not objects:
        raise ImageError(f"{path}: has no valid line; {report}.")
    fields = [
        FieldLabels(
            name=name,
            objects=tuple(entries),
            y_up=True,
            image=(first[name].get("image") or "").strip(),
            infrared=(first[name].get("infrared") or "").strip(),
            split=_one_split(name, splits[name], report),
        )
        for name, entries in objects.items()
    ]
    return gather(fields, classes, report)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in BOX if name not in columns]
    if not {"first_id", "name"} & set(columns):
        missing.insert(0, "first_id")
    if "cls" not in columns and not {"num_cpnts", "num_peaks"} <= set(columns):
        missing.append("cls")
    if missing:
        raise ImageError(
            f"{path}: lacks the column(s) {', '.join(missing)}; has "
            f"{', '.join(columns) or 'none'}."
        )


def _read_row(row: dict[str, str]) -> tuple[str, LabelledObject | None, str]:
    """Returns the field's name, its source if the line has one, and the split."""
    # DictReader gives None if a line is short, and the key None if it is long.
    if None in row or None in row.values():
        raise ValueError("has more or fewer columns than the first line")
    row = {key: value.strip() for key, value in row.items()}
    name = row.get("first_id") or row.get("name")
    if not name:
        raise ValueError("has no name of a field")
    split = _split(row)
    if not any(row[key] for key in BOX) and not row.get("cls"):
        return name, None, split
    components, peaks = _count(row, "num_cpnts"), _count(row, "num_peaks")
    code = row.get("cls") or f"{components}_{peaks}"
    if code == "0_0" and not row.get("cls"):
        raise ValueError("has no class")
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
    x0, y0, x1, y1 = box = [_number(row, key) for key in BOX]
    if not (-np.inf < x0 < x1 < np.inf and -np.inf < y0 < y1 < np.inf):
        raise ValueError(f"its box must satisfy x0 < x1 and y0 < y1, got {box}")
    return np.array(box, np.float32)


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
    text = row.get(key, "").lower()
    if text not in FLAGS:
        raise ValueError(f"{key} must be 1 or 0, got {text!r}")
    return FLAGS[text]


def _positions(row: dict[str, str]) -> Float64[np.ndarray, "c 2"]:
    axes = [_degrees(row, key) for key in ("peak_ras", "peak_decs")]
    if len(axes[0]) != len(axes[1]):
        raise ValueError("peak_ras and peak_decs differ in length")
    if any(abs(dec) > 90 for dec in axes[1]):
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
    # Surveys have -99 or -999 if there is none.
    return host if np.isfinite(host).all() and abs(host[1]) <= 90 else None


def _split(row: dict[str, str]) -> str:
    if split := row.get("split", ""):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        return split
    training = row.get("training", "")
    if training not in ("", "0", "1"):
        raise ValueError(f"training must be 1 or 0, got {training!r}")
    return {"": "", "0": "test", "1": "train"}[training]


def _one_split(name: str, splits: set[str], report: Report) -> str:
    if len(splits) > 1:
        report.add("conflicting", f"{name}: is in {', '.join(sorted(splits))}")
    return max(splits, key=("", *SPLITS).index)
