"""Tables as ECSV, FITS and Parquet files, with all that they say of themselves."""

import importlib.util
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.table.meta import get_yaml_from_table

from claran.catalog.votables import votable_header
from claran.io.paths import ESCAPED, readable, to_ascii

__all__ = ["require_parquet", "write_ecsv", "write_fits", "write_parquet"]

ROWS = 20_000  # At a time: as text, a million rows take 3 GB.
KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")


def write_ecsv(table: Table, path: Path) -> None:
    """Writes an ECSV file, some rows at a time.

    Args:
        table: A table.
        path: The file.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        for start in range(0, max(len(table), 1), ROWS):
            text = io.StringIO()
            part: Any = table[start : start + ROWS]
            part.write(text, format="ascii.ecsv")
            text.seek(0)
            if start:
                while text.readline().startswith("# "):
                    pass  # Up to the names of the columns.
            file.write(text.read())


def write_fits(table: Table, path: Path) -> None:
    """Writes a FITS table, with UCDs as TUCD and descriptions as TCOMM.

    Nested metadata are written as JSON.

    Args:
        table: A table of plain columns: with `ra` and `dec`, not `center`.
        path: The file.
    """
    plain = Table({name: _for_fits(table[name]) for name in table.colnames})
    hdu = fits.table_to_hdu(plain)
    for number, name in enumerate(table.colnames, start=1):
        column: Any = table[name]
        about = column.info
        if about.unit is not None:
            hdu.header[f"TUNIT{number}"] = about.unit.to_string("fits")
        if ucd := (about.meta or {}).get("ucd"):
            hdu.header[f"TUCD{number}"] = ucd
        if about.description:
            hdu.header[f"TCOMM{number}"] = to_ascii(about.description)
    for key, value in dict(table.meta or {}).items():
        name = key if KEYWORD.fullmatch(key) else f"HIERARCH {to_ascii(key)}"
        hdu.header[name] = _card(value)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def _for_fits(column: Any) -> Any:
    """Returns a column of what FITS can hold, without what it says of itself."""
    kind = getattr(column, "dtype", np.dtype(float)).kind
    if kind == "U":
        texts = np.char.encode(np.ma.getdata(column), "ascii", ESCAPED)
        return np.ma.array(texts, mask=np.ma.getmask(column))
    return column.data if isinstance(column, Table.Column) else column


def _card(value: Any) -> Any:
    """Returns metadata as the value of a FITS card."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return to_ascii(readable(text))


def require_parquet(path: Path) -> None:
    """Checks that Parquet files can be written.

    Args:
        path: The file to be written.

    Raises:
        ValueError: The package `pyarrow` is missing.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            f"{path}: Parquet files need the package pyarrow; install it with "
            "`python -m pip install pyarrow`, or choose .ecsv, .fits or .vot."
        )


def write_parquet(table: Table, path: Path) -> None:
    """Writes a Parquet file that Astropy, pandas and TOPCAT read.

    Units, UCDs and metadata are kept twice: as Astropy has them, and as a VOTable
    without rows, as the IVOA's note VOParquet 1.0 says.

    Args:
        table: See `write_fits`.
        path: The file.
    """
    import pyarrow as pa  # noqa: PLC0415 - optional, large
    import pyarrow.parquet as pq  # noqa: PLC0415

    about = {
        "table_meta_yaml": "\n".join(get_yaml_from_table(table)),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable_header(table),
    }
    # For Astropy, which makes texts of one length.
    columns: dict[str, Any] = dict(table.columns)
    for name, column in columns.items():
        if column.dtype.kind == "U":
            about[f"table::len::{name}"] = str(column.dtype.itemsize // 4)
    empty = [_arrow(column[:0]) for column in columns.values()]
    schema = pa.table(empty, names=table.colnames).schema.with_metadata(about)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(table), 5 * ROWS):
            part = slice(start, start + 5 * ROWS)
            arrays = [_arrow(column[part]) for column in columns.values()]
            writer.write_table(pa.table(arrays, schema=schema))


def _arrow(column: Any) -> Any:
    """Returns a column as Arrow has it; masked values are nulls."""
    import pyarrow as pa  # noqa: PLC0415

    values, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    if values.dtype.kind in "UO":
        texts = [str(one).encode("utf-8", ESCAPED).decode() for one in values]
        return pa.array(texts, pa.string(), mask=mask)
    return pa.array(np.ascontiguousarray(values), mask=mask if mask.any() else None)
