import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from claran.catalog import cds_readme
from claran.catalog.cds_readme import write_cds
from claran.catalog.columns import COLUMNS, finish_table
from claran.catalog.tables import plain_table


def make_table(kind, count, rng):
    rows = {}
    for column in COLUMNS[kind]:
        if column.dtype == "U":
            rows[column.name] = np.array(
                [f"é{i * '-'}{column.name}" for i in range(count)]
            )
        elif column.dtype[0] == "i":
            rows[column.name] = rng.integers(-5, 2**31 - 1, count)
        else:
            rows[column.name] = rng.normal(size=count) * 10 ** rng.normal(0, 3, count)
            rows[column.name][2::3] = np.nan
    rows["ra"], rows["dec"] = rng.uniform(0, 360, count), rng.uniform(-90, 90, count)
    rows["dec"][0] = -0.00001
    return finish_table(rows, kind)


def read(folder, name):
    with warnings.catch_warnings():
        # The CDS writes Jy/beam; Astropy's list of its units has no beam.
        warnings.filterwarnings("ignore", "'Jy/beam' did not parse as cds unit")
        readme = str(folder / "ReadMe")
        return Table.read(folder / f"{name}.dat", format="ascii.cds", readme=readme)


@pytest.mark.parametrize("rows", [4, 10**6], ids=["parts", "whole"])
def test_astropy_reads_what_is_written(rng, tmp_path, monkeypatch, rows):
    monkeypatch.setattr(cds_readme, "ROWS", rows)
    tables = {kind: make_table(kind, 10, rng) for kind in COLUMNS}
    write_cds(tables, tmp_path, title="A catalog", description="One.\n\nTwo: é.")
    for kind, table in tables.items():
        found, expected = read(tmp_path, kind), plain_table(table)
        names = ["RAdeg" if name == "ra" else name for name in expected.colnames]
        names = ["DEdeg" if name == "dec" else name for name in names]
        assert found.colnames == names
        for name, column in zip(names, expected.itercols(), strict=True):
            if column.dtype.kind == "U":
                texts = [one.replace("é", r"\u00e9") for one in column]
                assert found[name].tolist() == texts
                continue
            values = np.ma.filled(np.ma.asarray(found[name], float), np.nan)
            np.testing.assert_array_equal(values.astype(column.dtype), column)
            if column.unit != u.Jy / u.beam:
                assert found[name].unit == column.unit
            assert (
                found[name]
                .description.split("? ")[-1]
                .startswith(column.description[:20])
            )


def test_lines_have_the_length_that_the_readme_gives(rng, tmp_path):
    table = make_table("sources", 3, rng)
    write_cds({"sources": table}, tmp_path, title="A " * 90, description="word " * 90)
    readme = (tmp_path / "ReadMe").read_text(encoding="ascii").splitlines()
    assert max(map(len, readme)) <= 80
    (line,) = [line for line in readme if line.startswith("sources.dat")]
    _, length, records, *_ = line.split()
    lines = (tmp_path / "sources.dat").read_text(encoding="ascii").splitlines()
    assert {len(one) for one in lines} == {int(length)} and len(lines) == int(records)


def test_notes_are_numbered(rng, tmp_path):
    notes = {"flags": "1: at the edge of the image; 2: blended.", "gone": "?"}
    table = make_table("components", 2, rng)
    write_cds({"t": table}, tmp_path, title="A", notes={"t": notes})
    readme = (tmp_path / "ReadMe").read_text()
    assert "to be said (1)" in " ".join(readme.split())  # Over two lines.
    assert "Note (1): 1: at the edge of the image; 2: blended." in readme
    assert "gone" not in readme
    assert len(read(tmp_path, "t")) == 2


@pytest.mark.parametrize("length", [40, 48, 49, 50, 51, 52])
def test_no_line_of_an_explanation_begins_with_a_number(tmp_path, length):
    table = Table({"a": [1.5, 2.5]})
    table["a"].description = "x " + "y" * length + " 0 if not known"
    write_cds({"t": table}, tmp_path, title="A")
    assert read(tmp_path, "t").colnames == ["a"]
    assert read(tmp_path, "t")["a"].tolist() == [1.5, 2.5]


def test_a_table_without_rows(rng, tmp_path):
    write_cds({"sources": make_table("sources", 2, rng)[:0]}, tmp_path, title="A")
    assert (tmp_path / "sources.dat").read_bytes() == b""
    assert "sources.dat" in (tmp_path / "ReadMe").read_text()


def test_written_twice_it_is_the_same(rng, tmp_path):
    table = make_table("sources", 3, rng)
    for name in "ab":
        write_cds({"sources": table}, tmp_path / name, title="A")
    for name in ("ReadMe", "sources.dat"):
        assert (tmp_path / f"a/{name}").read_bytes() == (
            tmp_path / f"b/{name}"
        ).read_bytes()
