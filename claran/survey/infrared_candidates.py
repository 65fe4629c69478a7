"""Candidates for hosts measured on infrared images of any size, part by part."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import skycoord_to_pixel
from jaxtyping import Bool
from scipy.spatial import KDTree

from claran.catalog.iau_names import iau_names
from claran.errors import ImageError
from claran.hosts.candidates import Candidates
from claran.hosts.infrared_sources import measure_candidates
from claran.sky.bands import RunJobs, around_part, crop
from claran.sky.header_wcs import pixel_area
from claran.sky.images import SkyImage
from claran.sky.mosaics import Mosaic
from claran.survey.tiles import Tile, make_tiles

__all__ = ["measure_images"]

SIDE = 1024  # Pixels of a part; fixed, as the noise in it depends on its size.
HALO = 64  # Pixels around it, as many as a window of the background.
SAME = 2.0  # Arcsec: what two images show so close is one source.
EMPTY = 0.1  # Share of pixels with values under which a part need not be measured.
COLUMNS = ("ra", "dec", "error_arcsec", "magnitude")


def measure_images(images: Sequence[Mosaic], run: RunJobs) -> Candidates:
    """Returns the sources on some infrared images, each once.

    Args:
        images: The images; each needs a WCS. What two of them show is taken from the
            first.
        run: Runs a stage, see `claran.survey.jobs.Jobs.run`.

    Raises:
        ImageError: An image cannot be read or measured.
    """
    parts = [_of_image(image, run) for image in images]
    new = _new(parts)
    # Where images overlap, the sky counts once.
    area = sum(
        part.area_deg2 * (own.mean() if len(own) else 1)
        for part, own in zip(parts, new, strict=True)
    )
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])[
            np.concatenate(new)
        ]
        for name in COLUMNS
    }
    return Candidates(
        **columns, ids=iau_names(columns["ra"], columns["dec"], "IR", digits=1),
        area_deg2=area, name=", ".join(image.name for image in images),
        relative=any(part.relative for part in parts),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )  # fmt: skip


def measure_part(image: Mosaic, tile: Tile) -> dict[str, np.ndarray]:
    """Returns the sources in a part of an infrared image.

    Args:
        image: The image.
        tile: The part.

    Returns:
        Columns of `Candidates`, and `pixels`, the number of those with a value.
    """
    part = (tile.rows, tile.columns)
    wide = around_part(part, HALO, image.shape)
    values = image.read(*wide)
    pixels = np.array([np.isfinite(values[crop(part, wide)]).sum()])
    nothing = {name: np.zeros(0) for name in COLUMNS} | {"pixels": pixels}
    if not pixels[0]:
        return nothing
    assert image.wcs is not None  # noqa: S101 - others are no candidates' images.
    wcs: Any = image.wcs[wide]
    shown = SkyImage(
        values=values, wcs=wcs, name=str(image.path), photometry=image.photometry
    )
    try:
        found = measure_candidates(shown)
    except ImageError:
        if np.isfinite(values).mean() < EMPTY:
            return nothing
        raise
    sky = SkyCoord(found.ra, found.dec, unit="deg")
    x, y = skycoord_to_pixel(sky, wcs, mode="wcs")
    x, y = x + wide[1].start + 0.5, y + wide[0].start + 0.5
    own = (tile.x0 <= x) & (x < tile.x1) & (tile.y0 <= y) & (y < tile.y1)
    return {name: getattr(found, name)[own] for name in COLUMNS} | {"pixels": pixels}


def _of_image(image: Mosaic, run: RunJobs) -> Candidates:
    tiles = make_tiles(image.shape, SIDE)
    parts = list(run("candidates", measure_part, image, tiles))
    columns: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in COLUMNS
    }
    photometry = image.photometry
    relative = photometry.zero_point is None or photometry.band != "W1"
    note = f"{image.name}: no zero point in W1: magnitudes do not count"
    pixels = sum(int(part["pixels"].sum()) for part in parts)
    assert image.wcs is not None  # noqa: S101 - others are no candidates' images.
    return Candidates(
        **columns, ids=np.arange(len(columns["ra"])), name=image.name,
        area_deg2=max(pixels, 1) * pixel_area(image.wcs), relative=relative,
        notes=(note,) if relative else (),
    )  # fmt: skip


def _new(parts: Sequence[Candidates]) -> list[Bool[np.ndarray, "_"]]:
    """Returns which sources of each image no image before it shows."""
    seen = np.zeros((0, 3))
    found = []
    for part in parts:
        new = np.ones(len(part), bool)
        if len(seen) and len(part):
            near, _ = KDTree(seen).query(part.directions)
            new = near > np.radians(SAME / 3600)
        seen = np.concatenate([seen, part.directions[new]])
        found.append(new)
    return found
