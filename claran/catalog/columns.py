"""What each column of a catalog is: unit, UCD, meaning and digits, in one place."""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from jaxtyping import Float

__all__ = [
    "COLUMNS",
    "ColumnDefinition",
    "Kind",
    "define_column",
    "describe",
    "finish_table",
]

Kind = Literal["sources", "components"]
"""The two tables of a catalog."""


@dataclasses.dataclass(frozen=True)
class ColumnDefinition:
    """One column of a catalog.

    Attributes:
        name: Its name.
        meaning: What it is, in a sentence.
        ucd: What it is in the words of the Virtual Observatory (UCD1+).
        unit: Its unit, "" for none.
        dtype: NumPy's type: `U` for text of any length.
        digits: Python's format of a value, to which numbers are rounded.
    """

    name: str
    meaning: str
    ucd: str
    unit: str = ""
    dtype: str = "f4"
    digits: str = ".6g"


_Row = ColumnDefinition

_FLUX = "phot.flux.density;em.radio"
_PEAK = "phot.flux.sb;stat.max;em.radio"
_RADIO = (
    _Row("snr", "peak_flux over rms", "stat.snr", digits=".2f"),
    _Row(
        "rms", "Noise of the image at this place", "instr.det.noise;em.radio",
        "Jy/beam", digits=".4g",
    ),
)  # fmt: skip
_PLACE = (
    _Row("ra", "Right ascension, ICRS", "pos.eq.ra;meta.main", "deg", "f8", ".7f"),
    _Row("dec", "Declination, ICRS", "pos.eq.dec;meta.main", "deg", "f8", ".7f"),
)
_PLACE_ERRORS = (
    _Row(
        "e_ra", "Error of the right ascension, as an angle on the sky",
        "stat.error;pos.eq.ra", "arcsec", digits=".4f",
    ),
    _Row(
        "e_dec", "Error of the declination", "stat.error;pos.eq.dec", "arcsec",
        digits=".4f",
    ),
)  # fmt: skip
_FLUXES = (
    _Row("flux", "Integrated flux density", f"{_FLUX};meta.main", "Jy"),
    _Row(
        "e_flux", "Error of flux", f"stat.error;{_FLUX}", "Jy", digits=".4g",
    ),
    _Row("peak_flux", "Peak brightness", _PEAK, "Jy/beam"),
    _Row(
        "e_peak_flux", "Error of peak_flux", "stat.error;phot.flux.sb;em.radio",
        "Jy/beam", digits=".4g",
    ),
)  # fmt: skip
_FLAGS = _Row(
    "flags", "Sum of bits, 0 if nothing is to be said", "meta.code.qual", "", "i4", "d"
)
_IMAGE = _Row("image", "Name of the image", "meta.id;obs.image", "", "U", "s")


def _host(number: str, which: str) -> tuple[ColumnDefinition, ...]:
    """Returns the columns of a candidate; `number` is such as "2_"."""
    of = f"of the {which} host among the candidates"
    return (
        _Row(f"host_{number}id", f"Name {of}", "meta.id.cross", "", "U", "s"),
        _Row(
            f"host_{number}probability", f"Probability {of}", "stat.probability",
            digits=".6f",
        ),
    )  # fmt: skip


_HOST = (
    _Row(
        "host_ra", "Right ascension of the most probable host, ICRS", "pos.eq.ra",
        "deg", "f8", ".7f",
    ),
    _Row(
        "host_dec", "Declination of the most probable host, ICRS", "pos.eq.dec", "deg",
        "f8", ".7f",
    ),
    *_host("", "most probable"),
    _Row(
        "host_mag", "W1 magnitude of the most probable host, Vega",
        "phot.mag;em.ir.3-4um", "mag", digits=".3f",
    ),
    _Row(
        "host_none", "Probability that no candidate is the host", "stat.probability",
        digits=".6f",
    ),
)  # fmt: skip
_OTHER_HOSTS = (
    _Row(
        "host_shared", "1 if several sources claim the most probable host, else 0",
        "meta.code", "", "i4", "d",
    ),
    *_host("2_", "second most probable"),
    *_host("3_", "third most probable"),
    _Row(
        "place_ra", "Right ascension of the host by the radio image alone, ICRS",
        "pos.eq.ra", "deg", "f8", ".7f",
    ),
    _Row(
        "place_dec", "Declination of the host by the radio image alone, ICRS",
        "pos.eq.dec", "deg", "f8", ".7f",
    ),
    _Row(
        "place_error", "Error of this place, for each axis", "stat.error;pos.eq",
        "arcsec", digits=".3f",
    ),
)  # fmt: skip


def _edge(name: str, place: str) -> ColumnDefinition:
    """Returns an edge of the box; `place` is such as "left"."""
    ucd = f"pos.cartesian.{name[0]};stat.{'min' if name[1] == '0' else 'max'}"
    meaning = f"{place} edge of the box: pixel i of the image covers [i, i + 1]"
    return _Row(name, meaning, ucd, "", "f8", ".3f")


_SOURCES = (
    _Row(
        "name", "Name of the source, from its position", "meta.id;meta.main", "", "U",
        "s",
    ),
    _IMAGE,
    _Row(
        "label", "Most probable class: number of components, _, number of peaks",
        "src.class", "", "U", "s",
    ),
    _Row(
        "score", "Probability that this is one source, and of the class label",
        "stat.probability;src.class", "", "f8", ".6f",
    ),
    _edge("x0", "Left"), _edge("y0", "Lower"), _edge("x1", "Right"),
    _edge("y1", "Upper"),
    *_PLACE,
    _Row(
        "width", "Width of the box, along x of the image", "phys.angSize", "arcsec",
        "f8", ".3f",
    ),
    _Row(
        "height", "Height of the box, along y of the image", "phys.angSize", "arcsec",
        "f8", ".3f",
    ),
    _Row(
        "probability", "Probability that these islands are one source, of any class",
        "stat.probability;meta.main", digits=".6f",
    ),
    # Here follow the probabilities of the classes.
    *_PLACE_ERRORS,
    _Row(
        "position_kind", "What the position is: core, or flux for the flux-weighted "
        "center", "meta.code;pos.eq", "", "U", "s",
    ),
    *_FLUXES,
    _Row(
        "las", "Largest angular size, along the ridge; zero if not resolved",
        "phys.angSize", "arcsec", digits=".3f",
    ),
    _Row(
        "e_las", "Error of las, or upper limit if las is 0", "stat.error;phys.angSize",
        "arcsec", digits=".3f",
    ),
    _Row(
        "pa", "Position angle of the long axis, from north through east", "pos.posAng",
        "deg", digits=".2f",
    ),
    _Row(
        "n_components", "Number of components: islands of emission", "meta.number", "",
        "i4", "d",
    ),
    _Row("n_gaussians", "Number of Gaussians fitted", "meta.number", "", "i4", "d"),
    _Row("n_peaks", "Number of peaks", "meta.number;stat.max", "", "i4", "d"),
    *_RADIO,
    _FLAGS,
    _Row(
        "islands", "Numbers of its islands of emission in the image, from 1, with ; "
        "between", "meta.id.part", "", "U", "s",
    ),
    *_HOST, *_OTHER_HOSTS,
    _Row(
        "components", "Names of its components, with ; between", "meta.id.part", "",
        "U", "s",
    ),
)  # fmt: skip


def _axes(prefix: str, what: str) -> tuple[ColumnDefinition, ...]:
    """Returns the columns of an ellipse; `what` is such as "the component"."""
    limit = ", or upper limit if the size is 0" if prefix else ""
    axes = {
        "major": (f"Major axis (FWHM) of {what}", "phys.angSize.smajAxis", "arcsec"),
        "minor": (f"Minor axis (FWHM) of {what}", "phys.angSize.sminAxis", "arcsec"),
        "pa": (
            f"Position angle of {what}, from north through east", "pos.posAng", "deg",
        ),
    }  # fmt: skip
    rows = []
    for axis, (meaning, ucd, unit) in axes.items():
        name = prefix + axis
        more = "" if name.endswith("pa") else limit
        digits = ".2f" if unit == "deg" else ".4f"
        rows.append(_Row(name, meaning, ucd, unit, digits=digits))
        rows.append(
            _Row(
                f"e_{name}", f"Error of {name}{more}", f"stat.error;{ucd}", unit,
                digits=digits,
            )
        )  # fmt: skip
    return tuple(rows)


_COMPONENTS = (
    _Row(
        "name", "Name of the component, from its position", "meta.id;meta.main", "",
        "U", "s",
    ),
    _Row(
        "source", "Name of its source, empty if it belongs to none", "meta.id.parent",
        "", "U", "s",
    ),
    _IMAGE,
    _Row(
        "island", "Number of its island of emission in the image, from 1; 0 for none",
        "meta.id.assoc", "", "i8", "d",
    ),
    *_PLACE,
    *_PLACE_ERRORS,
    *_FLUXES[2:],
    *_FLUXES[:2],
    *_axes("", "the component"),
    *_axes("dc_", "the component without the beam"),
    *_RADIO,
    _Row(
        "residual", "Root mean square of what the fit leaves", "stat.fit.residual",
        "Jy/beam", digits=".4g",
    ),
    _FLAGS,
    _Row(
        "x", "Center along x: pixel i of the image covers [i, i + 1]",
        "pos.cartesian.x", "", "f8", ".4f",
    ),
    _Row(
        "y", "Center along y: pixel i of the image covers [i, i + 1]",
        "pos.cartesian.y", "", "f8", ".4f",
    ),
    *_HOST,
)  # fmt: skip

COLUMNS: Mapping[Kind, tuple[ColumnDefinition, ...]] = types.MappingProxyType(
    {"sources": _SOURCES, "components": _COMPONENTS}
)
"""The columns of each table in their order, but those of the model's classes."""


def define_column(name: str, kind: Kind) -> ColumnDefinition | None:
    """Returns what a column is, None if the table knows none of the name.

    Args:
        name: Its name. `p_2_3` is the probability of the class `2_3`.
        kind: The table.
    """
    for column in COLUMNS[kind]:
        if column.name == name:
            return column
    if kind == "sources" and name.startswith("p_"):
        return _Row(
            name, f"Probability of the class {name[2:]}", "stat.probability;src.class",
            digits=".6f",
        )  # fmt: skip
    return None


def finish_table(
    rows: Mapping[str, np.ndarray | Sequence[Any]],
    kind: Kind,
    meta: Mapping[str, Any] = types.MappingProxyType({}),
) -> QTable:
    """Returns rows as a table: ordered, rounded, with units and descriptions.

    Args:
        rows: Its columns, in any order and in the units of `COLUMNS`. Those that are
            not there are left out. `ra` and `dec` become `center`.
        kind: What the rows are.
        meta: Metadata of the table, see `claran.catalog.tables.detection_table`.

    Raises:
        ValueError: A column is unknown, or the columns are of different lengths.
    """
    table = QTable(meta=dict(meta))
    for column in _in_order(rows, kind):
        values = _rounded(rows[column.name], column)
        if column.name == "ra":
            continue
        if column.name == "dec":
            ra = _rounded(rows["ra"], column) % 360.0
            table["center"] = SkyCoord(ra, values, unit="deg", frame="icrs")
            center: Any = table["center"]
            center.info.description = "Position, ICRS"
            center.info.meta = {"ucd": "pos.eq;meta.main"}
            continue
        table[column.name] = values * units.Unit(column.unit) if column.unit else values
        describe(table[column.name], column)
    return table


def describe(values: Any, column: ColumnDefinition | None) -> None:
    """Gives a column of a table its description, UCD and format.

    Args:
        values: The column.
        column: What it is; None leaves it as it is.
    """
    if column is None:
        return
    values.info.description = column.meaning
    values.info.meta = {"ucd": column.ucd}
    if column.dtype[0] == "f":
        values.info.format = column.digits


def _in_order(rows: Mapping[str, Any], kind: Kind) -> list[ColumnDefinition]:
    """Returns the definitions of the columns that are there, in the table's order."""
    known = {name: define_column(name, kind) for name in rows}
    if unknown := [name for name, column in known.items() if column is None]:
        raise ValueError(
            f"the table of {kind} has no column {', '.join(unknown)}; "
            "claran/catalog/columns.py defines those it has."
        )
    lengths = {name: len(rows[name]) for name in rows}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of different lengths: {lengths}.")
    if ("ra" in rows) != ("dec" in rows):
        raise ValueError("`ra` and `dec` go together: give both or neither.")
    names = [column.name for column in COLUMNS[kind]]
    classes = [name for name in rows if name not in names]
    if "probability" in names:
        after = names.index("probability") + 1
        names[after:after] = classes
    return [column for name in names if (column := known.get(name)) is not None]


def _rounded(values: Sequence[Any] | np.ndarray, column: ColumnDefinition) -> Any:
    """Returns values in the type and to the digits of a column."""
    if column.dtype[0] != "f":
        return np.asarray(values).astype(column.dtype)
    wide, digits = np.asarray(values, np.float64), int(column.digits[1:-1])
    fixed = column.digits[-1] == "f"
    wide = np.round(wide, digits) if fixed else _significant(wide, digits)
    return (wide + 0.0).astype(column.dtype)  # -0 becomes 0.


def _significant(values: Float[np.ndarray, "n"], digits: int) -> Float[np.ndarray, "n"]:
    """Returns numbers rounded to a number of digits, whatever their size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.floor(np.log10(np.abs(values)))
    scale = 10.0 ** (digits - 1 - np.where(np.isfinite(powers), powers, 0.0))
    return np.round(values * scale) / scale
