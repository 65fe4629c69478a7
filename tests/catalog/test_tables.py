import os
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from claran.catalog.tables import (
    detection_table,
    format_table,
    stack_tables,
    table_format,
    write_table,
)

NUMBERS = ["score", "x0", "y0", "x1", "y1"]
SKY = ["center", "width", "height"]


def make_wcs(projection=("RA---SIN", "DEC--SIN"), **cards):
    """A WCS that has (180, 30) degrees at the center of the pixel over [32, 33]."""
    header = fits.Header({"CTYPE1": projection[0], "CTYPE2": projection[1]} | cards)
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CRPIX1"] = header["CRPIX2"] = 33.0
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 3 / 3600
    return WCS(header)


@pytest.fixture
def table():
    boxes = np.array([[32.0, 32.0, 33.0, 33.0], [10.125, 20.25, 30.5, 60.75]])
    scores = np.array([0.9, 1 / 3])
    return detection_table("a.fits", ["2_3", "1_1"], scores, boxes, wcs=make_wcs())


def test_columns(table):
    assert table.colnames == ["image", "label", *NUMBERS, *SKY]
    assert list(table["label"]) == ["2_3", "1_1"] and set(table["image"]) == {"a.fits"}
    assert table["x1"][1] == 30.5


def test_place_on_the_sky(table):
    # FITS counts pixels from one: crpix 33 is the pixel that covers [32, 33].
    center = table["center"]
    assert center.frame.name == "icrs"
    assert center[0].ra.deg == pytest.approx(180, abs=1e-9)
    assert center[0].dec.deg == pytest.approx(30, abs=1e-9)
    assert center[1].ra > center[0].ra  # East is left,
    assert center[1].dec > center[0].dec  # north is up.
    assert table["width"].to_value(u.arcsec) == pytest.approx([2, 2 * 20.375])
    assert table["height"].to_value(u.arcsec) == pytest.approx([3, 3 * 40.5])


def test_other_frames_come_out_as_icrs():
    boxes = np.array([[32.0, 32.0, 33.0, 33.0]])
    wcs = make_wcs(("GLON-SIN", "GLAT-SIN"))
    (center,) = detection_table("g", ["1_1"], np.ones(1), boxes, wcs=wcs)["center"]
    assert (center.galactic.l.deg, center.galactic.b.deg) == pytest.approx((180, 30))
    assert center.frame.name == "icrs"


@pytest.mark.parametrize("wcs", [None, make_wcs()], ids=["pixels", "sky"])
def test_empty(wcs):
    table = detection_table("a", [], np.zeros(0), np.zeros((0, 4)), wcs=wcs)
    assert len(table) == 0
    assert table.colnames == ["image", "label", *NUMBERS, *(SKY if wcs else [])]
    assert format_table(table).split()[:3] == ["image", "label", "score"]


class TestStack:
    def one(self, name, wcs=None, count=1):
        boxes = np.tile([32.0, 32.0, 33.0, 33.0], (count, 1))
        return detection_table(name, ["1_1"] * count, np.ones(count), boxes, wcs=wcs)

    @pytest.mark.parametrize("sky_first", [True, False])
    def test_without_wcs_the_sky_is_unknown(self, sky_first):
        tables = [self.one("sky", make_wcs()), self.one("pixels")]
        table = stack_tables(tables if sky_first else tables[::-1])
        for row in table:
            assert np.isnan(row["center"].ra.deg) == (row["image"] == "pixels")
            assert np.isnan(row["width"]) == np.isnan(row["height"])
            assert np.isnan(row["height"]) == (row["image"] == "pixels")
        assert sorted(table["image"]) == ["pixels", "sky"]

    def test_other_equinoxes(self):
        # FIRST's headers have an equinox and no frame: FK5. Their ICRS centers, too.
        wcses = {
            "icrs": make_wcs(RADESYS="ICRS"),
            "fk5": make_wcs(EQUINOX=2000.0),
            "fk4": make_wcs(RADESYS="FK4", EQUINOX=1950.0),
            "none": None,
        }
        table = stack_tables([self.one(*item) for item in wcses.items()])
        icrs, fk5, fk4, none = table["center"]
        assert icrs.separation(fk5).arcsec < 0.1
        assert icrs.separation(fk4).deg > 0.5
        assert np.isnan(none.ra)

    def test_only_pixels(self):
        assert "center" not in stack_tables([self.one("a"), self.one("b")]).colnames

    def test_images_without_detections(self):
        table = stack_tables([self.one("a", count=0), self.one("bb", make_wcs())])
        assert list(table["image"]) == ["bb"]
        table = stack_tables([self.one("a", make_wcs(), count=0), self.one("b")])
        assert list(table["image"]) == ["b"] and "center" in table.colnames

    def test_nothing(self):
        assert len(stack_tables([])) == 0


def test_format_rounds(table):
    lines = format_table(table).splitlines()
    assert lines[0].split()[-4:] == ["ra", "dec", "width", "height"]
    words = "a.fits 2_3 0.900 32.0 32.0 33.0 33.0 180.00000 30.00000 2.0 3.0"
    assert lines[-2].split() == words.split()
    assert "center" in table.colnames  # The table itself stays as it is.


@pytest.mark.parametrize("ending", [".ecsv", ".csv", ".fits", ".vot", ".xml"])
@pytest.mark.parametrize("rows", [2, 0])
def test_files(table, tmp_path, ending, rows):
    path = tmp_path / "new" / f"catalog{ending}"
    write_table(table[:rows], path)
    found = QTable.read(path, format=table_format(path))
    for name in NUMBERS:
        np.testing.assert_array_equal(found[name], table[name][:rows], err_msg=name)
    if ending == ".ecsv":
        ra, dec = found["center"].ra, found["center"].dec
    else:
        assert found.colnames[7:] == ["ra", "dec", "width", "height"]
        ra, dec = found["ra"], found["dec"]
    np.testing.assert_allclose(u.Quantity(ra, u.deg), table["center"].ra[:rows])
    np.testing.assert_allclose(u.Quantity(dec, u.deg), table["center"].dec[:rows])
    assert list(found["label"].astype(str)) == ["2_3", "1_1"][:rows]
    if ending != ".csv":
        assert found["width"].unit == u.arcsec
    assert [path.name for path in path.parent.iterdir()] == [f"catalog{ending}"]


def test_votable_leaves_the_memory_alone(table, tmp_path):
    """Astropy's writer of VOTable's text corrupts it; the allocator would notice."""
    table.write(tmp_path / "table.ecsv")
    code = """
import sys
from pathlib import Path
from astropy.table import QTable
from claran.catalog.tables import write_table
table = QTable.read(sys.argv[1])
for length in range(200, 300):  # Somewhere here a row is as long as a buffer.
    table["image"] = "x" * length
    write_table(table, sys.argv[2])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "table.ecsv", tmp_path / "table.vot"],
        env=os.environ | {"PYTHONMALLOC": "debug"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["catalog.txt", "catalog", "catalog.ecsv.gz"])
def test_unknown_format(table, tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name}: must end in one of \.csv, \.ecsv"):
        write_table(table, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(table, tmp_path):
    path = tmp_path / "catalog.fits"
    write_table(table, path)
    old = path.read_bytes()
    table["image"] = ["\N{GREEK SMALL LETTER ALPHA}.fits"] * 2  # FITS has only ASCII.
    with pytest.raises(ValueError, match="ascii"):
        write_table(table, path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
