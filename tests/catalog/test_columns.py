import numpy as np
import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd
from astropy.table import QTable

from claran.catalog.columns import COLUMNS, define_column, finish_table
from claran.catalog.tables import write_table

CLASSES = ("1_1", "2_3")


def make_rows(kind, count, rng):
    """Returns a value of each column, with some that are unknown."""
    rows = {}
    for column in COLUMNS[kind]:
        if column.dtype == "U":
            rows[column.name] = np.array([f"{column.name} {i}" for i in range(count)])
        elif column.dtype[0] == "i":
            rows[column.name] = rng.integers(0, 100, count)
        else:
            rows[column.name] = rng.lognormal(-6, 3, count)
            rows[column.name][1::3] = np.nan
    rows["ra"], rows["dec"] = rng.uniform(0, 360, count), rng.uniform(-90, 90, count)
    if kind == "sources":
        rows |= {f"p_{name}": rng.uniform(size=count) for name in CLASSES}
    return rows


@pytest.fixture(params=["sources", "components"])
def kind(request):
    return request.param


def test_columns_are_in_order_whatever_the_order_of_the_rows(rng, kind):
    rows = make_rows(kind, 4, rng)
    table = finish_table(dict(reversed(rows.items())), kind)
    names = [column.name for column in COLUMNS[kind] if column.name != "ra"]
    names[names.index("dec")] = "center"
    if kind == "sources":
        place = names.index("probability") + 1
        names[place:place] = ["p_2_3", "p_1_1"]  # As they were given.
    assert table.colnames == names
    for name in set(names) - {"center"}:
        column = define_column(name, kind)
        assert table[name].info.description == column.meaning
        assert table[name].info.meta["ucd"] == column.ucd
        assert (table[name].unit or "") == u.Unit(column.unit or "")


def test_each_column_has_a_unit_and_words_that_others_know(kind):
    names = [column.name for column in COLUMNS[kind]]
    assert len(set(names)) == len(names)
    for column in (*COLUMNS[kind], define_column("p_1_1", "sources")):
        assert check_ucd(column.ucd, check_controlled_vocabulary=True, has_colon=True)
        u.Unit(column.unit).to_string("vounit")
        np.dtype(column.dtype)
        if column.name.startswith("e_"):
            value = define_column(column.name[2:], kind)
            assert column.unit == value.unit or value.name in ("ra", "dec")
            assert column.ucd.startswith("stat.error;")


def test_the_last_bit_does_not_show(rng, kind):
    rows = make_rows(kind, 200, rng)
    changed = {
        name: np.nextafter(values, 2 * values) if values.dtype.kind == "f" else values
        for name, values in rows.items()
    }
    one, other = finish_table(rows, kind), finish_table(changed, kind)
    for name in set(one.colnames) - {"center"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert (one["center"].ra == other["center"].ra).all()


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("flux", 0.00123456789, 0.00123457),
        ("flux", -12345678.0, -12345700.0),
        ("e_flux", 9.99996e-7, 1e-6),
        ("flux", 0.0, 0.0),
        ("flux", np.nan, np.nan),
        ("flux", np.inf, np.inf),
        ("score", 0.87654321, 0.876543),
        ("las", 12.34567, 12.346),
        ("pa", -0.001, 0.0),
    ],
)
def test_numbers_are_rounded(name, value, expected):
    table = finish_table({name: np.array([value])}, "sources")
    (found,) = u.Quantity(table[name]).value
    assert (
        found == np.dtype(define_column(name, "sources").dtype).type(expected)
        or np.isnan([found, expected]).all()
    )
    assert not np.signbit(found) or found < 0  # No -0.


@pytest.mark.parametrize(
    "ra, dec, expected",
    [
        (359.99999999, -1e-9, (0.0, 0.0)),
        (-1e-12, 90.0, (0.0, 90.0)),
        (12.34567894, -45.67891236, (12.3456789, -45.6789124)),
        (np.nan, np.nan, (np.nan, np.nan)),
    ],
)
def test_positions_are_rounded_and_stay_on_the_sky(ra, dec, expected):
    rows = {"ra": np.array([ra]), "dec": np.array([dec])}
    (center,) = finish_table(rows, "components")["center"]
    np.testing.assert_array_equal((center.ra.deg, center.dec.deg), expected)
    assert not np.signbit(center.dec.deg) or dec < -1e-8


def test_text_shows_what_is_stored(rng, kind, tmp_path):
    table = finish_table(make_rows(kind, 30, rng), kind, {"CLARAN": "1"})
    write_table(table, tmp_path / "t.ecsv")
    found = QTable.read(tmp_path / "t.ecsv")
    assert found.colnames == table.colnames and found.meta == {"CLARAN": "1"}
    for name in set(table.colnames) - {"center"}:
        assert found[name].dtype == table[name].dtype
        np.testing.assert_array_equal(found[name], table[name], err_msg=name)
        assert found[name].info.meta == table[name].info.meta
    assert (found["center"].ra == table["center"].ra).all()


def test_columns_may_be_missing():
    table = finish_table({"flux": np.ones(2), "name": ["a", "bcd"]}, "sources")
    assert table.colnames == ["name", "flux"]
    assert finish_table({}, "sources").colnames == []


def test_no_rows(kind, rng):
    rows = {name: values[:0] for name, values in make_rows(kind, 2, rng).items()}
    table = finish_table(rows, kind)
    assert len(table) == 0 and table["flux"].unit == u.Jy


@pytest.mark.parametrize(
    "rows, message",
    [
        ({"fluxx": np.ones(2)}, "the table of components has no column fluxx"),
        ({"p_1_1": np.ones(2)}, "has no column p_1_1"),
        ({"flux": np.ones(2), "x": np.ones(1)}, "different lengths: .*'x': 1"),
        ({"ra": np.ones(2)}, "`ra` and `dec` go together"),
    ],
)
def test_faults_of_rows(rows, message):
    with pytest.raises(ValueError, match=message):
        finish_table(rows, "components")
