"""Names of files on the command line: what is read, and what is written where."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from claran.evaluation.prediction_tables import read_table

LATIN1 = os.fsdecode(b"champ\xe9.fits")


@pytest.fixture
def field(claran, tmp_path, monkeypatch, rng):
    """A field a.fits in the working directory, which is also the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    values = rng.normal(size=(40, 40)).astype(np.float32)
    values[20:28, 10:30] += 50
    header = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    header.update({"CRVAL1": 180.0, "CRVAL2": 30.0, "CDELT1": -5e-4, "CDELT2": 5e-4})
    fits.writeto("a.fits", values, header)
    return tmp_path


@pytest.fixture
def predict(claran, field, d1_path):
    """Returns the names in the table of fields."""

    def run(radio, output="o.csv"):
        found = claran(
            "--mode=predict", f"--radio={radio}", f"--output={output}",
            "--score_threshold=0.01", model=d1_path,
        )  # fmt: skip
        assert found[0] == 0, found[2]
        return set(read_table(Path(output).expanduser())["image"])

    return run


@pytest.mark.parametrize("name", ["x,1.fits", 'it\'s "a".fits', "-x.fits", "a b .fits"])
def test_a_name_that_exists_is_taken_as_it_is(predict, name):
    Path("a.fits").rename(name)
    assert predict(name) == {name}


def test_a_comma_in_a_name_that_does_not_exist_is_explained(claran, field, d1_path):
    Path("a.fits").rename("x,1.fits")
    radio = "--radio=x,1.fits,y.fits"
    status, _, errors = claran("--mode=predict", radio, model=d1_path)
    assert status == 1 and "x: no such file" in errors
    assert "In --radio a comma separates names; write a name with a comma" in errors


@pytest.mark.parametrize("ending", ["ecsv", "csv", "fits", "vot"])
@pytest.mark.parametrize(
    "name, spelled",
    [
        pytest.param(LATIN1, r"champ\xe9.fits", id="latin1"),
        pytest.param("é 日本.fits", "é 日本.fits", id="unicode"),
    ],
)
def test_names_in_tables_of_all_formats(predict, name, spelled, ending):
    Path("a.fits").rename(name)
    assert predict(name, f"o.{ending}") == {spelled}


def test_demo_of_a_name_in_latin1(claran, field, d1_path):
    Path("a.fits").rename(LATIN1)
    found = claran("--mode=demo", f"--radio={LATIN1}", "--output=d", model=d1_path)
    assert (found[0], found[2]) == (0, "")
    written = sorted(path.name for path in Path("d").iterdir())
    assert written == [r"champ\xe9_pred.ecsv", r"champ\xe9_pred.png"]


def test_home_is_expanded_everywhere(claran, predict, field):
    Path("out").mkdir()
    assert predict("~/a.fits", "~/out/o.csv") == {"a.fits"}
    assert Path("out/o.csv").is_file() and not Path("~").exists()
    assert claran("--mode=simulate", "--num=1", "--output=~/sky")[0] == 0
    status, _, _ = claran(
        "--mode=preview", "--data=~/sky", "--split=all", "--pages=1", "--output=~/p"
    )
    assert status == 0 and Path("p/batch_0000.png").is_file()
    assert not Path("~").exists()


def test_broken_links_are_named(claran, field, d1_path):
    Path("sky").mkdir()
    Path("a.fits").rename("sky/a.fits")
    Path("sky/b.fits").symlink_to("nowhere")
    status, _, errors = claran("--mode=predict", "--radio=sky", model=d1_path)
    assert status == 1 and "Skipped: sky/b.fits: " in errors
    assert "1 of 2 files could not be used: b.fits; the table has the rest" in errors
    assert set(Table.read("predictions.ecsv")["image"]) <= {"a.fits"}


MODES = {
    "demo": ["--radio=a.fits"],
    "predict": ["--radio=a.fits"],
    "convert": ["--old_model=x.keras"],
    "simulate": ["--num=1"],
    "preview": ["--data=a.fits"],
    "eval": ["--data=a.fits"],
    "train": ["--data=a.fits"],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("folder", ["/proc", "a.fits", "/dev/null", "lost"])
def test_an_output_that_cannot_be_written_is_refused_first(
    claran, field, assert_fails, mode, folder
):
    Path("lost").symlink_to("nowhere")
    name = {"predict": "/x.csv", "convert": "/x.keras"}.get(mode, "/x")
    arguments = (f"--mode={mode}", *MODES[mode], f"--output={folder}{name}")
    # The model would be the next to be missed.
    assert_fails(claran(*arguments, model=Path("none.keras")), "--output")


@pytest.mark.parametrize(
    "mode, output, message",
    [
        ("convert", "folder.keras", "--output must be a file, but folder.keras is a"),
        ("convert", "x.h5", "--output must end in .keras, got x.h5"),
        ("predict", "x.txt", "--output=x.txt: must end in one of"),
        ("predict", "/dev/null", "--output must be a"),
        ("demo", "a.fits", "--output must be a folder, but a.fits is a file"),
        ("predict", f"{'x' * 241}.csv", "--output: the name xxxxx"),
        ("predict", "a.fits", "--output: a.fits is an input too, and would be overw"),
        ("predict", "./link.fits", "link.fits is an input too, and would be overwr"),
        ("convert", "x.keras", "--output: x.keras is an input too, and would be"),
        ("preview", "folder.keras", "folder.keras is an input too"),
    ],
)
def test_outputs_that_are_refused(claran, field, assert_fails, mode, output, message):
    Path("folder.keras").mkdir()
    Path("link.fits").symlink_to("a.fits")
    Path("x.keras").write_text("precious")
    arguments = ["--data=folder.keras"] if mode == "preview" else MODES[mode]
    found = claran(f"--mode={mode}", *arguments, f"--output={output}", model=None)
    assert_fails(found, message)
    assert fits.getdata("a.fits").shape == (40, 40)
    assert Path("x.keras").read_text() == "precious"


def test_the_longest_name_of_a_table(predict):
    assert predict("a.fits", f"{'x' * 240}.csv") == {"a.fits"}


def test_what_is_evaluated_is_not_overwritten(claran, field, assert_fails):
    claran("--mode=simulate", "--num=1", "--output=sky")
    Path("out").mkdir()
    Path("out/detections.ecsv").write_text("precious")
    arguments = ("--mode=eval", "--data=sky", "--predictions=out/detections.ecsv")
    assert_fails(claran(*arguments, "--output=out", model=None), "is an input too")
    assert Path("out/detections.ecsv").read_text() == "precious"


def test_a_model_is_not_trained_over_itself(claran, field, d1_path, assert_fails):
    Path("run").mkdir()
    shutil.copy(d1_path, "run/best.keras")
    arguments = ("--mode=train", "--data=simulated", "--model=run/best.keras")
    found = claran(*arguments, "--output=run", model=None)
    assert_fails(found, "run/best.keras is an input too")


def test_a_data_set_that_cannot_be_written(claran, field, assert_fails):
    arguments = ("--mode=prepare", "--data=rgz/simulated_small")
    found = claran(*arguments, "--data_dir=a.fits/x", model=None)
    assert_fails(found, "--data_dir must be a folder, but a.fits is a file")


def test_simulated_fields_are_replaced_only_when_told(claran, field, assert_fails):
    simulate = ("--mode=simulate", "--output=sky")
    assert claran(*simulate, "--num=3")[0] == 0
    before = {path.name: path.read_bytes() for path in Path("sky").iterdir()}
    found = claran(*simulate, "--num=1")
    assert_fails(found, "sky: has simulated fields already; give --overwrite to repl")
    assert before == {path.name: path.read_bytes() for path in Path("sky").iterdir()}
    Path("sky/mine.txt").write_text("precious")
    assert claran(*simulate, "--num=1", "--overwrite")[0] == 0
    assert sorted(path.name for path in Path("sky").iterdir()) == [
        "SIM0000000_infrared.png", "SIM0000000_radio.fits", "annotations.csv",
        "mine.txt",
    ]  # fmt: skip
    table = Path("sky/annotations.csv")
    table.write_text(table.read_text().replace("SIM", "J12"))
    found = claran(*simulate, "--num=1", "--overwrite")
    assert_fails(found, "annotations.csv: has labels of other fields, which are not")
