"""A survey names the hosts of its sources: the same ones whatever the tiles."""

import copy
import dataclasses
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.wcs import WCS

from claran.errors import ImageError
from claran.hosts.candidates import Candidates
from claran.hosts.host_search import HostSearch
from claran.hosts.infrared_catalogs import read_candidates
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.simulated_mosaic import truth_paths, write_mosaic
from claran.sky.bands import run_here
from claran.sky.mosaics import open_mosaic
from claran.survey.mosaic_search import search_mosaic
from claran.survey.overlaps import Kept
from claran.survey.run import SurveyOptions, run_survey
from claran.survey.survey_candidates import survey_candidates
from claran.survey.survey_hosts import with_hosts


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    path = tmp_path_factory.mktemp("mosaic") / "M.fits"
    write_mosaic(MosaicPlan(shape=(280, 300), seed=3, density=10.0), path)
    return path


@pytest.fixture(scope="module")
def table(mosaic, tmp_path_factory):
    """A catalog with the true places of the sources, and others."""
    true = Table.read(truth_paths(mosaic)[0])
    rng = np.random.default_rng(0)
    ra, dec = np.asarray(true["ra"]), np.asarray(true["dec"])
    low, high = (np.array([f(ra), f(dec)])[:, None] for f in (np.min, np.max))
    other = rng.uniform(low, high, (2, 150))
    path = tmp_path_factory.mktemp("table") / "allwise.csv"
    Table({
        "designation": [f"W{i}" for i in range(len(ra) + 150)],
        "ra": np.append(ra, other[0]), "dec": np.append(dec, other[1]),
        "sigra": np.full(len(ra) + 150, 0.3), "sigdec": np.full(len(ra) + 150, 0.3),
        "w1mpro": np.append(np.full(len(ra), 14.0), rng.uniform(16, 17.5, 150)),
    }).write(path)  # fmt: skip
    return path


def run(detector, mosaic, folder, search, **options):
    known = SurveyOptions(hosts=search, **options)
    return run_survey(detector, [mosaic], folder, known, tell=lambda _: None)


@pytest.fixture(scope="module")
def expected(detector, mosaic, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    return run(detector, mosaic, folder, HostSearch(catalog=table)), folder


def test_sources_have_hosts(expected):
    sources = expected[0].sources
    assert len(sources) > 8
    sure = np.asarray(sources["host_probability"]) > 0.8
    assert sure.mean() > 0.6
    assert all(name.startswith("W") for name in sources["host_id"][sure])
    three = sum(
        np.asarray(sources[name])
        for name in ("host_probability", "host_2_probability", "host_3_probability")
    )
    total = three + np.asarray(sources["host_none"])
    assert (total < 1 + 1e-5).all() and (total > 0.8).all()
    offset = sources["place_dec"] - sources["host_dec"]
    assert np.median(np.abs(offset[sure].to_value("arcsec"))) < 3
    assert (sources["place_error"].to_value("arcsec") > 0.1).all()


def test_summary_counts_hosts(expected):
    count = (np.asarray(expected[0].sources["host_probability"]) > 0.8).sum()
    assert f"Hosts:      {count} with a probability above 0.8" in expected[0].summary


def test_regions_show_hosts(expected):
    catalog, folder = expected
    likely = np.asarray(catalog.sources["host_probability"]) > 0.5
    crosses = [
        line for line in (folder / "sources.reg").read_text().splitlines()
        if "point=cross" in line
    ]  # fmt: skip
    assert len(crosses) == likely.sum() > 0
    for line, name in zip(crosses, catalog.sources["host_id"][likely], strict=True):
        assert f"text={{{name} " in line
    assert (folder / "sources.crtf").read_text().count("symbol[[") == len(crosses)


def test_components_have_the_host_of_their_source(expected):
    sources, components = expected[0].sources, expected[0].components
    owner = {name: row for row, name in enumerate(sources["name"])}
    rows = np.array([owner.get(name, -1) for name in components["source"]])
    for name in ("host_id", "host_ra", "host_probability", "host_none"):
        own = components[name][rows >= 0]
        assert (own == sources[name][rows[rows >= 0]]).all(), name
    assert np.isnan(components["host_probability"][rows < 0]).all()


def test_hosts_do_not_depend_on_tiles(detector, mosaic, table, expected, tmp_path):
    run(detector, mosaic, tmp_path, HostSearch(catalog=table), tile_size=97)
    for path in expected[1].iterdir():
        if path.name != "provenance.json":
            assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_tables_say_where_candidates_are_from(expected, table):
    meta = QTable.read(expected[1] / "sources.ecsv").meta
    assert meta["HOSTCAT"].startswith("allwise.csv: ")
    assert 0 < meta["HOSTQ"] < 1
    inputs = json.loads((expected[1] / "provenance.json").read_text())["inputs"]
    assert table.name in json.dumps(inputs)


def test_a_damaged_table_ends_the_run_before_the_search(detector, mosaic, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ImageError, match="no column of ra is known"):
        run(detector, mosaic, tmp_path / "out", HostSearch(catalog=path))
    assert not (tmp_path / "out").exists()


def test_mosaics_are_judged_together(network, mosaic, table, tmp_path):
    image = open_mosaic(mosaic, scratch=tmp_path)

    def here(_, function, context, items, **__):
        return (function(context, item) for item in items)

    found = search_mosaic(
        image, network, here, score_threshold=0.5, tile_size=2048, hosts=True
    )
    count = len(found.sources["x"])
    every, none = np.ones(count, bool), np.zeros(count, bool)
    off = copy.copy(image)
    off.wcs = None
    searches = {
        "a": found, "b": found, "c": dataclasses.replace(found, mosaic=off)
    }  # fmt: skip
    parts = np.zeros(len(found.components["x"]), bool)
    half = np.arange(count) % 2 == 0
    candidates = read_candidates(table)
    kept = [Kept(half, parts), Kept(~half, parts), Kept(every, parts)]
    hosts, about = with_hosts(searches, kept, candidates)
    one, alone = with_hosts(
        {"a": found, "b": found}, [Kept(every, parts), Kept(none, parts)], candidates
    )
    assert about == alone
    first, second = (hosts[name].sources["host_id"] for name in "ab")
    assert (np.where(half, first, second) == one["a"].sources["host_id"]).all()
    assert (first[~half] == "").all()
    assert np.isnan(one["b"].sources["host_probability"]).all()
    # What is not on the sky has no host.
    assert np.isnan(hosts["c"].sources["host_none"]).all()
    assert np.isnan(hosts["c"].sources["place_error"]).all()


def test_there_may_be_no_candidates():
    assert survey_candidates(HostSearch(images=True), [], [], run_here) is None


def test_candidates_are_measured_on_infrared_images(detector, mosaic, tmp_path):
    pytest.importorskip("sep")
    with fits.open(mosaic) as hdus:
        wcs = WCS(hdus[0].header).celestial
    true = Table.read(truth_paths(mosaic)[0])
    x, y = wcs.wcs_world2pix(np.asarray(true["ra"]), np.asarray(true["dec"]), 0)
    rows, columns = np.mgrid[:280, :300]
    values = np.random.default_rng(0).normal(30, 1, (280, 300))
    for one, other in zip(x, y, strict=True):
        square = (columns - one) ** 2 + (rows - other) ** 2
        values += 60 * np.exp(-0.5 * square / (6.1 / 1.8 / 2.3548) ** 2)
    header = wcs.to_header()
    header.update({"TELESCOP": "WISE", "BAND": 1, "MAGZP": 20.5})
    path = tmp_path / "w1.fits"
    fits.writeto(path, values.astype(np.float32), header)
    found = run_survey(
        detector, [mosaic], tmp_path / "out",
        SurveyOptions(hosts=HostSearch(images=True)), infrared=[path],
        tell=lambda _: None,
    )  # fmt: skip
    sources = found.sources
    assert (np.asarray(sources["host_probability"]) > 0.5).mean() > 0.6
    assert all(name.startswith("IR J") for name in sources["host_id"] if name)
    magnitudes = sources["host_mag"].to_value("mag")
    flux = 60 * 2 * np.pi * (6.1 / 1.8 / 2.3548) ** 2
    expected = 20.5 - 0.222 - 2.5 * np.log10(flux)
    assert np.nanmedian(magnitudes) == pytest.approx(expected, abs=0.1)
    assert sources.meta["HOSTCAT"].startswith("w1.fits: ")


def test_a_service_is_asked_for_all_of_a_mosaic(mosaic, tmp_path):
    asked = []

    def fetch(name, center, radius, **options):
        asked.append((name, *center, radius, options["offline"]))
        ra, dec = center
        names = ["same", f"J{ra}", f"K{ra}"]
        return Candidates(
            np.array([180.0, ra, ra]), np.array([29.0, dec, dec + 0.01]),
            np.full(3, 0.3), np.full(3, 15.0), names, 1.0, name,
        )  # fmt: skip

    one = open_mosaic(mosaic, scratch=tmp_path)
    search = HostSearch(fetch="allwise", cache=tmp_path, offline=True)
    found = survey_candidates(search, [one], [], run_here, fetch=fetch)
    ((name, _, _, radius, offline),) = asked
    assert name == "allwise" and offline
    assert radius == pytest.approx(np.hypot(280, 300) / 2 * 1.8 / 3600 + 0.02, abs=1e-3)
    assert len(found) == 3
    wide = dataclasses.replace(search)
    asked.clear()
    one.shape = (2000, 2000)  # A degree.
    found = survey_candidates(wide, [one], [], run_here, fetch=fetch)
    assert len(asked) == 4
    assert sorted(found.ids).count("same") == 1
