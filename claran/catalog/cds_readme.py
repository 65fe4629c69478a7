"""Catalogs in the form of the CDS: tables of fixed width and a ReadMe about them."""

import functools
import re
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from claran.catalog.tables import plain_table
from claran.io.atomic import replace_file
from claran.io.paths import readable, to_ascii

__all__ = ["write_cds"]

ROWS = 20_000  # At a time.
LABELS = {"ra": "RAdeg", "dec": "DEdeg"}  # As the CDS has them.
RULE = "-" * 80
DOUBLE_RULE = "=" * 80


def write_cds(
    tables: Mapping[str, Table],
    folder: Path,
    *,
    title: str,
    description: str = "",
    notes: Mapping[str, Mapping[str, str]] = types.MappingProxyType({}),
) -> None:
    """Writes tables as `NAME.dat` and a `ReadMe` that describes them byte by byte.

    `astropy.table.Table.read(NAME.dat, format="ascii.cds", readme=ReadMe)` reads them.
    https://cds.unistra.fr/doc/catstd.htx

    Args:
        tables: Each table of `claran.catalog.columns.finish_table`, by its name.
        folder: Folder of the files.
        title: Title of the catalog.
        description: What it is and how it was made; paragraphs by empty lines.
        notes: Further explanations of columns, by the names of table and column.

    Raises:
        OSError: A file cannot be written.
    """
    summary = [f"{'ReadMe':<16}{80:>5}{'.':>10}   This file"]
    parts = []
    for name, table in tables.items():
        fields = _fields(plain_table(table))
        lines = _lines(fields, len(table))
        replace_file(folder / f"{name}.dat", functools.partial(_write, lines))
        length = max(fields[-1].end, 1) if fields else 1
        start = f"{name + '.dat':<16}{length:>5}{len(table):>10}"
        summary.append(f"{start}   The {name}")
        parts += _byte_by_byte(f"{name}.dat", fields, notes.get(name, {}))
    text = [*_head(title, description), "File Summary:", RULE]
    text += [f"{' FileName':<16}{'Lrecl':>5}{'Records':>10}   Explanations", RULE]
    text += [*summary, RULE, "", *parts, DOUBLE_RULE]
    replace_file(folder / "ReadMe", functools.partial(_write, text))


class _Field:
    """One column at fixed bytes."""

    def __init__(self, column: Any, start: int):
        about = column.info
        self.name = str(about.name)
        self.unit = "---" if about.unit is None else about.unit.to_string()
        self.unit = self.unit.replace(" ", "")
        self.meaning = about.description or about.name
        self.values = column
        self.kind, width, self.digits = _format(column)
        self.start, self.end = start, start + width - 1
        self.unknown = column.dtype.kind == "f" and not np.isfinite(column).all()

    @property
    def width(self) -> int:
        return self.end - self.start + 1

    @property
    def form(self) -> str:
        """The format as in Fortran."""
        decimals = "" if self.digits is None else f".{self.digits}"
        return f"{self.kind}{self.width}{decimals}"

    def texts(self, rows: slice) -> list[str]:
        """Returns some rows as text of this width."""
        values, width = self.values[rows], self.width
        if self.kind == "A":
            return [f"{_plain(one):<{width}}" for one in values.tolist()]
        code = {"I": "d", "E": f".{self.digits}E", "F": f".{self.digits}f"}[self.kind]
        texts = [f"{one:{width}{code}}" for one in values.tolist()]
        if self.unknown:
            for row in np.flatnonzero(~np.isfinite(values)):
                texts[row] = " " * width
        return texts


def _fields(table: Table) -> list[_Field]:
    fields, start = [], 1
    columns: Any = table.columns.values()
    for column in columns:
        fields.append(_Field(column, start))
        start = fields[-1].end + 2
    return fields


def _format(column: Any) -> tuple[str, int, int | None]:
    """Returns the letter of a format, its width and its decimals."""
    if column.dtype.kind not in "fiu":
        return "A", max([1, *(len(_plain(one)) for one in column.tolist())]), None
    known = column[np.isfinite(column)]
    ends = [float(known.min()), float(known.max())] if len(known) else [0.0]
    if column.dtype.kind in "iu":
        return "I", max(len(str(int(one))) for one in ends), None
    digits = str(column.info.format or ".6g")
    decimals = int(digits[1:-1])
    if digits[-1] == "g":
        sign = any(one < 0 for one in ends)
        return "E", sign + decimals + 5, decimals - 1
    return "F", max(len(f"{one:.{decimals}f}") for one in ends), decimals


def _plain(value: Any) -> str:
    return to_ascii(readable(str(value)))


def _lines(fields: Sequence[_Field], count: int) -> Iterator[str]:
    for start in range(0, count, ROWS):
        columns = [field.texts(slice(start, start + ROWS)) for field in fields]
        yield from map(" ".join, zip(*columns, strict=True))


def _write(lines: Sequence[str] | Iterator[str], path: Path) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _head(title: str, description: str) -> list[str]:
    title = _plain(title)
    lines = [*textwrap.wrap(title, 80), DOUBLE_RULE, *textwrap.wrap(title, 80)]
    lines += [DOUBLE_RULE, "Keywords: surveys - radio continuum: galaxies", ""]
    lines.append("Description:")
    for paragraph in description.split("\n\n"):
        lines += [f"    {line}" for line in textwrap.wrap(_plain(paragraph), 76)] + [""]
    return lines


def _byte_by_byte(
    file: str, fields: Sequence[_Field], notes: Mapping[str, str]
) -> list[str]:
    """Returns the description of a table, byte by byte."""
    width = max([len(LABELS.get(one.name, one.name)) for one in fields], default=5)
    lines = [f"Byte-by-byte Description of file: {file}", RULE]
    lines += [f"   Bytes Format Units   {'Label':<{width}} Explanations", RULE]
    named = [field.name for field in fields if field.name in notes]
    for field in fields:
        label = LABELS.get(field.name, field.name)
        begin = f"{field.start:>4}-" if field.width > 1 else "     "
        start = (
            f"{begin}{field.end:>4} {field.form:<6} {field.unit:<7} {label:<{width}} "
        )
        meaning = ("? " if field.unknown else "") + _plain(field.meaning)
        if field.name in named:
            meaning += f" ({named.index(field.name) + 1})"
        # No line begins with a number: readers take it for the bytes of a column.
        meaning = re.sub(r" (?=\d)", "\N{NO-BREAK SPACE}", meaning)
        wrapped = textwrap.wrap(meaning, max(80 - len(start), 30))
        first, *others = [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped]
        lines += [start + first, *(" " * len(start) + line for line in others)]
    lines.append(RULE)
    for number, name in enumerate(named, start=1):
        lines += textwrap.wrap(f"Note ({number}): {_plain(notes[name])}", 80)
    return [*lines, *([RULE] if named else []), ""]
