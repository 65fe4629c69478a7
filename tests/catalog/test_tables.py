import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import QTable, Table
from astropy.wcs import WCS

from claran.catalog.tables import (
    detection_table,
    format_table,
    plain_cell,
    sky_columns,
    table_format,
    to_icrs,
    write_table,
)
from claran.detection.detections import Detections

BOXES = np.array([[32.0, 32.0, 33.0, 33.0], [10.125, 20.25, 30.5, 60.75]])
META = {
    "CLARAN": "1.2.3",
    "MINSCORE": 0.05,
    # Longer than a card of a FITS header.
    "ASSUMED": "no beam: assumed FIRST's, 5.4 arcsec, in 153 of 155 fields; no pixel "
    "size: the beam is assumed to be 3 pixels wide (FIRST), in 2 of 155 fields",
}
NUMBERS = ["score", "x0", "y0", "x1", "y1"]
SKY = ["center", "width", "height"]


def make_wcs(projection=("RA---SIN", "DEC--SIN"), **cards):
    """A WCS that has (180, 30) degrees at the center of the pixel over [32, 33]."""
    header = fits.Header({"CTYPE1": projection[0], "CTYPE2": projection[1]})
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CRPIX1"] = header["CRPIX2"] = 33.0
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 3 / 3600
    header.update(cards)
    return WCS(header)


def make_table(wcs=None, rows=2, **columns):
    """Returns a table of two detections, on the sky if there is a WCS."""
    boxes = BOXES[:rows]
    if wcs is not None:
        columns = sky_columns(wcs, boxes) | columns
    return detection_table(
        ["a.fits"] * rows, ["2_3", "1_1"][:rows], np.array([0.9, 1 / 3])[:rows], boxes,
        columns=columns, meta=META,
    )  # fmt: skip


@pytest.fixture
def table():
    return make_table(make_wcs())


def test_columns(table):
    assert table.colnames == ["image", "label", *NUMBERS, *SKY]
    assert list(table["label"]) == ["2_3", "1_1"] and set(table["image"]) == {"a.fits"}
    assert table["x1"][1] == 30.5
    assert table.meta == META


def test_further_columns_come_last_and_as_they_are():
    flux = u.Quantity([1.5, 2.5], u.mJy)
    table = make_table(make_wcs(), host=np.array(["x", "y"]), flux=flux)
    assert table.colnames == ["image", "label", *NUMBERS, *SKY, "host", "flux"]
    assert list(table["host"]) == ["x", "y"]
    assert table["flux"].unit == u.mJy
    assert make_table(host=np.array(["x", "y"])).colnames[-1] == "host"


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


FRAMES = {
    "icrs": {"RADESYS": "ICRS"},
    "fk5": {"RADESYS": "FK5", "EQUINOX": 2000.0},
    "fk5 of no name": {"EQUINOX": 2000.0},  # FIRST's headers.
    "fk5 of 1975": {"RADESYS": "FK5", "EQUINOX": 1975.0},
    "fk5 of B1975": {"RADESYS": "FK5", "EQUINOX": 1974.9997091},
    "fk5 of 2026.5": {"RADESYS": "FK5", "EQUINOX": 2026.5},
    "fk4": {"RADESYS": "FK4", "EQUINOX": 1950.0},
    "fk4 of 1975": {"RADESYS": "FK4", "EQUINOX": 1975.0},
    "galactic": {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"},
    "ecliptic": {"CTYPE1": "ELON-SIN", "CTYPE2": "ELAT-SIN", "EQUINOX": 2000.0},
}


@pytest.mark.parametrize("place", [(180.0, 30.0), (0.0, -5.0), (77.0, 90.0)], ids=str)
@pytest.mark.parametrize("frame", FRAMES)
def test_positions_agree_with_astropy(rng, frame, place):
    wcs = make_wcs(CRVAL1=place[0], CRVAL2=place[1], **FRAMES[frame])
    pixels = np.concatenate([[[32.0, 32.0]], rng.uniform(0, 64, (20, 2))])
    ra, dec = to_icrs(wcs, pixels)
    expected = wcs.pixel_to_world(*pixels.T).icrs
    found = SkyCoord(ra, dec, unit="deg")
    assert found.separation(expected).max() < 1e-6 * u.arcsec
    assert ((ra >= 0) & (ra < 360)).all()
    if place[0] == 0.0 and frame == "icrs":
        # On both sides of the meridian, and on it.
        assert ra.min() == pytest.approx(0, abs=1e-9)
        assert (ra > 350).any() and ((ra > 0) & (ra < 10)).any()
    if place[1] == 90.0 and frame == "icrs":
        assert dec[0] == pytest.approx(90, abs=1e-9)
        assert np.ptp(ra) > 180  # All around the pole.


def test_axes_may_be_turned():
    # Declination along x.
    wcs = make_wcs(
        ("DEC--SIN", "RA---SIN"), CRVAL1=30.0, CRVAL2=180.0, CDELT1=3 / 3600,
        CDELT2=-2 / 3600,
    )  # fmt: skip
    ra, dec = to_icrs(wcs, np.array([[33.0, 31.0]]))
    assert dec == pytest.approx(30 + 3 / 3600, abs=1e-6)
    assert ra == pytest.approx(180 + 2 / 3600 / np.cos(np.pi / 6), abs=1e-6)


def test_right_ascension_a_hair_below_zero_is_zero():
    # The remainder by 360 of -1e-15 is 360.
    wcs = make_wcs(CRVAL1=-1e-15, CRVAL2=0.0, RADESYS="ICRS")
    ra, _ = to_icrs(wcs, np.array([[32.0, 32.0]]))
    assert 0 <= ra[0] < 360


@pytest.mark.parametrize("wcs", [None, make_wcs()], ids=["pixels", "sky"])
def test_empty(wcs):
    table = make_table(wcs, rows=0)
    assert len(table) == 0
    assert table.colnames == ["image", "label", *NUMBERS, *(SKY if wcs else [])]
    assert format_table(table).split()[:3] == ["image", "label", "score"]


class TestManyFields:
    """Fields with a WCS and without in one table, as a detection in many files."""

    def table(self, *wcses, counts=None):
        counts = counts or [1] * len(wcses)
        parts = []
        for wcs, count in zip(wcses, counts, strict=True):
            boxes = np.tile(BOXES[:1], (count, 1))
            one = Detections(
                boxes=boxes, labels=np.ones(count, int), scores=np.ones(count)
            )
            sky = {} if wcs is None else sky_columns(wcs, boxes)
            parts.append(one.with_columns(**sky))
        found = Detections.concatenate(parts)
        names = np.repeat([f"f{i}" for i in range(len(parts))], counts).tolist()
        return detection_table(
            names, ["1_1"] * len(found), found.scores, found.boxes,
            columns=found.columns,
        )  # fmt: skip

    @pytest.mark.parametrize("sky_first", [True, False])
    def test_without_wcs_the_sky_is_unknown(self, sky_first, tmp_path):
        wcses = [make_wcs(), None]
        table = self.table(*(wcses if sky_first else wcses[::-1]))
        blind = "f1" if sky_first else "f0"
        for row in table:
            assert np.isnan(row["center"].ra.deg) == (row["image"] == blind)
            assert np.isnan(row["width"]) == np.isnan(row["height"])
            assert np.isnan(row["height"]) == (row["image"] == blind)
        assert sorted(table["image"]) == ["f0", "f1"]
        for ending in (".ecsv", ".csv", ".fits", ".vot"):
            write_table(table, tmp_path / f"table{ending}")

    def test_other_equinoxes(self):
        # FIRST's headers have an equinox and no frame: FK5. Their ICRS centers, too.
        table = self.table(
            make_wcs(RADESYS="ICRS"),
            make_wcs(EQUINOX=2000.0),
            make_wcs(RADESYS="FK4", EQUINOX=1950.0),
            None,
        )
        icrs, fk5, fk4, none = table["center"]
        assert icrs.separation(fk5).arcsec < 0.1
        assert icrs.separation(fk4).deg > 0.5
        assert np.isnan(none.ra)

    def test_only_pixels(self):
        assert "center" not in self.table(None, None).colnames

    @pytest.mark.parametrize(
        "wcses", [(None, make_wcs()), (make_wcs(), None)], ids=["pixels", "sky"]
    )
    def test_images_without_detections(self, wcses):
        table = self.table(*wcses, counts=[0, 1])
        assert list(table["image"]) == ["f1"] and "center" in table.colnames

    def test_nothing(self):
        table = self.table()
        assert len(table) == 0 and table.colnames == ["image", "label", *NUMBERS]


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


@pytest.mark.parametrize("ending", [".ecsv", ".fits"])
def test_what_a_table_says_of_itself_comes_back(table, tmp_path, ending):
    write_table(table, tmp_path / f"t{ending}")
    found = QTable.read(tmp_path / f"t{ending}", format=table_format(f"t{ending}"))
    assert {name: found.meta[name] for name in META} == META


@pytest.mark.parametrize("ending", [".vot", ".xml"])
def test_a_votable_is_valid_and_says_what_the_table_does(table, tmp_path, ending):
    path = tmp_path / f"t{ending}"
    write_table(table, path)
    assert votable.validate(path, output=None)
    infos = votable.parse(path).resources[0].infos
    assert {info.name: info.value for info in infos} == {
        name: str(value) for name, value in META.items()
    }
    description = votable.parse_single_table(path).description
    expected = "; ".join(f"{name} = {META[name]}" for name in META)
    assert description.split() == expected.split()  # Lines are broken.
    assert table.meta == META  # As it was.


def test_csv_is_nothing_but_rows(table, tmp_path):
    write_table(table, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("image,label,score,x0")


def test_a_table_may_say_nothing_of_itself(tmp_path):
    table = detection_table(["a"], ["1_1"], np.ones(1), BOXES[:1])
    for ending in (".ecsv", ".csv", ".fits", ".vot"):
        path = tmp_path / f"t{ending}"
        write_table(table, path)
        found = QTable.read(path, format=table_format(path))
        assert not set(META) & set(found.meta)
        assert found["x1"].tolist() == [33.0]
    assert votable.parse_single_table(tmp_path / "t.vot").description is None


def test_votable_leaves_the_memory_alone(table, tmp_path):
    """Astropy's writer of VOTable's text corrupts it; the allocator would notice."""
    table.write(tmp_path / "table.ecsv")
    code = """
import sys
from pathlib import Path
from astropy.table import QTable, Table
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


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot"])
def test_endings_in_upper_case(table, ending, tmp_path):
    names = [tmp_path / f"a.{ending}", tmp_path / f"a.{ending.upper()}"]
    table["image"] = ["=1+1.fits", "b.fits"]
    for name in names:
        write_table(table, name)
    lower, upper = (Table.read(name, format=table_format(name)) for name in names)
    assert upper.colnames == lower.colnames and upper["image"][0] == lower["image"][0]


@pytest.mark.parametrize(
    "name",
    ["=1.fits", " =1.fits", "'=1", "' =1", "\uff1d1", " a ", "a-b", "'a", " '=1"],
)
def test_no_cell_of_csv_is_a_formula(table, name, tmp_path):
    table["image"] = [name, "b"]
    write_table(table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        cell = list(csv.reader(file))[1][0]
    assert cell.strip()[0] not in "=+-@\uff1d" and plain_cell(cell) == name


def test_ecsv_keeps_texts_as_they_are(table, tmp_path):
    table["image"] = ["=1+1.fits", "@b.fits"]
    write_table(table, tmp_path / "a.ecsv")
    assert Table.read(tmp_path / "a.ecsv")["image"].tolist() == ["=1+1.fits", "@b.fits"]


@pytest.mark.parametrize("name", ["catalog.txt", "catalog", "catalog.ecsv.gz"])
def test_unknown_format(table, tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name}: must end in one of \.csv, \.ecsv"):
        write_table(table, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(table, tmp_path):
    path = tmp_path / "catalog.fits"
    write_table(table, path)
    old = path.read_bytes()
    table["image"] = [object(), object()]  # FITS has no such column.
    with pytest.raises((TypeError, ValueError)):
        write_table(table, path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
