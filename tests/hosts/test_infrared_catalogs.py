import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from claran.catalog.table_files import write_parquet
from claran.errors import ImageError
from claran.hosts.infrared_catalogs import catalog_candidates, read_candidates

PLACES = {"ra": [10.0, 10.1], "dec": [-5.0, -5.1]}


def allwise():
    return Table({
        "designation": ["J1", "J2"], **PLACES, "sigra": [0.1, 0.3],
        "sigdec": [0.1, 0.4], "w1mpro": [14.5, np.nan],
    })  # fmt: skip


@pytest.mark.parametrize("ending", ["parquet", "fits", "vot", "csv", "ecsv"])
def test_formats_give_the_same(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    kinds = {"vot": "votable", "csv": "ascii.csv"}
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        write_parquet(allwise(), path)
    else:
        extra = {"format": kinds[ending]} if ending in kinds else {}
        allwise().write(path, **extra)
    candidates = read_candidates(path)
    assert list(candidates.ids) == ["J1", "J2"]
    np.testing.assert_allclose(candidates.ra, PLACES["ra"])
    np.testing.assert_allclose(candidates.magnitude, [14.5, np.nan])
    np.testing.assert_allclose(candidates.error_arcsec, [0.1, np.sqrt(0.125)])


def test_legacy_survey_fluxes_become_vega_magnitudes():
    table = Table({
        **PLACES, "flux_w1": [100.0, 100.0], "flux_ivar_w1": [1.0, 0.0],
        "ra_ivar": [(3600 / 0.2) ** 2, 0.0], "dec_ivar": [(3600 / 0.2) ** 2, 0.0],
        "objid": [7, 8],
    })  # fmt: skip
    candidates = catalog_candidates(table, "tractor")
    np.testing.assert_allclose(candidates.magnitude, [17.5 - 2.699, np.nan])
    np.testing.assert_allclose(candidates.error_arcsec, [0.2, 0.5])
    assert list(candidates.ids) == ["7", "8"]


def test_unwise_fluxes_are_vega():
    table = Table({"RAJ2000": [1.0], "DEJ2000": [2.0], "FW1": [100.0]})
    assert catalog_candidates(table, "unwise").magnitude[0] == pytest.approx(17.5)


def test_units_of_brightness_count():
    places = {"ra": [1.0], "dec": [2.0]}
    flux = 3631e-9 * 100  # Jansky, of 100 nanomaggies.
    for table in (
        Table({**places, "flux_w1": [flux] * u.Jy}),
        Table({**places, "flux_w1": [flux * 1e6] * u.uJy}),
        Table({**places, "flux_w1": [100.0]}),
        Table({**places, "w1_mag": [17.5] * u.ABmag}),
        Table({**places, "w1_mag": [17.5 - 2.699] * u.mag}),
    ):
        magnitude = catalog_candidates(table, "x").magnitude[0]
        assert magnitude == pytest.approx(17.5 - 2.699, abs=1e-3)


def test_unwise_errors_are_in_pixels():
    table = Table({"RAJ2000": [1.0], "DEJ2000": [2.0], "FW1": [100.0]})
    table["e_XposW1"], table["e_YposW1"] = [0.2], [0.2]
    candidates = catalog_candidates(table, "unwise")
    assert candidates.error_arcsec[0] == pytest.approx(0.55)
    assert not candidates.notes


@pytest.mark.parametrize("ending", ["fits", "parquet"])
def test_columns_with_a_value_for_each_band(tmp_path, ending):
    unwise = {
        **PLACES, "unwise_objid": ["a", "b"], "flux": [[100.0, 5.0], [0.0, 9.0]],
        "dx": [[0.2, 0.4], [np.nan, 0.4]], "dy": [[0.2, 0.4], [np.nan, 0.4]],
    }  # fmt: skip
    if ending == "fits":
        Table(unwise).write(tmp_path / "unwise.fits")
    else:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table(unwise), tmp_path / "unwise.parquet")
    candidates = read_candidates(tmp_path / f"unwise.{ending}")
    np.testing.assert_allclose(candidates.magnitude, [17.5, np.nan])
    np.testing.assert_allclose(candidates.error_arcsec, [0.55, 0.5])
    tractor = Table({**PLACES, "wise_flux": [[100.0, 5.0, 1, 1], [1.0, 9.0, 1, 1]]})
    magnitude = catalog_candidates(tractor, "tractor").magnitude
    np.testing.assert_allclose(magnitude, np.array([17.5, 22.5]) - 2.699)
    other = Table({**PLACES, "flux": [1.0, 2.0], "dx": [1.0, 2.0]})
    assert np.isnan(catalog_candidates(other, "other").magnitude).all()


def test_units_of_parquet_count(tmp_path):
    pytest.importorskip("pyarrow")
    table = Table({"ra": [1.0] * u.hourangle, "dec": [0.1] * u.rad})
    table["sigra"] = [300.0] * u.mas
    write_parquet(table, tmp_path / "a.parquet")
    candidates = read_candidates(tmp_path / "a.parquet")
    assert (candidates.ra[0], candidates.dec[0]) == pytest.approx((15, np.degrees(0.1)))
    assert candidates.error_arcsec[0] == pytest.approx(0.3)


def test_units_and_text_are_understood():
    table = Table({"RAJ2000": ["00:40:00"], "DEJ2000": ["-05:30:00"], "W1mag": [15.0]})
    table["e_RAJ2000"] = [100.0] * u.mas
    candidates = catalog_candidates(table, "text")
    assert (candidates.ra[0], candidates.dec[0]) == pytest.approx((10, -5.5))
    assert candidates.error_arcsec[0] == pytest.approx(0.1)
    hours = Table({"ra": [1.0] * u.hourangle, "dec": [0.1] * u.rad})
    candidates = catalog_candidates(hours, "hours")
    assert (candidates.ra[0], candidates.dec[0]) == pytest.approx((15, np.degrees(0.1)))
    assert len(candidates.notes) == 2


def test_ucds_and_given_columns_count():
    table = Table({"a": [1.0], "b": [2.0], "c": [15.0]})
    for name, ucd in (("a", "pos.eq.ra;meta.main"), ("b", "pos.eq.dec;meta.main")):
        table[name].info.meta = {"ucd": ucd}
    assert catalog_candidates(table, "x").dec[0] == 2
    given = {"ra": "b", "dec": "a", "magnitude": "c"}
    candidates = catalog_candidates(table, "x", given)
    assert (candidates.ra[0], candidates.magnitude[0]) == (2, 15)


def test_rows_without_position_are_left_out_with_a_note():
    table = allwise()
    table["ra"][0] = np.nan
    candidates = catalog_candidates(table, "x")
    assert len(candidates) == 1
    assert "1 rows" in candidates.notes[0]


@pytest.mark.parametrize(
    "columns, says", [({"ra": "nowhere"}, "nowhere"), ({"flux": "ra"}, "no key flux")]
)
def test_wrong_columns_are_named(columns, says):
    with pytest.raises(ImageError, match=says):
        catalog_candidates(allwise(), "x", columns)


def test_bad_files_give_one_line(tmp_path):
    for name, text in (("a.fits", "no"), ("b.txt", "no"), ("c.csv", "x,y\n1,2\n")):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(ImageError, match=name) as error:
            read_candidates(path)
        assert "\n" not in str(error.value)
    with pytest.raises(ImageError):
        read_candidates(tmp_path / "absent.csv")


def test_text_instead_of_numbers_is_refused():
    table = Table({"ra": ["here"], "dec": [1.0]})
    with pytest.raises(ImageError, match="cannot be used"):
        catalog_candidates(table, "x")
