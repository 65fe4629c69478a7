"""Catalogs as files, read back by other people's readers."""

import importlib.util
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits, votable
from astropy.table import MaskedColumn, QTable, Table

from claran.catalog import table_files, votables
from claran.catalog.columns import COLUMNS, define_column, finish_table
from claran.catalog.tables import table_format, write_table
from claran.io.paths import from_ascii, to_ascii

with_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed"
)
PARQUET = pytest.param(".parquet", marks=with_pyarrow)
ENDINGS = (".ecsv", ".fits", ".vot", PARQUET)
META = {
    "CLARAN": "1.2.3",
    "THRESHOLDS": {"seed": 5.0, "flood": 3.0, "nms": {"iou": [0.3, 0.7]}},
    "NOTES": "no beam: assumed FIRST's, 5.4″, in é.fits\nand a second line " * 9,
    "BEAM": 5.4,
    "CLASSES": "1_1, 2_3",
}
ROWS = {
    "name": ["J120000.0+300000", "J000000.0-000001", "a"],
    "image": ["é.fits", "😀 <&>\"'.fits", "a.fits"],
    "label": ["2_3", "1_1", ""],
    "ra": np.array([180.0, 0.0, 359.9999999]),
    "dec": np.array([30.0, -0.0002778, 89.9999999]),
    "flux": np.array([1.23456e-5, np.nan, 7.0]),
    "las": np.array([np.nan, 1.5, 1000.0]),
    "n_peaks": np.array([1, 0, 2**31 - 1]),
    "p_2_3": np.array([0.25, 1.0, 0.0]),
    "components": ["a;b", "", "c"],
}
TEXTS = ("name", "image", "label", "components")
NUMBERS = ("flux", "las", "n_peaks", "p_2_3")


@pytest.fixture
def table():
    return finish_table(ROWS, "sources", META)


@pytest.fixture(params=[57, 10**6], ids=["many parts", "one part"])
def parts(request, monkeypatch):
    monkeypatch.setattr(table_files, "ROWS", request.param)
    monkeypatch.setattr(votables, "ROWS", request.param)


def read(path):
    """Returns a file as Astropy reads it."""
    if path.suffix == ".parquet":
        pytest.importorskip("pandas", reason="Astropy reads Parquet with pandas")
    found = QTable.read(path, format=table_format(path))
    if "center" in found.colnames:
        found["ra"], found["dec"] = found["center"].ra.deg, found["center"].dec.deg
    return found


def texts(column):
    """Returns texts as they are; an empty one is masked where files know no such."""
    return np.asarray(np.ma.filled(column, "")).astype(str).tolist()


@pytest.mark.parametrize("rows", [3, 0])
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read(table, tmp_path, ending, rows):
    path = tmp_path / f"t{ending}"
    write_table(table[:rows], path)
    found = read(path)
    for name in TEXTS:
        expected = table[name].tolist()[:rows]
        if ending == ".fits":
            expected = [to_ascii(one) for one in expected]
        assert texts(found[name]) == expected
    for name in NUMBERS:
        assert found[name].dtype.newbyteorder("=") == table[name].dtype
        assert found[name].unit == table[name].unit
        values = np.ma.filled(u.Quantity(found[name]).value, np.nan)
        np.testing.assert_array_equal(values, u.Quantity(table[name]).value[:rows])
    for name in ("ra", "dec"):
        np.testing.assert_array_equal(u.Quantity(found[name]).value, ROWS[name][:rows])
    if ending in (".parquet", ".vot"):
        assert all(column.info.description for column in found.itercols())


@pytest.mark.parametrize("ending", [".csv", *ENDINGS])
def test_written_twice_it_is_the_same_file(table, tmp_path, ending):
    for name in "ab":
        write_table(table, tmp_path / f"{name}{ending}")
    one, other = ((tmp_path / f"{name}{ending}").read_bytes() for name in "ab")
    assert one == other


@pytest.mark.parametrize("ending", ENDINGS)
def test_parts_make_no_difference(rng, tmp_path, monkeypatch, ending):
    rows = {"flux": rng.normal(size=200), "name": np.arange(200).astype(str)}
    rows["ra"] = rows["dec"] = rng.uniform(0, 90, 200)
    table = finish_table(rows, "sources", META)
    for size in (57, 10**6):
        monkeypatch.setattr(table_files, "ROWS", size)
        monkeypatch.setattr(votables, "ROWS", size)
        write_table(table, tmp_path / f"{size}{ending}")
        found = read(tmp_path / f"{size}{ending}")
        np.testing.assert_array_equal(u.Quantity(found["flux"]), table["flux"])
        assert texts(found["name"]) == table["name"].tolist()
    if ending != ".parquet":
        parts, whole = (tmp_path / f"{size}{ending}" for size in (57, 10**6))
        assert parts.read_bytes() == whole.read_bytes()


def test_fits_says_what_columns_and_table_are(table, tmp_path):
    write_table(table, tmp_path / "t.fits")
    header = fits.getheader(tmp_path / "t.fits", 1)
    for number in range(1, header["TFIELDS"] + 1):
        column = define_column(header[f"TTYPE{number}"], "sources")
        assert header[f"TUCD{number}"] == column.ucd
        assert header[f"TCOMM{number}"] == column.meaning
        assert header.get(f"TUNIT{number}", "") == column.unit
    assert header["CLARAN"] == "1.2.3" and header["BEAM"] == 5.4
    assert json.loads(header["THRESHOLDS"]) == META["THRESHOLDS"]
    assert header["NOTES"] == to_ascii(META["NOTES"].replace("\n", "\\n")).strip()
    assert "COMMENT" not in header  # Where Astropy has what it finds no place for.


@pytest.mark.parametrize(
    "value",
    [{"a": "x" * 300}, "é" * 100, None, np.nan, np.float32(0.5), True, (1, 2)],
    ids=["nested", "text", "nothing", "nan", "float32", "bool", "tuple"],
)
def test_any_metadata(table, tmp_path, value):
    table.meta = {"A": value, "A LONGER KEY": value}
    for ending in (".ecsv", ".fits", ".vot"):
        write_table(table, tmp_path / f"t{ending}")
    header = fits.getheader(tmp_path / "t.fits", 1)
    infos = votable.parse(tmp_path / "t.vot").resources[0].infos
    for name in ("A", "A LONGER KEY"):
        text = json.dumps(value) if isinstance(value, dict | tuple) else str(value)
        assert from_ascii(str(header[name])) == text
        assert {info.name: info.value for info in infos}[name] == text


@with_pyarrow
def test_astropy_finds_units_and_metadata_in_parquet(table, tmp_path):
    write_table(table, tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet")
    assert found.meta == META
    assert found["ra"].info.meta == {"ucd": "pos.eq.ra;meta.main"}


def test_parquet_is_a_table_for_everybody(table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(table, tmp_path / "t.parquet")
    found = parquet.read_table(tmp_path / "t.parquet")
    assert found["image"].to_pylist() == ROWS["image"]
    assert str(found.schema.field("flux").type) == "float"
    # The IVOA's note VOParquet: a VOTable without rows.
    about = found.schema.metadata
    assert about[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    header = votable.parse(io.BytesIO(about[b"IVOA.VOTable-Parquet.content"]))
    fields = header.get_first_table().fields
    assert [field.name for field in fields] == found.column_names


def test_parquet_without_pyarrow(table, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"t\.parquet: .* package pyarrow; install it"):
        write_table(table, tmp_path / "t.parquet")


@pytest.fixture
def masked():
    """Returns a table of what `finish_table` does not make."""
    mask = [False, True]
    return Table(
        {
            "i": MaskedColumn([1, 2], mask=mask),
            "f": MaskedColumn([1.5, 2.5], mask=mask, unit="mJy"),
            "s": MaskedColumn(["a", "b"], mask=mask),
            "b": np.array([True, False]),
            "u": np.array([1, 65535], np.uint16),
            "o": np.array(["a", "much longer"], object),
        }
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_masks_and_other_types(masked, tmp_path, ending):
    if ending == ".fits":
        masked.remove_column("o")
    write_table(masked, tmp_path / f"t{ending}")
    if ending == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        found = parquet.read_table(tmp_path / "t.parquet").to_pydict()
        assert (found["i"], found["f"], found["s"]) == (
            [1, None],
            [1.5, None],
            ["a", None],
        )
        assert found["b"] == [True, False] and found["u"] == [1, 65535]
        return
    found = Table.read(tmp_path / f"t{ending}", format=table_format(f"t{ending}"))
    assert found["i"].tolist() == [1, None] and found["u"].tolist() == [1, 65535]
    assert found["f"].tolist() == [1.5, None] and found["f"].unit == u.mJy
    assert found["b"].tolist() == [True, False]
    assert found["b"].dtype == bool
    assert texts(found["s"])[0] == "a"


def test_a_column_of_arrays_is_refused(tmp_path):
    with pytest.raises(TypeError, match="no column like `a`"):
        write_table(Table({"a": np.zeros((2, 2))}), tmp_path / "t.vot")


def tables_of_a_catalog():
    yield "sources", finish_table(ROWS, "sources", META | {"EPOCH": "J2009.5"})
    yield "empty", finish_table(ROWS, "sources")[:0]
    for kind, columns in COLUMNS.items():
        values = {"U": ["é", "b"], "f": np.array([0.5, np.nan]), "i": np.arange(2)}
        rows = {column.name: values[column.dtype[0]] for column in columns}
        yield kind, finish_table(rows, kind, META)


CATALOGS = list(tables_of_a_catalog())


@pytest.mark.parametrize("name, table", CATALOGS, ids=[one for one, _ in CATALOGS])
def test_validators_have_nothing_to_say(name, table, tmp_path):
    path = tmp_path / "t.vot"
    write_table(table, path)
    assert votable.validate(path, output=None)
    frames = votable.parse(path).resources[0].coordinate_systems
    assert [frame.system for frame in frames] == ["ICRS"]
    assert frames[0].epoch == table.meta.get("EPOCH")


@pytest.mark.parametrize("name, table", CATALOGS, ids=[one for one, _ in CATALOGS])
def test_votlint_has_nothing_to_say(name, table, tmp_path):
    stilts = shutil.which("stilts")
    if stilts is None:
        pytest.skip("STILTS is not on the PATH; Debian's package `stilts` has it")
    write_table(table, tmp_path / "t.vot")
    done = subprocess.run(
        [stilts, "votlint", tmp_path / "t.vot"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout + done.stderr == ""
