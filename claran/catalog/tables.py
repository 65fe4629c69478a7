"""Tables of detections, with boxes in pixels and positions on the sky."""

import functools
import os
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import ICRS, SkyCoord
from astropy.table import QTable, Table
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from jaxtyping import Float

from claran.catalog.columns import define_column, describe, finish_table
from claran.catalog.table_files import (
    require_parquet,
    write_ecsv,
    write_fits,
    write_parquet,
)
from claran.catalog.votables import write_votable
from claran.io.atomic import replace_file
from claran.sky.frames import celestial_frame

__all__ = [
    "detection_table",
    "format_table",
    "plain_cell",
    "plain_table",
    "sky_columns",
    "table_format",
    "to_icrs",
    "write_table",
]

FORMATS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".parquet": "parquet",
    ".vot": "votable",
    ".xml": "votable",
}

# Columns of measured sources that are printed.
PLACE, EDGES = ("ra", "dec"), ("x0", "y0", "x1", "y1")
SHOWN = "label", "score", "flux", "e_flux", "peak_flux", "las", "pa", "snr", "flags"
MILLI = {"flux": "mJy", "e_flux": "mJy", "peak_flux": "mJy / beam"}
DECIMALS = {
    "score": ".3f", "ra": ".5f", "dec": ".5f", "flux": ".4g", "e_flux": ".2g",
    "peak_flux": ".4g", "las": ".1f", "pa": ".0f", "snr": ".1f",
} | dict.fromkeys(EDGES, ".1f")  # fmt: skip

# Also after spaces, which some readers cut off, and in the wide forms of East Asia.
# Quotes before are counted, so that every text comes back as it was.
FORMULA = re.compile(r"'*\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
QUOTED = re.compile(r"'+\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def detection_table(
    images: Sequence[str],
    labels: Sequence[str],
    scores: Float[np.ndarray, "n"],
    boxes: Float[np.ndarray, "n 4"],
    *,
    columns: Mapping[str, np.ndarray] = types.MappingProxyType({}),
    meta: Mapping[str, Any] = types.MappingProxyType({}),
) -> QTable:
    """Returns detections as a table.

    Args:
        images: Name of each detection's image.
        labels: Class of each detection, such as "2_3".
        scores: Probability of that class.
        boxes: `(x0, y0, x1, y1)`, edges in pixels of the image, pixel i covers [i, i +
            1]: of the FITS array (y up), or of a picture (y down).
        columns: Further columns: those of `sky_columns`, or measured ones of a survey's
            sources (`claran.catalog.columns`), in the units there.
        meta: Metadata of the table, with keys for a FITS header.

    Returns:
        Columns `image`, `label`, `score`, `x0`, `y0`, `x1`, `y1` and, with sky
        columns, `center` (ICRS), `width` and `height` (arcsec along the axes of the
        array); then all others.
    """
    x0, y0, x1, y1 = np.asarray(boxes, np.float64).reshape(-1, 4).T
    table = QTable(
        {
            "image": np.array(images, dtype=str),
            "label": np.array(labels, dtype=str),
            "score": np.asarray(scores, np.float64),
            "x0": x0,
            "y0": y0,
            "x1": x1,
            "y1": y1,
        },
        meta=dict(meta),
    )
    further = dict(columns)
    if "position_kind" in further:
        _add_measurements(table, further)
        return table
    if "ra" in further:
        ra, dec = further.pop("ra"), further.pop("dec")
        table["center"] = SkyCoord(ra, dec, unit="deg", frame="icrs")
        for name in ("width", "height"):
            table[name] = further.pop(name) * units.arcsec
    for name, column in further.items():
        table[name] = column
    return table


def _add_measurements(table: QTable, columns: Mapping[str, np.ndarray]) -> None:
    """Adds the columns of a survey's sources, and describes all; others go last."""
    known = {
        name: column
        for name, column in columns.items()
        if define_column(name, "sources") is not None
    }
    measured = finish_table(known, "sources")
    for name in table.colnames:
        column: Any = table[name]
        describe(column, define_column(name, "sources"))
        column.info.format = None  # In text, all digits of what was not rounded.
    for name in measured.colnames:
        table[name] = measured[name]
    for name in columns:
        if name not in known:
            table[name] = columns[name]


def sky_columns(
    wcs: WCS, boxes: Float[np.ndarray, "n 4"]
) -> dict[str, Float[np.ndarray, "n"]]:
    """Returns positions and sizes of boxes on the sky.

    Args:
        wcs: Celestial WCS of the image.
        boxes: `(x0, y0, x1, y1)`, edges in the FITS array frame.

    Returns:
        `ra` and `dec` of the centers, degrees, ICRS, NaN off the sky; `width` and
        `height`, arcsec along the axes of the array.
    """
    x0, y0, x1, y1 = np.asarray(boxes, np.float64).reshape(-1, 4).T
    # A WCS counts from the center of the first pixel, boxes from its edge.
    centers = np.stack([(x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5], axis=1)
    ra, dec = to_icrs(wcs, centers)
    x_scale, y_scale = 3600 * proj_plane_pixel_scales(wcs)
    return {
        "ra": ra, "dec": dec, "width": (x1 - x0) * x_scale,
        "height": (y1 - y0) * y_scale,
    }  # fmt: skip


def to_icrs(
    wcs: WCS, pixels: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns right ascension and declination, degrees, ICRS, of pixels.

    Args:
        wcs: Celestial WCS.
        pixels: `(x, y)`, counted from the center of the first pixel.
    """
    if not len(pixels):
        return np.zeros(0), np.zeros(0)
    world = np.array(wcs.all_pix2world(pixels, 0), np.float64)
    # Off the sky, as beside an all-sky image: no position.
    world[~(np.abs(world[:, wcs.wcs.lat]) <= 90)] = np.nan
    longitude, latitude = world[:, wcs.wcs.lng], world[:, wcs.wcs.lat]
    frame = celestial_frame(wcs)
    if isinstance(frame, ICRS):
        return _full_turn(longitude), latitude
    equinox = getattr(frame, "equinox", None)
    turn = _rotation_to_icrs(frame.name, equinox and f"J{equinox.jyear}")
    if turn is None:
        sky: Any = SkyCoord(longitude, latitude, unit="deg", frame=frame).icrs
        return _full_turn(sky.ra.deg), sky.dec.deg
    lon, lat = np.radians(longitude), np.radians(latitude)
    x, y, z = turn @ [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    ra, dec = np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])
    return _full_turn(ra), dec


def _full_turn(degrees: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Returns angles in [0, 360)."""
    return degrees % 360 % 360  # -1e-15 % 360 is 360.


@functools.lru_cache(maxsize=32)
def _rotation_to_icrs(
    name: str, equinox: str | None
) -> Float[np.ndarray, "3 3"] | None:
    """Returns the rotation matrix from a frame to ICRS; None if it is no rotation.

    Astropy takes 1.3 ms for a single position, a tenth of the time for a field.
    """
    if name not in ("fk5", "galactic"):
        return None
    kwargs = {"equinox": equinox} if name == "fk5" else {}
    axes = np.eye(3)
    about: dict[str, Any] = {"frame": name, **kwargs}
    frame: Any = SkyCoord(*axes, representation_type="cartesian", **about)
    return frame.icrs.cartesian.xyz.value


def format_table(table: QTable) -> str:
    """Returns a table as text: rounded, with the center in degrees.

    Of measured sources the columns that people look at first are shown, which fit into
    100 characters, with fluxes in mJy.

    Args:
        table: See `detection_table`.
    """
    shown: Any = _with_degrees(table) if "center" in table.colnames else table.copy()
    if "position_kind" in shown.colnames:
        place = PLACE if "ra" in shown.colnames else EDGES
        shown = shown[[name for name in (*place, *SHOWN) if name in shown.colnames]]
        for name, unit in MILLI.items():
            shown[name] = shown[name].to(unit)
    for name in shown.colnames:
        column: Any = shown[name]
        if column.dtype.kind == "f":
            column.info.format = DECIMALS.get(name) or column.info.format or ".1f"
    return "\n".join(shown.pformat(max_lines=-1, max_width=-1))


def write_table(table: Table, path: str | os.PathLike) -> None:
    """Writes a table in the format of the file's ending.

    An existing file is replaced only when the new one is complete. Written twice, a
    table gives the same bytes. In all formats but
    ECSV, the center is written as `ra` and `dec`, in degrees. In CSV a text that a
    spreadsheet would run as a formula has a single quote before it; see `plain_cell`.
    ECSV, which Astropy reads, keeps every text as it is.
    FITS knows only ASCII: other characters are spelled as `claran.io.paths.to_ascii`
    does.

    Args:
        table: See `detection_table`.
        path: The file, `.ecsv`, `.csv`, `.fits`, `.parquet`, `.vot` or `.xml`.

    Raises:
        ValueError: The ending is none of these, or `pyarrow` is missing.
        OSError: The file cannot be written.
    """
    path, astropy_format = Path(path), table_format(path)
    if astropy_format != "ascii.ecsv":
        table = plain_table(table)
    replace_file(path, functools.partial(WRITERS[astropy_format], table))


def _write_csv(table: Table, path: Path) -> None:
    # Spaces may be in the names of files.
    _with_plain_text(table).write(
        path, format="ascii.csv", overwrite=True, strip_whitespace=False
    )


WRITERS = {
    "ascii.csv": _write_csv,
    "ascii.ecsv": write_ecsv,
    "fits": write_fits,
    "parquet": write_parquet,
    "votable": write_votable,
}


def table_format(path: str | os.PathLike) -> str:
    """Returns Astropy's name for the format of a file's ending.

    Args:
        path: The file.

    Raises:
        ValueError: The ending is not that of a format, or `pyarrow` is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(
            f"{path}: must end in one of {', '.join(FORMATS)}, the formats of tables."
        )
    if suffix == ".parquet":
        require_parquet(Path(path))
    return FORMATS[suffix]


def plain_cell(cell: str) -> str:
    """Returns a text as it was before it was written as CSV.

    >>> plain_cell("'=1+1.fits"), plain_cell("J1200+3000"), plain_cell("'90s")
    ('=1+1.fits', 'J1200+3000', "'90s")
    """
    return cell[1:] if QUOTED.match(cell) else cell


def _with_plain_text(table: Table) -> Table:
    """Returns a table whose texts are no formulas, as OWASP advises for CSV."""
    table = table.copy()
    for name in table.colnames:
        column: Any = table[name]
        if getattr(getattr(column, "dtype", None), "kind", "") == "U":
            cells = [f"'{cell}" if FORMULA.match(cell) else cell for cell in column]
            table[name] = np.array(cells, dtype=str)
    return table


def plain_table(table: Table) -> Table:
    """Returns a table of plain columns: `ra` and `dec`, degrees, for `center`.

    Args:
        table: See `detection_table`.
    """
    if "center" in table.colnames:
        table = _with_degrees(table)
    return Table(table, copy=False)  # Values with units become columns with units.


def _with_degrees(table: Table) -> Table:
    table = table.copy(copy_data=False)
    place = table.colnames.index("center")
    center: Any = table["center"]
    table.remove_column("center")
    degrees = [center.ra.to(units.deg), center.dec.to(units.deg)]
    table.add_columns(degrees, indexes=[place, place], names=["ra", "dec"])
    if center.info.description:
        for name in ("ra", "dec"):
            describe(table[name], define_column(name, "sources"))
    return table
