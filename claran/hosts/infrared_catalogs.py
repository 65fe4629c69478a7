"""Candidates from tables: AllWISE, CatWISE2020, unWISE, Legacy Surveys and others."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import Angle
from astropy.table import Table
from astropy.table.meta import get_header_from_yaml
from jaxtyping import Float

from claran.catalog.table_files import require_parquet
from claran.errors import ImageError, first_line
from claran.hosts.candidates import Candidates, occupied_area
from claran.io.paths import require_file
from claran.io.silencing import without_warnings

__all__ = ["catalog_candidates", "read_candidates"]

# Lower-case names of columns, the most telling first.
NAMES = {
    "ra": ("ra", "raj2000", "ra_icrs", "_raj2000", "ra_j2000", "alpha_j2000", "raj"),
    "dec": ("dec", "dej2000", "de_icrs", "_dej2000", "decj2000", "dec_j2000",
            "delta_j2000", "decl", "decj"),
    "magnitude": ("w1mpropm", "w1mpro_pm", "w1mpro", "w1mag", "w1_mag", "mag_w1", "w1",
                  "w1mag_vega", "magnitude", "mag"),
    "flux": ("flux_w1", "fw1", "wise_flux", "flux"),
    "error": ("sigra", "e_raj2000", "e_ra_icrs", "ra_error", "e_ra", "eemaj",
              "error_arcsec", "pos_error", "poserr", "error", "e_xposw1", "dx"),
    "error_dec": ("sigdec", "e_dej2000", "e_de_icrs", "dec_error", "e_dec", "eemin",
                  "e_yposw1", "dy"),
    "id": ("designation", "source_name", "allwise", "catwise2020", "name",
           "unwise_objid", "ls_id", "source_id", "objid", "id", "iauname", "object"),
}  # fmt: skip
UCDS = {
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "magnitude": "phot.mag;em.ir.3-4um",
    "error": "stat.error;pos.eq.ra",
    "error_dec": "stat.error;pos.eq.dec",
    "id": "meta.id;meta.main",
}
GIVEN = ("ra", "dec", "magnitude", "error", "id")
FORMATS = {
    ".parquet": "parquet", ".fits": "fits", ".fit": "fits", ".fits.gz": "fits",
    ".vot": "votable", ".xml": "votable", ".votable": "votable", ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
}  # fmt: skip
# W1; Explanatory Supplement to the WISE All-Sky Release, section IV.4.h, table 3.
AB_TO_VEGA = 2.699
# Of unWISE: at VizieR, and in its own files, with a value for each band.
VEGA_FLUXES = ("fw1", "flux")
UNWISE_ERRORS = ("e_xposw1", "e_yposw1", "dx", "dy")  # In pixels of its images.
UNWISE_PIXEL = 2.75  # Arcsec.
UNKNOWN_ERROR = 0.5  # Arcsec, where a table has no errors.
SMALLEST_ERROR = 0.05  # Arcsec: no infrared position is tied to radio frames better.


def read_candidates(
    path: str | os.PathLike, columns: Mapping[str, str] | None = None
) -> Candidates:
    """Returns the candidates in a table.

    Args:
        path: Parquet, FITS, VOTable, CSV or ECSV file.
        columns: Names of its columns by what they hold: `ra`, `dec`, `magnitude`,
            `error` and `id`. The others are found by name or UCD.

    Raises:
        ImageError: The file cannot be read, or has no positions.
    """
    path = Path(path)
    require_file(path)
    name = path.name.lower()
    ending = next((end for end in FORMATS if name.endswith(end)), None)
    if ending is None:
        known = ", ".join(FORMATS)
        raise ImageError(f"{path}: not a table by its ending; use one of {known}.")
    try:
        with without_warnings():
            table = _read(path, FORMATS[ending])
    except Exception as error:  # Each format has its own.
        raise ImageError(
            f"{path}: cannot be read as a table ({first_line(error)}); check the file."
        ) from error
    return catalog_candidates(table, str(path), columns)


def _read(path: Path, kind: str) -> Table:
    if kind != "parquet":
        return Table.read(path, format=kind)
    require_parquet(path)
    parquet = importlib.import_module("pyarrow.parquet")  # Slow, rarely needed.

    columns = parquet.read_table(path)
    table = Table({
        name: _stacked(columns[name].to_numpy(zero_copy_only=False))
        for name in columns.column_names
    })  # fmt: skip
    about = (columns.schema.metadata or {}).get(b"table_meta_yaml", b"").decode()
    if about:  # What Astropy knows of the columns.
        known: list[dict[str, str]] = get_header_from_yaml(about.split("\n"))[
            "datatype"
        ]
        for entry in known:
            if "unit" in entry and entry["name"] in table.colnames:
                column: Any = table[entry["name"]]
                column.unit = entry["unit"]
    return table


def _stacked(values: np.ndarray) -> np.ndarray:
    """Returns lists of one length, which Arrow gives as objects, as an array."""
    if values.dtype != object or not len(values):
        return values
    if not all(isinstance(one, np.ndarray) for one in values):
        return values
    return np.stack(list(values))


def catalog_candidates(
    table: Table,
    name: str,
    columns: Mapping[str, str] | None = None,
    area_deg2: float | None = None,
) -> Candidates:
    """Returns the candidates in a table; see `read_candidates`.

    Rows without a position are left out.

    Args:
        table: With columns of positions, in degrees unless they say otherwise.
        name: Of the table, for messages.
        columns: As for `read_candidates`.
        area_deg2: Searched area; from the positions if None.

    Raises:
        ImageError: It has no positions.
    """
    found = _find(table, name, dict(columns or {}))
    try:
        ra, dec = _angle(table[found["ra"]], hours=True), _angle(table[found["dec"]])
        magnitude, notes = _magnitudes(table, found, columns or {})
        errors = _errors(table, found)
    except (ValueError, TypeError, units.UnitsError) as error:
        raise ImageError(
            f"{name}: its columns cannot be used ({first_line(error)}); name others "
            "as columns."
        ) from error
    ids = np.asarray(table[found["id"]] if "id" in found else np.arange(len(table)))
    good = np.isfinite(ra) & (np.abs(dec) <= 90)
    if not good.any() and (len(table) or area_deg2 is None):
        raise ImageError(f"{name}: no row has a position; check the table.")
    if lost := int((~good).sum()):
        notes += (f"{lost} rows without a position are left out",)
    if "error" not in found:
        notes += (f"no position errors: {UNKNOWN_ERROR} arcsec assumed",)
    ra, dec = ra[good] % 360, dec[good]
    return Candidates(
        ra=ra, dec=dec, error_arcsec=errors[good], magnitude=magnitude[good],
        ids=np.char.strip(ids[good].astype(str)), name=name, notes=notes,
        area_deg2=occupied_area(ra, dec) if area_deg2 is None else area_deg2,
    )  # fmt: skip


def _find(table: Table, name: str, given: dict[str, str]) -> dict[str, str]:
    """Returns the names of the columns by what they hold."""
    for key, column in given.items():
        if key not in GIVEN:
            raise ImageError(f"columns: no key {key}; use {', '.join(GIVEN)}.")
        if column not in table.colnames:
            has = ", ".join(table.colnames[:20])
            raise ImageError(f"{name}: has no column {column}; it has {has}.")
    lower = {column.lower(): column for column in reversed(table.colnames)}
    ucds = {_ucd(table[column]): column for column in reversed(table.colnames)}
    found = {}
    for key, names in NAMES.items():
        words = (word for word in names if word in lower)
        by_name = next((lower[w] for w in words if _usable(w, table, lower)), None)
        column = given.get(key) or by_name or ucds.get(UCDS.get(key, "-"))
        if column is not None:
            found[key] = column
    if "error" in given:
        found.pop("error_dec", None)
    for key in ("ra", "dec"):
        if key not in found:
            has = ", ".join(table.colnames[:20])
            raise ImageError(
                f"{name}: no column of {key} is known among {has}; name it in columns."
            )
    return found


def _usable(word: str, table: Table, lower: Mapping[str, str]) -> bool:
    """Returns whether a column is what its name says: `flux` or `dx` are so in unWISE.

    Its band-merged files have a value for each band there.
    """
    if word not in ("flux", "dx", "dy"):
        return True
    column: Any = table[lower[word]]
    return "unwise_objid" in lower and column.ndim == 2


def _ucd(column: Any) -> str:
    return str((column.info.meta or {}).get("ucd", "")).lower()


def _numbers(column: Any) -> Float[np.ndarray, "n"]:
    """Returns a column as numbers, with NaN where it is masked."""
    values = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    if values.ndim != 1:
        raise ValueError("a column has several values a row")
    return values


def _first_band(column: Any) -> Float[np.ndarray, "n"]:
    """Returns the values of W1 in a column that may have those of all bands."""
    values = np.ma.asarray(column)
    return _numbers(values[:, 0] if values.ndim == 2 else values)


def _angle(column: Any, *, hours: bool = False) -> Float[np.ndarray, "n"]:
    """Returns a column of degrees, hours or sexagesimal text in degrees."""
    if np.asarray(column).dtype.kind in "OSU":
        unit = units.hourangle if hours else units.deg
        texts = np.ma.filled(column.astype(str), "") if len(column) else []
        return np.array(
            [Angle(text, unit).deg if text.strip() else np.nan for text in texts]
        )
    name = str(column.unit or "deg")
    unit = units.hourangle if name in ("h", "hour", "hr") else units.Unit(name)
    return _numbers(column) * unit.to(units.deg)


def _magnitudes(
    table: Table, found: dict[str, str], given: Mapping[str, str]
) -> tuple[Float[np.ndarray, "n"], tuple[str, ...]]:
    """Returns W1 magnitudes, Vega, and notes on them."""
    lower = {column.lower(): column for column in table.colnames}
    if "magnitude" in found and ("magnitude" in given or "flux" not in found):
        values = _numbers(table[found["magnitude"]])
        if str(_unit(table, found["magnitude"])) in ("mag(AB)", "ABmag"):
            values = values - AB_TO_VEGA
    elif "flux" in found:
        flux = _first_band(table[found["flux"]])
        if (ivar := lower.get("flux_ivar_w1")) is not None:
            flux[~(_numbers(table[ivar]) > 0)] = np.nan
        flux[~(flux > 0)] = np.nan
        unit = _unit(table, found["flux"])
        if unit is not None and unit.is_equivalent(units.Jy):
            values = (flux * unit).to_value(units.ABmag) - AB_TO_VEGA
        else:
            vega = found["flux"].lower() in VEGA_FLUXES
            values = 22.5 - 2.5 * np.log10(flux) - (0 if vega else AB_TO_VEGA)
    else:
        return np.full(len(table), np.nan), ("no column of W1 magnitudes is known",)
    # Catalogs write 99 or -999 for a magnitude that was not measured.
    values[~((values > -10) & (values < 50))] = np.nan
    return values, ()


def _unit(table: Table, name: str) -> Any:
    """Returns the unit of a column; None without."""
    column: Any = table[name]
    return column.unit


def _errors(table: Table, found: dict[str, str]) -> Float[np.ndarray, "n"]:
    """Returns position errors in arcsec, one sigma for each axis."""
    lower = {column.lower(): column for column in table.colnames}
    if "error" in found:
        parts = [
            _error(found[key], table) for key in ("error", "error_dec") if key in found
        ]
    elif {"ra_ivar", "dec_ivar"} <= set(lower):  # Legacy Surveys, degrees^-2.
        ivar = [_numbers(table[lower[key]]) for key in ("ra_ivar", "dec_ivar")]
        found["error"] = lower["ra_ivar"]
        parts = [3600 / np.sqrt(np.where(i > 0, i, np.nan)) for i in ivar]
    else:
        return np.full(len(table), UNKNOWN_ERROR)
    error = np.sqrt(np.mean(np.square(parts), axis=0))
    known = np.isfinite(error) & (error > 0)
    return np.where(known, np.maximum(error, SMALLEST_ERROR), UNKNOWN_ERROR)


def _error(name: str, table: Table) -> Float[np.ndarray, "n"]:
    column: Any = table[name]
    if name.lower() in UNWISE_ERRORS:
        return _first_band(column) * UNWISE_PIXEL
    unit = units.Unit(str(column.unit or "arcsec"))
    return _numbers(column) * unit.to(units.arcsec)
