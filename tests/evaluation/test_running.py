"""Whole evaluations of a detector, of the classical finder, and of tables."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from astropy.table import QTable

from claran.detection.classical_engine import ClassicalEngine
from claran.detection.detector import Detector
from claran.errors import ImageError
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.running import evaluate_detector, evaluate_predictions
from claran.io import resuming
from claran.simulation.endless import SimulatedFields
from claran.sky.surveys import FIRST

FEW = EvaluationOptions(score_threshold=0.5, resample_count=5)
NO_BEAM = "no beam: assumed FIRST's, 5.4 arcsec"


@pytest.fixture(scope="module")
def engine(tiny_channels):
    keras.utils.set_random_seed(1)
    return Detector(tiny_channels()).engine


@pytest.fixture
def source(make_field, list_source):
    """Four fields; the beam of two is not known, nor the pixels of one of them."""

    def without(field, **changes):
        image = dataclasses.replace(field.image, beam=None, **changes)
        return field.replace(image=image, noise=field.noise)

    fields = [make_field(name) for name in ("a", "b", "c", "d")]
    fields[1] = without(fields[1])
    fields[3] = without(fields[3], pixel_arcsec=None)
    return list_source(fields)


@pytest.fixture
def known(make_field, list_source):
    """Two fields of which all is known."""
    return list_source([make_field("a"), make_field("b", faint=True)])


def assert_same_files(one, other):
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(
        path.relative_to(other) for path in other.rglob("*") if path.is_file()
    )
    for name in names:
        if name.name not in ("metrics.json", "report.html"):  # They have the time.
            assert (one / name).read_bytes() == (other / name).read_bytes()
    for folder in (one, other):
        assert not list(folder.rglob("*.partial*"))


def metrics(folder):
    found = json.loads((folder / "metrics.json").read_text())
    found["about"].pop("time", None)
    return found


def test_a_detector(engine, known, tmp_path):
    told = []
    result = evaluate_detector(
        engine, known, tmp_path, options=FEW, about={"model": "mine"}, tell=told.append
    )
    assert told == []  # Nothing was assumed.
    assert result.fields == 2 and result.classes[3].sources == 2
    about = json.loads((tmp_path / "metrics.json").read_text())["about"]
    assert list(about) == [
        "model", "fields", "fingerprint of the data", "claran", "device", "time",
    ]  # fmt: skip
    assert about["fields"] == "2" and about["model"] == "mine"
    assert about["time"].endswith(" fields/s")
    assert "mine" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "unfinished").exists()
    table = QTable.read(tmp_path / "detections.ecsv")
    assert "ASSUMED" not in table.meta
    assert len(table) == sum(one.detections for one in result.classes)


def test_nothing_is_written_without_a_folder(engine, known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resuming, "SECONDS", 0.0)
    evaluate_detector(engine, known, options=FEW)
    assert list(tmp_path.iterdir()) == []


def test_options_are_the_models_own_unless_given(engine, known):
    result = evaluate_detector(engine, known)
    finisher = engine.model.finisher
    assert result.options["score_threshold"] == finisher.catalog_threshold
    assert result.options["inclusive_boxes"] is False
    result = evaluate_detector(ClassicalEngine(), known)
    assert result.options["score_threshold"] == 0.5


def test_the_classical_finder(known, tmp_path):
    result = evaluate_detector(ClassicalEngine(), known, tmp_path, options=FEW)
    # Of two doubles one is too faint to be seen.
    assert result.classes[3].sources == 2 and result.classes[3].detections == 1
    assert result.mean.value == 0.5
    # A source that has no islands is not to be put together.
    assert result.associated["all"].value == 1
    assert "time" not in metrics(tmp_path)["about"]


def test_processes_change_nothing(engine):
    source = SimulatedFields(3)
    expected = evaluate_detector(engine, source, options=FEW)
    found = evaluate_detector(engine, source, options=FEW, workers=2)
    assert found.to_json() == expected.to_json()


def test_what_was_assumed_is_said_once_and_stands_with_the_results(
    engine, source, tmp_path
):
    pixels = (
        "no beam and no pixel size: the beam is assumed to be 3 pixels wide (FIRST)"
    )
    first = {what: one.name for one in source.fields[::-1] for what in one.assumptions}
    expected = "; ".join(
        f"{what}, in 1 of 4 fields (first {first[what]})" for what in (pixels, NO_BEAM)
    )
    told = []
    evaluate_detector(engine, source, tmp_path, options=FEW, tell=told.append)
    assert told == [f"Note: {expected}; give --survey or --beam to change this."]
    assert metrics(tmp_path)["about"]["assumed"] == expected
    assert QTable.read(tmp_path / "detections.ecsv").meta["ASSUMED"] == expected
    assert "assumed to be 3 pixels wide" in (tmp_path / "report.html").read_text()
    told.clear()
    evaluate_predictions(
        tmp_path / "detections.ecsv", source, tmp_path, options=FEW, tell=told.append
    )
    assert told == [f"Note: {expected}; give --survey or --beam to change this."]
    assert metrics(tmp_path)["about"]["assumed"] == expected
    # With a survey nothing is assumed.
    source.fields = [
        field.replace(survey=FIRST, noise=field.noise) for field in source.fields
    ]
    told.clear()
    evaluate_predictions(
        tmp_path / "detections.ecsv", source, options=FEW, tell=told.append
    )
    assert told == []


def test_predictions_are_as_good_as_their_detector(engine, source, tmp_path):
    options = dataclasses.replace(FEW, score_threshold=0.2)
    expected = evaluate_detector(
        engine, source, tmp_path / "one", options=options, tell=list
    )
    found = evaluate_predictions(
        tmp_path / "one" / "detections.ecsv",
        source,
        tmp_path / "two",
        options=options,
        tell=list,
    )
    assert sum(one.detections for one in found.classes) > 0
    assert found.to_json() == expected.to_json()
    assert_same_files(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("score", [0.0, 0.25])
def test_a_threshold_that_was_given_stays_with_the_detections(known, tmp_path, score):
    options = dataclasses.replace(FEW, score_threshold=score)
    evaluate_detector(ClassicalEngine(), known, tmp_path, options=options, tell=list)
    table = tmp_path / "detections.ecsv"
    again = evaluate_predictions(table, known, tell=list)
    assert again.options["score_threshold"] == score


def test_predictions_elsewhere_are_counted(known, tmp_path):
    path = Path(tmp_path / "table.csv")
    path.write_text(
        "image,label,score,x0,y0,x1,y1\na,2_2,0.9,20,10,40,18\nz,1_1,0.9,0,0,1,1\n"
    )
    told = []
    result = evaluate_predictions(path, known, tell=told.append)
    assert told[0] == f"Note: 1 detections of {path} are in none of these fields."
    assert f"{path} has only sources with a probability above 0.5, so " in told[1]
    assert len(told) == 2
    assert result.options["score_threshold"] == 0.5
    assert result.mean.value == 0.5
    with pytest.raises(ImageError, match=r"none\.csv: cannot be read"):
        evaluate_predictions(tmp_path / "none.csv", known)


def test_an_interrupted_run_resumes(engine, source, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "SECONDS", 0.0)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    evaluate_detector(engine, source, whole, options=FEW, tell=list)
    finish, seen = engine.finish, []

    def interrupted(look, *arguments, **options):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(look.field.name)
        return finish(look, *arguments, **options)

    monkeypatch.setattr(engine, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_detector(engine, source, cut, options=FEW, tell=list)
    assert len(list((cut / "unfinished").iterdir())) == 2
    assert not (cut / "report.html").exists()
    monkeypatch.setattr(engine, "finish", finish)

    shutil.copytree(cut, tmp_path / "other")

    told = []
    evaluate_detector(engine, source, cut, options=FEW, tell=told.append)
    assert told[0] == "Resuming: 2 of 4 fields are done."
    assert not (cut / "unfinished").exists()
    assert metrics(cut) == metrics(whole)
    assert_same_files(cut, whole)

    other = dataclasses.replace(source, fingerprint="of another test")
    told.clear()
    evaluate_detector(engine, other, tmp_path / "other", options=FEW, tell=told.append)
    folder = tmp_path / "other" / "unfinished"
    assert told[0] == f"{folder}: made with another data; starting again."
    assert not folder.exists()


def test_nothing_to_evaluate_is_refused(engine, known, tmp_path):
    for evaluate in (
        lambda source: evaluate_detector(engine, source, tmp_path),
        lambda source: evaluate_predictions(tmp_path / "x.csv", source, tmp_path),
    ):
        with pytest.raises(
            ValueError, match="`source` has no fields; give another split"
        ):
            evaluate(dataclasses.replace(known, fields=[]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("classical", [False, True], ids=["network", "classical"])
def test_data_of_other_classes_are_refused(engine, known, classical):
    source = dataclasses.replace(known, class_names=("1_1", "bent"))
    with pytest.raises(
        ValueError, match=r"has the classes 1_1, bent, the detector 1_1, 1_2.* open the"
    ):
        evaluate_detector(ClassicalEngine() if classical else engine, source)


def test_a_field_that_cannot_be_used_is_named(engine, known):
    image = dataclasses.replace(
        known.fields[0].image, values=np.zeros((60, 64), np.float32)
    )
    known.fields.append(known.fields[0].replace(name="flat", image=image))
    with pytest.raises(ImageError, match="flat: cannot estimate the noise"):
        evaluate_detector(engine, known)
