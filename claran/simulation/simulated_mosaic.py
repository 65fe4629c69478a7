"""Simulated mosaics of any size with the truth about their sources, also as files.

    mosaic = simulate_mosaic((600, 800), seed=1)
    write_mosaic(MosaicPlan(shape=(40000, 40000)), Path("M.fits"))

A mosaic is made in bands of 512 rows, so that its size is limited by the disk alone.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from claran.io.atomic import beside, flush, replace_file
from claran.simulation.mosaic_noise import TILE, NoiseLevel, unit_noise
from claran.simulation.mosaic_plan import MosaicPlan, is_blank
from claran.simulation.mosaic_sky import (
    Rendered,
    draw_cell,
    draw_placed,
    render_source,
)
from claran.simulation.mosaic_truth import Truth

__all__ = ["DTYPES", "Mosaic", "simulate_mosaic", "truth_paths", "write_mosaic"]

DTYPES = ("float32", "float64", "int32")
_STEPS_PER_SIGMA = 1000  # Of int32.
_BLANK_VALUE = -(2**31)


@dataclasses.dataclass(frozen=True, eq=False)
class Mosaic:
    """A mosaic in memory.

    Attributes:
        image: (ny, nx) float32, Jy/beam; NaN where blank.
        sources: The true sources.
        components: Their components, each with the number of its source.
        wcs: The WCS of the image.
    """

    image: np.ndarray
    sources: Table
    components: Table
    wcs: WCS


def simulate_mosaic(shape: tuple[int, int], **plan: Any) -> Mosaic:
    """Returns a mosaic in memory; for large ones see `write_mosaic`.

    Args:
        shape: Rows and columns.
        **plan: The other attributes of `MosaicPlan`.
    """
    made = MosaicPlan(shape=shape, **plan)
    truth = Truth(made)
    image = np.concatenate(list(_draw_bands(made, truth)))
    return Mosaic(image, *truth.tables(), made.wcs)


def truth_paths(path: Path) -> tuple[Path, Path]:
    """Returns the files of the true sources and components of a mosaic.

    >>> [one.name for one in truth_paths(Path("M.fits"))]
    ['M_sources.ecsv', 'M_components.ecsv']
    """
    sources, components = (
        path.with_name(f"{path.stem}_{name}.ecsv") for name in ("sources", "components")
    )
    return sources, components


def write_mosaic(
    plan: MosaicPlan, path: Path, *, dtype: str = "float32", progress: Any = iter
) -> tuple[Table, Table]:
    """Writes a mosaic and the truth; returns the tables of sources and components.

    The mosaic appears last, and whole. The truth is in `truth_paths`.

    Args:
        plan: What the mosaic shows.
        path: A FITS file.
        dtype: One of `DTYPES`; int32 is scaled to 1,000 steps per sigma.
        progress: Given the iterator of bands, yields them on, as `tqdm` does.
    """
    truth = Truth(plan)
    with beside(path) as partial:
        with partial.open("wb") as file:
            header = _header(plan, dtype)
            file.write(header.tostring().encode("ascii"))
            for band in progress(_draw_bands(plan, truth)):
                file.write(_encode(band, plan, dtype))
            file.write(bytes(-file.tell() % 2880))
        tables = truth.tables()
        for table, name in zip(tables, truth_paths(path), strict=True):
            replace_file(name, lambda to, table=table: _write_table(table, to))
        flush(partial)
        partial.replace(path)
    return tables


def _write_table(table: Table, path: Path) -> None:
    table.write(path, format="ascii.ecsv", overwrite=True)


def _header(plan: MosaicPlan, dtype: str) -> fits.Header:
    # The header of an image of one pixel, with the true numbers of pixels.
    header = fits.PrimaryHDU(np.zeros((1, 1), dtype)).header
    header["NAXIS1"], header["NAXIS2"] = plan.shape[::-1]
    header.update(plan.wcs.to_header())
    survey = plan.survey
    header["BUNIT"] = "JY/BEAM"
    header["BMAJ"] = (survey.beam_major_arcsec / 3600, "[deg]")
    header["BMIN"] = (survey.beam_minor_arcsec / 3600, "[deg]")
    header["BPA"] = (survey.beam_angle_deg, "[deg]")
    header["FREQ"] = (survey.frequency_hz, "[Hz]")
    header["SURVEY"] = f"{survey.name} (simulated)"
    header["ORIGIN"] = ("claran.simulation", "simulated, not observed")
    header["SEED"] = (plan.seed, "of the simulation")
    header["KIND"] = (plan.kind, "of the simulation")
    if dtype == "int32":
        header["BSCALE"] = survey.noise_jy / _STEPS_PER_SIGMA
        header["BLANK"] = _BLANK_VALUE
    return header


def _encode(band: np.ndarray, plan: MosaicPlan, dtype: str) -> bytes:
    if dtype == "int32":
        steps = band / (plan.survey.noise_jy / _STEPS_PER_SIGMA)
        values = np.rint(np.where(np.isnan(band), _BLANK_VALUE, steps))
        return values.astype(">i4").tobytes()
    return band.astype(np.dtype(dtype).newbyteorder(">")).tobytes()


def _draw_bands(plan: MosaicPlan, truth: Truth) -> Iterator[np.ndarray]:
    """Yields bands of rows, (<= 512, nx) float32, and fills the truth."""
    level = plan.level
    placed = [
        _render(plan, level, draw_placed(plan.seed, number, one, plan.survey))
        for number, one in enumerate(plan.placed)
    ]
    truth.add(placed)
    # No random source reaches beyond the neighbors of its cell.
    window = collections.deque([_draw_row(plan, level, row) for row in (-1, 0)], 3)
    for rendered in window:
        truth.add(rendered)
    columns = np.arange(plan.shape[1]) + 0.5
    # Without sources there are no gain errors.
    stripes = plan.survey.stripes if plan.kind == "sky" else 0.0
    survey = dataclasses.replace(plan.survey, stripes=stripes)
    for number, noise in enumerate(unit_noise(plan.seed, survey, plan.shape)):
        window.append(_draw_row(plan, level, number + 1))
        truth.add(window[-1])
        first = number * TILE
        rows = first + np.arange(len(noise)) + 0.5
        band = noise * level(rows, columns)
        for rendered in (placed, *window):
            for one in rendered:
                for low, left, stamp in one.stamps:
                    _add_stamp(band, low - first, left, stamp)
        if plan.blank:
            band[is_blank(plan, rows, columns)] = np.nan
        yield band


def _draw_row(plan: MosaicPlan, level: NoiseLevel, row: int) -> list[Rendered]:
    """Returns the sources of a row of cells."""
    if plan.kind != "sky":
        return []
    return [
        _render(plan, level, drawn)
        for column in range(-1, math.ceil(plan.shape[1] / TILE) + 1)
        for drawn in draw_cell(plan.seed, row, column, plan.survey, plan.density)
    ]


def _render(plan: MosaicPlan, level: NoiseLevel, drawn: tuple) -> Rendered:
    *_, x, y = drawn
    sigma = float(level(np.array([y]), np.array([x]))[0, 0])
    return render_source(*drawn, survey=plan.survey, sigma=sigma)


def _add_stamp(band: np.ndarray, low: int, left: int, stamp: np.ndarray) -> None:
    rows = slice(max(low, 0), max(min(low + len(stamp), len(band)), 0))
    columns = slice(max(left, 0), max(min(left + stamp.shape[1], band.shape[1]), 0))
    if rows.start < rows.stop and columns.start < columns.stop:
        band[rows, columns] += stamp[
            rows.start - low : rows.stop - low,
            columns.start - left : columns.stop - left,
        ]
