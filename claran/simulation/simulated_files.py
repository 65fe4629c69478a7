"""Simulated fields as files: radio FITS, infrared PNG or FITS, and a table of boxes."""

import csv
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from astropy.io import fits

from claran.errors import ImageError
from claran.io.atomic import replace_file
from claran.simulation.infrared_sky import ZERO_POINT, picture
from claran.simulation.simulated_field import Field

__all__ = ["COLUMNS", "make_room", "rows", "to_hdu", "write_field", "write_fields"]

OWN_FILE = re.compile(r"SIM\d{7,}_(radio\.fits|infrared\.(png|fits))")

# The table has the format of real cutouts: boxes are pixel edges of the FITS array.
COLUMNS = (
    "first_id", "cls", "num_cpnts", "num_peaks", "consensus", "ignore", "family",
    "peak_ras", "peak_decs", "host_ra", "host_dec",
    "box_x0", "box_y0", "box_x1", "box_y1", "sigma_jy",
)  # fmt: skip


def to_hdu(field: Field, image: np.ndarray, unit: str) -> fits.PrimaryHDU:
    """Returns an image of the field as a FITS HDU with its celestial WCS.

    Args:
        field: The field.
        image: (h, w) values.
        unit: Unit of the values, for `BUNIT`.
    """
    hdu = fits.PrimaryHDU(image.astype(np.float32), header=field.wcs.to_header())
    hdu.header["BUNIT"] = unit
    hdu.header["ORIGIN"] = ("claran.simulation", "simulated, not observed")
    return hdu


def write_field(
    field: Field, folder: Path, name: str, *, infrared_fits: bool = False
) -> tuple[Path, Path]:
    """Writes `{name}_radio.fits` and `{name}_infrared.png`; returns their paths.

    The PNG is an 8-bit color picture of the same pixels with north up, so that its
    first row is the last of the FITS array.

    Args:
        field: The field.
        folder: An existing folder.
        name: Start of the file names.
        infrared_fits: Whether to write the infrared image as FITS, in DN, instead.
    """
    survey = field.survey
    hdu = to_hdu(field, field.radio, "JY/BEAM")
    hdu.header["BMAJ"] = (survey.beam_major_arcsec / 3600, "[deg]")
    hdu.header["BMIN"] = (survey.beam_minor_arcsec / 3600, "[deg]")
    hdu.header["BPA"] = (survey.beam_angle_deg, "[deg]")
    hdu.header["FREQ"] = (survey.frequency_hz, "[Hz]")
    hdu.header["SURVEY"] = f"{survey.name} (simulated)"
    radio_path = folder / f"{name}_radio.fits"
    hdu.writeto(radio_path, overwrite=True)
    if infrared_fits:
        infrared_path = folder / f"{name}_infrared.fits"
        hdu = to_hdu(field, field.infrared, "DN")
        hdu.header["MAGZP"] = (ZERO_POINT, "[mag] Vega")
        hdu.writeto(infrared_path, overwrite=True)
    else:
        infrared_path = folder / f"{name}_infrared.png"
        encoded = cv2.imencode(".png", picture(field.infrared)[::-1])[1]
        infrared_path.write_bytes(encoded.tobytes())
    return radio_path, infrared_path


def rows(field: Field, name: str) -> Iterator[dict[str, object]]:
    """Yields one row of the table of boxes for each source.

    The positions of a source, in degrees, are those of the brightest peak of each
    component. They are joined with ";", as in the Radio Galaxy Zoo catalog.
    """
    wcs = field.wcs
    for source in field.sources:
        # A WCS counts from the center of the first pixel, positions from its edge.
        places = np.vstack([source.host, source.component_positions]) - 0.5
        sky = np.asarray(wcs.all_pix2world(places, 0))
        ra, dec = ([f"{value:.7f}" for value in axis] for axis in sky.T)
        components, _, peaks = source.code.partition("_")
        x0, y0, x1, y1 = source.box.astype(int).tolist()
        yield {
            "first_id": name, "cls": source.code, "num_cpnts": components,
            "num_peaks": peaks, "consensus": int(source.consensus),
            "ignore": int(source.ignore), "family": source.family,
            "peak_ras": ";".join(ra[1:]), "peak_decs": ";".join(dec[1:]),
            "host_ra": ra[0], "host_dec": dec[0],
            "box_x0": x0, "box_y0": y0, "box_x1": x1, "box_y1": y1,
            "sigma_jy": f"{field.sigma:.4e}",
        }  # fmt: skip


def make_room(folder: Path, *, overwrite: bool = False) -> None:
    """Removes the files of an earlier simulation from a folder.

    Args:
        folder: The folder, which need not exist.
        overwrite: Whether to remove them; if not, the folder must have none.

    Raises:
        ImageError: The folder has simulated fields and `overwrite` is not set, or it
            has labels of other fields.
    """
    table = folder / "annotations.csv"
    earlier = [path for path in folder.glob("SIM*") if OWN_FILE.fullmatch(path.name)]
    if table.exists() and not _is_own(table):
        raise ImageError(
            f"{table}: has labels of other fields, which are not overwritten; give "
            "another --output."
        )
    if not overwrite and (earlier or table.exists()):
        raise ImageError(
            f"{folder}: has simulated fields already; give --overwrite to replace "
            "them, or another --output."
        )
    for path in [table, *earlier]:
        path.unlink(missing_ok=True)


def _is_own(table: Path) -> bool:
    """Returns whether a table of labels is one of simulated fields alone."""
    header, *lines = table.read_bytes().splitlines() or [b""]
    own = header.decode("latin-1").split(",") == list(COLUMNS)
    return own and all(line.startswith(b"SIM") for line in lines)


def write_fields(
    fields: Iterable[Field], folder: Path, *, infrared_fits: bool = False
) -> int:
    """Writes numbered fields and `annotations.csv` into a folder; returns their number.

    The table is written last, so that a folder without it is incomplete. A table of
    earlier fields is removed first.

    Args:
        fields: The fields.
        folder: The folder; created if it does not exist.
        infrared_fits: See `write_field`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.csv").unlink(missing_ok=True)
    table, count = [], 0
    for count, field in enumerate(fields, start=1):
        name = f"SIM{count - 1:07d}"
        write_field(field, folder, name, infrared_fits=infrared_fits)
        table += rows(field, name)
    replace_file(folder / "annotations.csv", functools.partial(_write_table, table))
    return count


def _write_table(table: list[Any], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(table)
