"""The mode survey of the command: what it says, refuses and survives."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import claran.survey
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.simulated_mosaic import write_mosaic
from claran.survey.jobs import Jobs


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """A mosaic of 260 x 300 pixels."""
    path = tmp_path_factory.mktemp("sky") / "M.fits"
    write_mosaic(MosaicPlan(shape=(260, 300), seed=5, density=8.0), path)
    return path


@pytest.fixture
def survey(claran, sky):
    """Runs the mode with the network that comes with claran."""

    def run(*arguments, radio=sky, model=None):
        given = ["--mode=survey", f"--radio={radio}", *arguments]
        return claran(*given, model=model)

    return run


def test_help(claran):
    status, page, errors = claran("--mode=survey", "--help", model=None)
    assert (status, errors) == (0, "")
    for word in ("--tile_size", "--workers", "--scheduler", "--acronym", "overview"):
        assert word in page
    assert "--ir" in page and "--image" not in page


def test_a_catalog(survey, tmp_path):
    """It replaces that of an earlier run."""
    (tmp_path / "DIR").mkdir()
    (tmp_path / "DIR" / "sources.ecsv").write_text("old")
    (tmp_path / "DIR" / "notes.txt").write_text("mine")
    status, said, errors = survey(
        "--output=DIR", "--acronym=VLASS", "--write_maps", "--hosts"
    )
    assert status == 0
    assert "Searched 1 mosaic, 0.0195 deg2" in said and "Written to DIR: " in said
    assert not (tmp_path / "DIR" / "unfinished").exists()
    table = Table.read(tmp_path / "DIR" / "sources.ecsv")
    assert len(table) > 5
    assert all(name.startswith("VLASS J") for name in table["name"])
    assert np.isfinite(table["place_ra"]).all()
    assert "hosts have a place and no counterpart" in said
    assert fits.getdata(tmp_path / "DIR" / "M_noise.fits").shape == (260, 300)
    assert "Traceback" not in errors and "Warning" not in errors
    assert (tmp_path / "DIR" / "notes.txt").read_text() == "mine"


def test_another_network_is_refused(survey, assert_fails, narrow_path):
    found = survey(model=narrow_path)
    assert_fails(found, "sees whole fields, so that it cannot search mosaics; give a")


def test_workers_and_scheduler(survey, assert_fails):
    found = survey("--workers=2", "--scheduler=tcp://127.0.0.1:1")
    assert_fails(found, "--workers: --scheduler has workers of its own; give one or")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--ir_catalog=none.csv"], "--ir_catalog=none.csv: there is no such file"),
        (["--ir_catalog=x", "--fetch=allwise"], "--fetch: --ir_catalog has the cand"),
        (["--ir_catalog=x", "--hosts"], "--hosts: --ir_catalog has the candidates"),
        (["--fetch=allwise", "--hosts"], "--hosts: --fetch has the candidates"),
        (["--offline"], "--offline: is for --fetch; leave it out"),
        (["--fetch_cache=x"], "--fetch_cache: is for --fetch; leave it out"),
    ],
)
def test_flags_of_hosts_that_change_nothing(survey, assert_fails, arguments, message):
    assert_fails(survey(*arguments), message)


@pytest.mark.parametrize("flag", ["--workers=2", "--scheduler=tcp://127.0.0.1:1"])
def test_dask_is_missing(survey, assert_fails, monkeypatch, flag):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "claran.survey.dask_cluster", raising=False)
    monkeypatch.delattr(claran.survey, "dask_cluster", raising=False)
    assert_fails(survey(flag), "pip install 'claran[survey]'")


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--tile_size=10", "--tile_size"),
        ("--score_threshold=2", "--score_threshold"),
        ("--ir=gone.fits", "gone.fits"),
        ("--image=a.png", "--image is a flag of"),
        ("--survey=nowhere", "nowhere"),
        ("--beam=0", "--beam"),
        ("--model=classical", "--model=classical is for --mode=eval"),
    ],
)
def test_flags_that_make_no_sense(survey, assert_fails, flag, message):
    assert_fails(survey(flag), message)


def test_a_mosaic_that_is_not_there(survey, assert_fails):
    assert_fails(survey(radio="gone.fits"), "gone.fits: no such file")


def test_an_output_that_is_a_file(survey, assert_fails, tmp_path):
    (tmp_path / "taken").write_text("mine")
    assert_fails(survey("--output=taken"), "--output must be a folder, but taken is a")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_mosaic_that_would_be_overwritten(survey, assert_fails, sky, tmp_path):
    own = tmp_path / "sources.fits"
    own.write_bytes(sky.read_bytes())
    found = survey("--output=.", radio=own)
    assert_fails(found, "sources.fits is an input too, and would be overwritten")


def test_an_infrared_image_among_mosaics(survey, sky, tmp_path):
    header = fits.getheader(sky)
    for card in ("BMAJ", "BMIN", "BPA", "FREQ", "BUNIT"):
        del header[card]
    header["SURVEY"], header["BAND"], header["BUNIT"] = "WISE", 1, "DN"
    fits.writeto(tmp_path / "w1.fits", np.ones((50, 60), np.float32), header)
    status, said, errors = survey(radio=f"{sky},{tmp_path / 'w1.fits'}")
    assert status == 1 and "Searched 1 mosaic" in said
    assert "w1.fits: is an infrared image" in errors
    assert (
        "1 of 2 mosaics could not be used: w1.fits; the catalog has the rest" in errors
    )
    assert len(Table.read(tmp_path / "survey" / "sources.ecsv")) > 5


def test_two_runs_in_one_folder(survey, assert_fails, tmp_path):
    with Jobs(tmp_path / "DIR" / "unfinished", {}):
        assert_fails(survey("--output=DIR"), "another claran is at work there")


# In the order in which they are made; a run is stopped at the first result of each.
KILLS = (
    ("background", signal.SIGINT),
    ("islands", signal.SIGTERM),
    ("measure", signal.SIGKILL),
)
# What runs in the background of a script ignores interrupts, unless it says otherwise.
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('claran.main', run_name='__main__', alter_sys=True)"
)


@pytest.mark.slow
def test_killed_and_resumed(survey, sky, tmp_path):
    """What was stopped at any moment ends with the same files."""
    arguments = ["--tile_size=64", "--output=DIR"]
    command = [sys.executable, "-c", INTERRUPTIBLE, "--mode=survey", f"--radio={sky}"]
    for stage, number in KILLS:
        with subprocess.Popen(
            [*command, *arguments], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            before = results(tmp_path / "DIR", stage)
            while process.poll() is None and results(tmp_path / "DIR", stage) == before:
                time.sleep(0.005)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        assert process.returncode in {-number, 128 + number}
        assert "Traceback" not in errors
        assert not (tmp_path / "DIR" / "provenance.json").exists()
    status, said, _ = survey(*arguments)
    assert status == 0 and "Resuming: " in said
    assert survey("--tile_size=64", "--output=alone")[0] == 0
    found, expected = (contents(tmp_path / name) for name in ("DIR", "alone"))
    assert found.keys() == expected.keys() and len(found) > 15
    assert [name for name in found if found[name] != expected[name]] == []


def results(folder, stage):
    return len(list((folder / "unfinished" / "stages" / stage).glob("*/[!.]*.npz")))


def contents(folder):
    """The bytes of all files but that which says when and how the run was made."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name != "provenance.json"
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")
def test_a_full_disk(survey, assert_fails, tmp_path):
    """The first table does not fit; with more room the same command ends."""
    import resource  # noqa: PLC0415 - not on Windows

    assert survey("--output=alone")[0] == 0  # What is compiled is in its cache.
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, old[1]))
    try:
        found = survey("--output=DIR")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert_fails(found, "File too large")
    assert not list((tmp_path / "DIR").glob("[!u]*"))
    assert survey("--output=DIR")[0] == 0
    assert contents(tmp_path / "DIR") == contents(tmp_path / "alone")
