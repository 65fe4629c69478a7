"""Detections as a table: boxes in pixels and, with a WCS, on the sky."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import QTable, vstack
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from jaxtyping import Float

from claran.io.atomic import replace_file

__all__ = [
    "detection_table",
    "format_table",
    "stack_tables",
    "table_format",
    "write_table",
]

FORMATS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".vot": "votable",
    ".xml": "votable",
}


def detection_table(
    image: str,
    labels: Sequence[str],
    scores: Float[np.ndarray, "n"],
    boxes: Float[np.ndarray, "n 4"],
    *,
    wcs: WCS | None = None,
) -> QTable:
    """Returns the detections of one image.

    Args:
        image: Name of the image.
        labels: Class of each detection, such as "2_3".
        scores: Probability of that class.
        boxes: `(x0, y0, x1, y1)`, edges in the frame of the image: pixel i covers
            [i, i + 1]. The FITS array frame (y up) if there is a WCS.
        wcs: Celestial WCS of the image.

    Returns:
        Columns `image`, `label`, `score`, `x0`, `y0`, `x1`, `y1` and, with a WCS,
        `center` (ICRS), `width` and `height` (arcsec along the axes of the array).
    """
    x0, y0, x1, y1 = np.asarray(boxes, np.float64).reshape(-1, 4).T
    table = QTable(
        {
            "image": np.array([image] * len(labels), dtype=str),
            "label": np.array(labels, dtype=str),
            "score": np.asarray(scores, np.float64),
            "x0": x0,
            "y0": y0,
            "x1": x1,
            "y1": y1,
        }
    )
    if wcs is not None:
        # A WCS counts from the center of the first pixel, boxes from its edge.
        sky = wcs.pixel_to_world((x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5)
        center: Any = SkyCoord(sky).icrs
        # Anew: tables whose centers remember different equinoxes could not be stacked.
        table["center"] = SkyCoord(center.ra, center.dec, frame="icrs")
        x_scale, y_scale = proj_plane_pixel_scales(wcs) * units.deg
        table["width"] = ((x1 - x0) * x_scale).to(units.arcsec)
        table["height"] = ((y1 - y0) * y_scale).to(units.arcsec)
    return table


def stack_tables(tables: Sequence[QTable]) -> QTable:
    """Returns one table of all; without a WCS, the sky columns are NaN.

    They are there if any table has them.
    """
    if not tables:
        return detection_table("", [], np.zeros(0), np.zeros((0, 4)))
    if any("center" in table.colnames for table in tables):
        tables = [_with_sky(table) for table in tables]
    return vstack(list(tables), metadata_conflicts="silent")


def format_table(table: QTable) -> str:
    """Returns a table as text for a person: rounded, the center in degrees."""
    shown = _with_degrees(table) if "center" in table.colnames else table.copy()
    decimals = {"score": 3, "ra": 5, "dec": 5}
    for name in shown.colnames:
        column: Any = shown[name]
        if column.dtype.kind == "f":
            column.info.format = f".{decimals.get(name, 1)}f"
    return "\n".join(shown.pformat(max_lines=-1, max_width=-1))


def write_table(table: QTable, path: str | os.PathLike) -> None:
    """Writes a table in the format its name ends with.

    An existing file is replaced only once the new one is whole. In CSV, the center on
    the sky is written as `ra` and `dec`, in degrees.

    Raises:
        ValueError: The name has an ending of no format.
    """
    path, astropy_format = Path(path), table_format(path)
    if path.suffix != ".ecsv" and "center" in table.colnames:
        table = _with_degrees(table)
    options = {}
    if astropy_format == "votable":
        # Not as text: Astropy 8.0.2 then writes a byte past its buffer, and the program
        # crashes or computes nonsense some time later (astropy issue 20419).
        options["tabledata_format"] = "binary2"
    write = functools.partial(
        table.write, format=astropy_format, overwrite=True, **options
    )
    replace_file(path, write)


def table_format(path: str | os.PathLike) -> str:
    """Returns Astropy's name of the format that a file's name ends with.

    Raises:
        ValueError: The name has an ending of no format.
    """
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise ValueError(
            f"{path}: must end in one of {', '.join(FORMATS)} to say its format."
        )
    return FORMATS[suffix]


def _with_sky(table: QTable) -> QTable:
    if "center" in table.colnames:
        return table
    table = table.copy()
    nowhere = np.full(len(table), np.nan)
    table["center"] = SkyCoord(nowhere, nowhere, unit="deg")
    table["width"] = nowhere * units.arcsec
    table["height"] = nowhere * units.arcsec
    return table


def _with_degrees(table: QTable) -> QTable:
    table = table.copy()
    place = table.colnames.index("center")
    center: Any = table["center"]
    table.remove_column("center")
    degrees = [center.ra.to(units.deg), center.dec.to(units.deg)]
    table.add_columns(degrees, indexes=[place, place], names=["ra", "dec"])
    return table
