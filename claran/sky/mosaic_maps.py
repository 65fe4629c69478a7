"""Background and noise of a mosaic, measured in parts of it."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from jaxtyping import Float, Float32

from claran.errors import ImageError
from claran.io.atomic import replace_file
from claran.io.paths import bare_name
from claran.sky.background import Chosen, find_background, window_levels
from claran.sky.bands import Found, RunJobs, around_part, bands, crop, run_here
from claran.sky.blanks import find_blanks
from claran.sky.confusion import confusion, window_spreads
from claran.sky.mesh import Mesh, MeshImage, Part
from claran.sky.mosaics import Mosaic
from claran.sky.noise import noise, noise_image, noise_mesh, window_noises
from claran.sky.signal_to_noise import (
    EVEN_START,
    excess_halo,
    noise_excess,
    noise_window,
    one_window_start,
    raw_ratio,
)
from claran.sky.zero_levels import window_zeros, zero_image, zero_level

__all__ = ["MosaicMaps", "Region", "map_paths", "measure_maps", "write_maps"]

MOST_LEFT = 2**26  # Pixels; of an image without a window that has enough of them.


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """A part of a mosaic, as measured.

    Attributes:
        rows: Rows of the mosaic.
        columns: Its columns.
        values: Brightness above the background, in the image's unit; NaN is blank.
        noise: Noise of each pixel, in the image's unit.
        signal_to_noise: Brightness in units of the noise; NaN is blank.
    """

    rows: slice
    columns: slice
    values: Float32[np.ndarray, "h w"]
    noise: Float32[np.ndarray, "h w"]
    signal_to_noise: Float32[np.ndarray, "h w"]


@dataclasses.dataclass(frozen=True, eq=False)
class MosaicMaps:
    """Background and noise of a mosaic; it can be sent to other processes.

    Attributes:
        mosaic: The mosaic, with its rule for blank pixels.
        background: In the image's unit; None if there is none.
        noise: In windows, in the image's unit; a number if the image is about one
            window.
        start: Excess of the noise from which it is corrected, see
            `claran.sky.signal_to_noise.noise_excess`.
        zero: What photometry takes off beyond the background, see
            `claran.sky.zero_levels`; in the image's unit.
        confusion: Noise with faint sources over noise without, see
            `claran.sky.confusion`.
    """

    mosaic: Mosaic
    background: MeshImage | None
    noise: MeshImage | np.float32
    start: float
    zero: MeshImage
    confusion: float

    def region(self, rows: slice, columns: slice) -> Region:
        """Returns a part of the mosaic, measured as `Field` measures the whole.

        A pixel has the same values in whatever part it is, bit for bit.

        Args:
            rows: Rows with start and stop inside the mosaic.
            columns: Columns likewise.

        Raises:
            ImageError: The file has vanished, or is not what it was.
        """
        part = (rows, columns)
        wide = around_part(
            part, excess_halo(self.mosaic.beam_pixels), self.mosaic.shape
        )
        values = above_background(self.mosaic, self.background, wide)
        sigma = _base(self.noise, wide)
        ratio = raw_ratio(values, sigma)
        excess = noise_excess(ratio, self.mosaic.beam_pixels, start=self.start)
        if not isinstance(sigma, np.ndarray):
            sigma = np.full(values.shape, sigma, np.float32)
        inner = crop(part, wide)
        values, sigma, ratio = values[inner], sigma[inner], ratio[inner]
        if excess is not None:
            sigma, ratio = sigma * excess[inner], ratio / excess[inner]
        return Region(rows, columns, values, sigma, ratio)


def above_background(
    mosaic: Mosaic, background: MeshImage | None, part: Part
) -> Float32[np.ndarray, "h w"]:
    """Returns a part of a mosaic above its background, with NaN for blank pixels."""
    values = mosaic.read(*part)
    if background is not None:
        values -= background.pixels(part)
    return values


def measure_maps(mosaic: Mosaic, jobs_run: RunJobs = run_here) -> MosaicMaps:
    """Returns background and noise of a mosaic.

    They are those of `claran.fields.field.Field`, but the mosaic is read in parts.

    Args:
        mosaic: The mosaic; its blank pixels are found first.
        jobs_run: Runs the jobs, as `claran.survey.jobs.Jobs.run`.

    Raises:
        ImageError: The file has vanished or was changed; all pixels are blank; or over
            half of them share one value.
    """
    mosaic = mosaic.with_blanks(find_blanks(mosaic, jobs_run))
    window = noise_window(mosaic.beam_pixels)

    def levels_of(mesh: Mesh, found: MeshImage | None, chosen: Chosen) -> Any:
        stage = "background" if found is None else "background-rest"
        context = (mosaic, found, mesh, chosen)
        parts = _windows(jobs_run, stage, _block_levels, context, mesh.blocks(chosen))
        if found is None and np.isnan(parts["levels"]).all():
            _require_pixels(mosaic)
        return parts["levels"], parts["sigmas"]

    background = find_background(mosaic.shape, window, levels_of)
    mesh = noise_mesh(mosaic.shape, window)
    if mesh is None:
        return _one_window(mosaic, background)
    context = (mosaic, background, mesh)
    found = _windows(jobs_run, "noise", _block_noises, context, mesh.blocks())
    sigma = noise_image(mesh, found["sigmas"], lambda: _whole_noise(mosaic, background))
    zero = zero_image(mesh, found["zeros"])
    crowd = confusion(found["spreads"])
    return MosaicMaps(mosaic, background, sigma, EVEN_START, zero, crowd)


def write_maps(maps: MosaicMaps, folder: str | os.PathLike) -> tuple[Path, Path]:
    """Writes background and noise as FITS images with the WCS of the mosaic.

    Args:
        maps: What to write.
        folder: Where; `NAME_background.fits` and `NAME_noise.fits` are replaced.

    Returns:
        The two files.

    Raises:
        OSError: A file cannot be written.
        ImageError: The mosaic cannot be read any more.
    """
    paths = map_paths(maps.mosaic, folder)
    for path, pixels in zip(paths, (_background_part, _noise_part), strict=True):
        replace_file(path, lambda partial, of=pixels: _write(partial, maps, of))
    return paths


def map_paths(mosaic: Mosaic, folder: str | os.PathLike) -> tuple[Path, Path]:
    """Returns the files that `write_maps` writes for a mosaic."""
    name = bare_name(Path(mosaic.name))
    return Path(folder, f"{name}_background.fits"), Path(folder, f"{name}_noise.fits")


def _write(
    path: Path, maps: MosaicMaps, pixels: Callable[[MosaicMaps, Part], np.ndarray]
) -> None:
    """Writes an image band by band."""
    mosaic = maps.mosaic
    ny, nx = mosaic.shape
    header = fits.Header() if mosaic.wcs is None else mosaic.wcs.to_header()
    basic = fits.Header()
    basic["SIMPLE"], basic["BITPIX"], basic["NAXIS"] = True, -32, 2
    basic["NAXIS1"], basic["NAXIS2"] = nx, ny
    if mosaic.unit:
        basic["BUNIT"] = mosaic.unit
    basic.extend(header)
    writer = fits.StreamingHDU(str(path), basic)
    try:
        for start, stop in bands((0, ny), mosaic.shape):
            part = (slice(start, stop), slice(0, nx))
            writer.write(pixels(maps, part).astype(">f4"))
    finally:
        writer.close()


def _background_part(maps: MosaicMaps, part: Part) -> np.ndarray:
    if maps.background is not None:
        return maps.background.pixels(part)
    return np.zeros([one.stop - one.start for one in part], np.float32)


def _noise_part(maps: MosaicMaps, part: Part) -> np.ndarray:
    return maps.region(*part).noise


def _base(
    sigma: MeshImage | np.float32, part: Part
) -> Float32[np.ndarray, "h w"] | np.float32:
    return sigma.pixels(part) if isinstance(sigma, MeshImage) else sigma


def _whole(mosaic: Mosaic) -> Part:
    ny, nx = mosaic.shape
    return slice(0, ny), slice(0, nx)


def _one_window(mosaic: Mosaic, background: MeshImage | None) -> MosaicMaps:
    """Returns the maps of a mosaic of about one window, which has one noise."""
    values = above_background(mosaic, background, _whole(mosaic))
    sigma = np.float32(_positive(noise(values), mosaic))
    start = one_window_start(raw_ratio(values, sigma))
    zero = zero_level(values, noise_window(mosaic.beam_pixels), sigma)
    return MosaicMaps(mosaic, background, sigma, start, zero, confusion=1.0)


def _windows(
    jobs_run: RunJobs,
    stage: str,
    function: Any,
    context: Any,
    blocks: Sequence[tuple[int, int, int, int]],
) -> dict[str, Float[np.ndarray, "rows columns"]]:
    """Returns what a function measures in the windows of a mesh, block by block.

    Args:
        jobs_run: Runs it.
        stage: Name of the stage.
        function: The function.
        context: What it needs; the mesh is the third.
        blocks: The blocks; windows elsewhere are NaN.
    """
    found: dict[str, np.ndarray] = {}
    for block, part in zip(
        blocks, jobs_run(stage, function, context, blocks), strict=True
    ):
        top, bottom, left, right = block
        for name, levels in part.items():
            whole = found.setdefault(name, np.full(context[2].grid, np.nan))
            whole[top:bottom, left:right] = levels
    return found


def _block_levels(
    context: tuple[Mosaic, MeshImage | None, Mesh, Chosen],
    block: tuple[int, int, int, int],
) -> Found:
    mosaic, background, mesh, chosen = context
    top, bottom, left, right = block
    own = None if chosen is None else chosen[top:bottom, left:right]
    values = above_background(mosaic, background, mesh.extent(block))
    levels, sigmas = window_levels(mesh, values, block, chosen=own)
    return {"levels": levels, "sigmas": sigmas}


def _block_noises(
    context: tuple[Mosaic, MeshImage | None, Mesh], block: tuple[int, int, int, int]
) -> Found:
    mosaic, background, mesh = context
    values = above_background(mosaic, background, mesh.extent(block))
    sigmas = window_noises(mesh, values, block)
    zeros = window_zeros(mesh, values, sigmas, block)
    spreads = window_spreads(mesh, values, sigmas, zeros, block)
    return {"sigmas": sigmas, "zeros": zeros, "spreads": spreads}


def _require_pixels(mosaic: Mosaic) -> None:
    """Raises ImageError if all pixels are blank."""
    _, columns = _whole(mosaic)
    for start, stop in bands((0, mosaic.shape[0]), mosaic.shape):
        if np.isfinite(mosaic.read(slice(start, stop), columns)).any():
            return
    raise ImageError(
        f"{mosaic.path}: has no finite pixel; cut the image where it has data."
    )


def _whole_noise(mosaic: Mosaic, background: MeshImage | None) -> float:
    """Returns the noise of a mosaic in which no window has one."""
    _, columns = _whole(mosaic)
    kept, count = [], 0
    for start, stop in bands((0, mosaic.shape[0]), mosaic.shape):
        part = above_background(mosaic, background, (slice(start, stop), columns))
        kept.append(part[np.isfinite(part)])
        count += len(kept[-1])
        if count > MOST_LEFT:
            return _positive(0.0, mosaic)
    return _positive(noise(np.concatenate(kept)[None]), mosaic)


def _positive(sigma: float, mosaic: Mosaic) -> float:
    if not sigma > 0:
        raise ImageError(
            f"{mosaic.path}: cannot estimate the noise, as over half of the pixels "
            "share one value; set blank pixels to NaN."
        )
    return sigma
