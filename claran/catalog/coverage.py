"""The area searched, as a multi-order coverage map (MOC) of the sky."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from jaxtyping import Bool, Float, Int

from claran.catalog.tables import to_icrs
from claran.io.atomic import replace_file
from claran.sky.frames import celestial_frame

__all__ = ["area_searched", "cell_centers", "coverage_area", "write_coverage"]

SKY = 129_600 / np.pi  # Square degrees.
# At least, in the area of an image, so that it is right within 0.4%; fewer in each of
# many images, whose errors balance: 65,536 of 9' take 0.4 s, and 4,096 take 0.04 s.
CELLS, FEWEST_CELLS = 65_536, 4096
SAMPLES = 1.2  # To a side of a cell: none is further than a cell from one.
MOST = 4_000_000  # Samples at a time, in 300 MB.


def area_searched(
    wcs: WCS, searched: Bool[np.ndarray, "rows columns"], block: int,
    shape: tuple[int, int], *, images: int = 1,
) -> Any:  # fmt: skip
    """Returns the area of an image that was searched.

    A cell of the sky belongs to it if its center is in a block that was searched. The
    number of cells does not depend on the size of the image.

    Args:
        wcs: Celestial WCS of the image.
        searched: For each block of the image, whether it was searched.
        block: Side of the square blocks, in pixels; the last ones may be smaller.
        shape: Shape `(ny, nx)` of the image.
        images: Number of images that the whole area is put together of.

    Returns:
        A `mocpy.MOC`.

    Raises:
        ImportError: The package `mocpy` is missing.
        ValueError: The blocks are not those of an image of this shape.
    """
    moc = _mocpy().MOC
    if searched.shape != tuple(-(-side // block) for side in shape):
        raise ValueError(
            f"{searched.shape} blocks of {block} pixels do not make up an image of "
            f"{shape} pixels."
        )
    if not searched.any():
        return moc.new_empty(max_depth=0)
    pixel = np.sqrt(abs(np.linalg.det(wcs.celestial.pixel_scale_matrix)))
    area = searched.sum() * (block * pixel) ** 2
    # A cell of order 0 is a twelfth of the sky.
    cells = max(FEWEST_CELLS, CELLS // images)
    order = int(np.ceil(np.log(cells * SKY / 12 / area) / np.log(4)))
    order = min(max(order, 1), 29)
    cell = np.sqrt(SKY / 12 / 4**order) / pixel
    touched = moc.new_empty(max_depth=order)
    for points in _samples(searched, block, shape, cell / SAMPLES):
        ra, dec = to_icrs(wcs, points - 0.5)
        known = np.isfinite(ra) & np.isfinite(dec)
        sky = [values[known] * units.deg for values in (ra, dec)]
        touched = touched.union(moc.from_lonlat(*sky, max_norder=order))
    numbers = touched.add_neighbours().flatten().astype(np.int64)
    inside = _searched_at(wcs, cell_centers(numbers, order), searched, block, shape)
    return moc.from_healpix_cells(
        numbers[inside].astype(np.uint64), np.full(inside.sum(), order, np.uint8), order
    )


def write_coverage(areas: Iterable[Any], path: Path) -> float:
    """Writes the union of areas as a FITS file and returns its size in square degrees.

    Args:
        areas: Areas of `area_searched`.
        path: The file.

    Raises:
        ImportError: The package `mocpy` is missing.
        OSError: The file cannot be written.
    """
    empty = _mocpy().MOC.new_empty(max_depth=0)
    union = functools.reduce(lambda one, other: one.union(other), areas, empty)
    replace_file(path, lambda part: union.save(part, format="fits", overwrite=True))
    return coverage_area(union)


def _samples(
    searched: Bool[np.ndarray, "rows columns"], block: int, shape: tuple[int, int],
    spacing: float,
) -> Iterator[Float[np.ndarray, "n 2"]]:  # fmt: skip
    """Yields points `(x, y)` in the blocks that were searched, edges counted from 0."""
    along = max(1, int(np.ceil(block / spacing)))
    steps = (np.arange(along) + 0.5) * block / along
    offsets = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(1, -1, 2)
    corners = np.argwhere(searched)[:, None, ::-1] * float(block)
    few = max(1, MOST // along**2)
    for start in range(0, len(corners), few):
        points = (corners[start : start + few] + offsets).reshape(-1, 2)
        yield points[(points < shape[::-1]).all(axis=1)]


def _searched_at(
    wcs: WCS,
    places: tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]],
    searched: Bool[np.ndarray, "rows columns"],
    block: int,
    shape: tuple[int, int],
) -> Bool[np.ndarray, "n"]:
    """Returns whether places `(ra, dec)` are in blocks that were searched."""
    sky: Any = SkyCoord(*places, unit="deg").transform_to(celestial_frame(wcs))
    world = np.empty((len(places[0]), 2))
    world[:, wcs.wcs.lng] = sky.spherical.lon.deg
    world[:, wcs.wcs.lat] = sky.spherical.lat.deg
    points = np.asarray(wcs.all_world2pix(world, 0, quiet=True)) + 0.5
    with np.errstate(invalid="ignore"):
        inside = np.all((points >= 0) & (points < shape[::-1]), axis=1)
    column, row = (np.where(inside[:, None], points, 0).T // block).astype(int)
    return inside & searched[row, column]


def _mocpy() -> Any:
    """Returns the package, which is optional.

    Raises:
        ImportError: It is missing.
    """
    try:
        import mocpy  # noqa: PLC0415
    except ImportError:
        raise ImportError(
            "The map of the area searched (MOC) needs the package mocpy; install it "
            "with `python -m pip install mocpy`."
        ) from None
    return mocpy


def coverage_area(area: Any) -> float:
    """Returns the size of an area in square degrees.

    Args:
        area: A `mocpy.MOC`.
    """
    return float(area.sky_fraction * SKY)


def cell_centers(
    cells: Int[np.ndarray, "n"], order: int
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns the centers of HEALPix cells, degrees.

    Górski et al. 2005 (ApJ 622, 759), section 5 and figure 4: a cell of the nested
    scheme is a pixel `(x, y)` of one of twelve square faces.

    Args:
        cells: Numbers in the nested scheme.
        order: Logarithm to base 2 of the pixels along a face.
    """
    side = 1 << order
    face, inside = np.divmod(cells, side * side)
    x, y = _every_other_bit(inside), _every_other_bit(inside >> 1)
    row, column = np.divmod(face, 4)
    ring = (row + 2) * side - x - y - 1  # Of 4 side - 1 rings, from the north pole.
    near = np.clip(np.minimum(ring, 4 * side - ring), 0, side)  # Cells to a quarter.
    latitude = np.where(
        near < side,
        np.sign(2 * side - ring) * (90 - 2 * _arcsin(near / side / np.sqrt(6))),
        _arcsin(np.clip((2 * side - ring) * 2 / (3 * side), -1, 1)),
    )
    # Twice the column on the plane of the faces, in units of the cells of this ring.
    across = (2 * column + (row != 1)) * near + x - y
    longitude = 45.0 * across / near
    return longitude % 360.0, latitude


def _arcsin(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return np.degrees(np.arcsin(values))


def _every_other_bit(values: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Returns numbers made of the bits 0, 2, 4 ... of others."""
    values = values & 0x5555555555555555
    for shift, mask in (
        (1, 0x3333333333333333), (2, 0x0F0F0F0F0F0F0F0F), (4, 0x00FF00FF00FF00FF),
        (8, 0x0000FFFF0000FFFF), (16, 0x00000000FFFFFFFF),
    ):  # fmt: skip
        values = (values | (values >> shift)) & mask
    return values
