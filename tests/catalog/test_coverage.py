import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.wcs import WCS

from claran.catalog.coverage import (
    area_searched,
    cell_centers,
    coverage_area,
    write_coverage,
)
from claran.catalog.tables import to_icrs

BLOCK = 50
PIXEL = 1 / 1000  # Degrees.


@pytest.fixture
def mocpy():
    return pytest.importorskip("mocpy")


def make_wcs(ra, dec, ctype=("RA---SIN", "DEC--SIN"), size=(1000, 1000)):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ctype, [ra, dec]
    wcs.wcs.crpix = [size[1] / 2 + 0.5, size[0] / 2 + 0.5]
    wcs.wcs.cdelt = [-PIXEL, PIXEL]
    return wcs


def covered(moc, wcs, points):
    ra, dec = to_icrs(wcs, np.asarray(points) - 0.5)
    return moc.contains_lonlat(ra * u.deg, dec * u.deg).tolist()


PLACES = {
    "anywhere": (150.0, 2.2),
    "ra 0": (0.0, -5.0),
    "pole": (0.0, 90.0),
    "south pole in a corner": (30.0, -89.5),
    "between faces": (45.0, 41.81),
}


@pytest.mark.usefixtures("mocpy")
@pytest.mark.parametrize("place", PLACES)
def test_area_of_an_image(place):
    wcs, grid = make_wcs(*PLACES[place]), np.ones((20, 20), bool)
    moc = area_searched(wcs, grid, BLOCK, (1000, 1000))
    assert coverage_area(moc) == pytest.approx(1, rel=5e-3)
    inner = [(5, 5), (995, 5), (5, 995), (500, 500), (500, 995)]
    outer = [(-5, 5), (1005, 5), (5, 1005), (500, -5)]
    assert covered(moc, wcs, inner) == [True] * 5
    assert covered(moc, wcs, outer) == [False] * 4


@pytest.mark.usefixtures("mocpy")
@pytest.mark.parametrize(
    "ctype",
    [("GLON-TAN", "GLAT-TAN"), ("DEC--SIN", "RA---SIN"), ("RA---CAR", "DEC--CAR")],
)
def test_other_frames_and_projections(ctype):
    wcs = make_wcs(10.0, 10.0, ctype)
    moc = area_searched(wcs, np.ones((20, 20), bool), BLOCK, (1000, 1000))
    assert coverage_area(moc) == pytest.approx(1, rel=5e-3)
    assert covered(moc, wcs, [(5, 5), (-5, 5)]) == [True, False]


@pytest.mark.usefixtures("mocpy")
def test_holes_are_left_out_and_the_last_blocks_are_smaller():
    shape = (510, 1020)
    wcs, grid = make_wcs(0.0, 60.0, size=shape), np.ones((11, 21), bool)
    grid[2:5, 3:9] = False
    moc = area_searched(wcs, grid, BLOCK, shape)
    expected = (510 * 1020 - 18 * BLOCK**2) * PIXEL**2
    assert coverage_area(moc) == pytest.approx(expected, rel=5e-3)
    assert covered(moc, wcs, [(200, 150), (146, 150), (1015, 505), (1024, 505)]) == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.usefixtures("mocpy")
@pytest.mark.parametrize("blocks", [1, 20])
def test_the_size_of_the_file_does_not_follow_that_of_the_image(tmp_path, blocks):
    side = blocks * 200
    wcs, grid = make_wcs(80.0, 20.0, size=(side, side)), np.ones((blocks, blocks), bool)
    moc = area_searched(wcs, grid, 200, (side, side))
    area = write_coverage([moc], tmp_path / "m.fits")
    assert area == pytest.approx((side * PIXEL) ** 2, rel=5e-3)
    assert (tmp_path / "m.fits").stat().st_size < 40_000


def test_overlapping_images_count_once(mocpy, tmp_path):
    grid = np.ones((20, 20), bool)
    wcses = [make_wcs(359.75, 0.0), make_wcs(0.25, 0.0)]  # Half of each is in both.
    areas = [area_searched(wcs, grid, BLOCK, (1000, 1000)) for wcs in wcses]
    path = tmp_path / "m.fits"
    assert write_coverage(areas, path) == pytest.approx(1.5, rel=5e-3)
    assert mocpy.MOC.load(path, format="fits") == areas[0].union(areas[1])
    old = path.read_bytes()
    write_coverage(areas[::-1], path)
    assert path.read_bytes() == old


@pytest.mark.usefixtures("mocpy")
def test_nothing_was_searched(tmp_path):
    grid = np.zeros((20, 20), bool)
    moc = area_searched(make_wcs(0.0, 0.0), grid, BLOCK, (1000, 1000))
    assert write_coverage([moc], tmp_path / "m.fits") == 0
    assert write_coverage([], tmp_path / "m.fits") == 0


@pytest.mark.parametrize("order", [0, 1, 4, 12, 29])
def test_centers_lie_in_their_cells(mocpy, rng, order):
    count = 12 * 4**order
    cells = np.unique(rng.integers(0, count, 3000))
    ra, dec = cell_centers(cells, order)
    found = mocpy.MOC.from_lonlat(ra * u.deg, dec * u.deg, max_norder=order).flatten()
    np.testing.assert_array_equal(np.sort(found), cells)


@pytest.mark.usefixtures("mocpy")
def test_blocks_of_another_image_are_refused():
    with pytest.raises(ValueError, match=r"\(20, 20\) blocks of 50 pixels do not make"):
        area_searched(make_wcs(0.0, 0.0), np.ones((20, 20), bool), BLOCK, (1001, 1000))


def test_without_mocpy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mocpy", None)
    with pytest.raises(ImportError, match=r"\(MOC\) needs the package mocpy; install"):
        write_coverage([], tmp_path / "m.fits")
