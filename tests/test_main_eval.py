"""The command's mode eval."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.table import QTable, Table, vstack

from claran.catalog.tables import write_table
from claran.data.sources import open_source
from claran.detection.detections import Detections
from claran.detection.detector import Detector
from claran.evaluation.catalogs import read_fields
from claran.evaluation.prediction_files import to_table

COLUMNS = ["image", "label", "score", "x0", "y0", "x1", "y1"]
ON_FIELDS = ("--mode=eval", "--data=fields", "--split=all", "--resamples=20")


@pytest.fixture
def fields(claran):
    """Simulated fields in a folder, and a table of most of their sources."""
    claran("--mode=simulate", "--num=6", "--population=balanced", "--output=fields")
    source = open_source("fields", "all")
    fields = read_fields(source)
    rng = np.random.default_rng(0)
    labels = np.concatenate([field.objects.labels for field in fields])
    commonest = np.bincount(labels)[1:].argmax() + 1
    found = []
    for field in fields:
        objects = field.objects
        seen = (rng.uniform(size=len(objects)) < 0.8) & (objects.labels > 0)
        boxes = objects.boxes[seen] + rng.normal(0, 0.5, (seen.sum(), 4))
        # A false alarm of a better score than all sources, of the commonest class.
        found.append(
            Detections(
                boxes=np.append(boxes, [[1.0, 1.0, 5.0, 5.0]], axis=0),
                labels=np.append(objects.labels[seen], commonest),
                scores=np.append(rng.uniform(0.7, 0.9, seen.sum()), 0.95),
            )
        )
    write_table(to_table(fields, found, source.class_names), "found.ecsv")
    return len(fields)


def test_another_tools_detections(claran, fields):
    status, printed, _ = claran(*ON_FIELDS, "--predictions=found.ecsv", "--output=one")
    assert status == 0
    metrics = json.loads(Path("one/metrics.json").read_text())
    assert metrics["fields"] == fields
    assert metrics["about"]["predictions"] == "found.ecsv"
    mean = metrics["mean_ap"]["value"]
    assert 0.5 < mean < 1
    assert f"\nmean{mean:>39.3f}" in printed
    assert printed.splitlines()[-3] == "one/report.html"
    for name in ("precision_recall", "score", "reliability", "confusion"):
        assert cv2.imread(f"one/{name}.png").std() > 5
    page = Path("one/report.html").read_text()
    # One file that needs no other: six pictures inside, none outside.
    assert re.findall(r'src="(.{22})', page) == ["data:image/png;base64,"] * 6
    assert (
        f"<td>{mean:.3f}</td>" in page and "http:" not in page and "https:" not in page
    )
    assert Table.read("one/detections.ecsv")["score"].min() >= 0.7

    # What was written is read again, whatever its form.
    for form, digits in (("coco/detections.json", 9), ("voc", 2)):
        status, _, _ = claran(*ON_FIELDS, f"--predictions=one/{form}", "--output=two")
        again = json.loads(Path("two/metrics.json").read_text())
        assert again["coco"]["AP"]["value"] == pytest.approx(
            metrics["coco"]["AP"]["value"], abs=10**-digits
        )
        assert again["confusion"] == metrics["confusion"]
    assert not list(Path().rglob("*.partial*"))


def test_a_model_is_as_good_as_its_predictions(claran, fields):
    """In a table that says what the detector is, and in one that does not."""
    at = "--score_threshold=0.16"
    status, printed, _ = claran(
        *ON_FIELDS, "--output=model", "--batch_size=1", "--workers=0", at
    )
    assert status == 0
    assert "random" not in printed  # These weights come from a file.
    metrics = json.loads(Path("model/metrics.json").read_text())
    assert metrics["about"].pop("fields") == str(fields)
    assert sum(metrics["calibration"]["counts"]) > 20
    del metrics["about"]
    for ending in ("ecsv", "csv"):
        claran(
            "--mode=predict", "--radio=fields/*_radio.fits", "--ir=fields/*.png",
            f"--output=table.{ending}", "--all_hypotheses",
        )  # fmt: skip
        status, printed, _ = claran(
            *ON_FIELDS, f"--predictions=table.{ending}", "--output=table", at
        )
        assert status == 0 and "catalog" not in printed
        table = json.loads(Path("table/metrics.json").read_text())
        del table["about"]
        if ending == "csv":  # It does not say that this network counts inclusively.
            for found in (table, metrics):
                del found["voc_as_claran"], found["options"]["inclusive_boxes"]
        assert table == metrics, ending
        for name in ("table.txt", "confusion.png", "coco/detections.json"):
            if ending != "csv":
                pair = (Path(folder, name) for folder in ("table", "model"))
                assert len({path.read_bytes() for path in pair}) == 1, (ending, name)


def test_the_catalog_of_a_model(claran, fields):
    """The rows of predict are those of Python, and those that eval takes."""
    for name, more in (("catalog", ()), ("all", ("--all_hypotheses",))):
        status, printed, _ = claran(
            "--mode=predict", "--radio=fields/*_radio.fits", f"--output={name}.csv",
            *more, model=None,
        )  # fmt: skip
        assert status == 0
    catalog, every = (Table.read(f"{name}.csv") for name in ("catalog", "all"))
    chosen = (every["alternative"] == "False") & (every["probability"] > 0.5)
    assert 1 < len(catalog) == chosen.sum() < len(every)
    assert f"{len(every)} detections in {fields} fields: all.csv (all hypo" in printed
    words = f"{len(catalog)} of them, with probabilities above 0.5, are the catalog"
    assert f"with scores above 0.003; {words}" in printed
    detector = Detector.from_preset("claran_v1")
    paths = sorted(Path("fields").glob("*_radio.fits"))
    own = vstack([QTable(one[COLUMNS]) for one in detector.detect_many(paths)])
    for name in COLUMNS:
        assert list(catalog[name]) == list(every[name][chosen]) == list(own[name])

    # The evaluation of the model shows it the infrared images too.
    claran(
        "--mode=predict", "--radio=fields/*_radio.fits", "--ir=fields/*.png",
        "--output=seen.csv", model=None,
    )  # fmt: skip
    claran(*ON_FIELDS, "--output=model", "--workers=0", model=None)
    _, printed, _ = claran(*ON_FIELDS, "--predictions=seen.csv", "--output=table")
    note = "Note: seen.csv has only sources with a probability above 0.5, so "
    assert printed.count(note) == printed.count("Note") == 1
    model, table = (
        json.loads(Path(name, "metrics.json").read_text())
        for name in ("model", "table")
    )
    for name in ("confusion", "right_components", "options", "fields"):
        assert table[name] == model[name]


KILLED = """
import os, signal, sys
from claran import main
from claran.detection.engine import Engine
from claran.io import resuming

resuming.SECONDS = 0.0
finish, fields = Engine.finish, []

def finish_or_die(*arguments, **options):
    fields.append(1)
    if len(fields) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(*arguments, **options)

Engine.finish = finish_or_die
sys.argv[0] = "claran"
main.run()
"""


def test_resumes_after_a_kill(claran, fields, narrow_path):
    def metrics(folder):
        found = json.loads(Path(folder, "metrics.json").read_text())
        del found["about"]["time"]
        return found

    arguments = (*ON_FIELDS, "--batch_size=2", f"--model={narrow_path}")
    assert claran(*arguments, "--output=whole")[0] == 0
    on_cut = (*arguments, "--output=cut")
    died = subprocess.run(
        [sys.executable, "-c", KILLED, *on_cut, "--accelerator=cpu"],
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert died.returncode == -signal.SIGKILL
    parts = sorted(path.name for path in Path("cut/unfinished").glob("part*"))
    assert parts == [f"part-{number:06d}.npz" for number in range(4)]
    shutil.copytree("cut", "other")

    status, printed, _ = claran(*on_cut)
    assert status == 0 and f"Resuming: 4 of {fields} fields are done." in printed
    assert metrics("cut") == metrics("whole")
    for name in ("detections.ecsv", "coco/detections.json", "table.txt"):
        assert Path("cut", name).read_bytes() == Path("whole", name).read_bytes()
    assert not Path("cut/unfinished").exists()

    status, printed, _ = claran(*arguments, "--output=other", "--nms_threshold=0.4")
    assert status == 0 and "Resuming" not in printed
    assert "other/unfinished: made with another model; starting again." in printed
    assert not Path("other/unfinished").exists()


def test_a_model_on_pictures(claran, tmp_path):
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[5:15, 10:30] = 255
    cv2.imwrite("one.png", picture)
    content = {
        "images": [{"id": 1, "file_name": "one.png"}],
        "categories": [{"id": 1, "name": "1_2"}, {"id": 2, "name": "bent"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10]},
            {"image_id": 1, "category_id": 2, "bbox": [20, 25, 9, 9]},
        ],
    }
    Path("one.json").write_text(json.dumps(content))
    on_pictures = ("--mode=eval", "--data=one.json", "--split=all", "--output=out")
    status, _, _ = claran(*on_pictures, "--resamples=2", "--batch_size=1")
    assert status == 0
    metrics = json.loads(Path("out/metrics.json").read_text())
    # The model knows no bent ones: they are ignored. Pictures have no components.
    assert metrics["sources"] == metrics["classes"]["1_2"]["sources"] == 1
    assert metrics["right_components"] is None
    assert metrics["options"]["inclusive_boxes"] is True  # Of claran_v0.1.
    status, _, errors = claran(*on_pictures, model="classical")
    assert status == 1
    assert (
        "one: is a picture; the classical finder (--model=classical) needs radio FITS"
        in errors
    )


def test_fields_that_are_simulated_as_they_are_asked_for(claran, monkeypatch):
    monkeypatch.setattr("claran.commands.evaluate.SIMULATED_FIELDS", 7)
    model = ("--mode=eval", "--model=classical", "--data=simulated/first")
    found = {}
    for split in ("test", "validation"):
        status, _, errors = claran(*model, f"--split={split}", f"--output={split}")
        assert status == 0 and errors == ""
        found[split] = json.loads(Path(split, "metrics.json").read_text())
        assert found[split]["fields"] == 7
    first, second = (found[split]["about"] for split in found)
    assert first["fingerprint of the data"] != second["fingerprint of the data"]
    status, _, errors = claran(*model, "--split=all")
    assert status == 1
    assert errors == (
        "claran: --split=all: --data=simulated/first has train, validation, test.\n"
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--data=nowhere"], "nowhere: no such file"),
        (["--data=fields", "--split=half"], "has no split 'half'"),
        (["--data=fields", "--split=test[:0]"], "no field in the split test[:0]"),
        (["--data=fields", "--split=all", "--output=found.ecsv"], "must be a folder"),
        (
            ["--data=fields", "--split=all", "--predictions=none.ecsv"],
            "none.ecsv: cannot be read",
        ),
    ],
    ids=["data", "split", "empty", "output", "predictions"],
)
def test_what_is_wrong_is_said_in_one_line(claran, fields, arguments, message):
    status, _, errors = claran("--mode=eval", *arguments)
    assert status == 1
    assert errors.startswith("claran:") and message in errors
    assert errors.count("\n") == 1
