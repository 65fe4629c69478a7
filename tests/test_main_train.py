"""The command's mode train."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from claran.detection.loading import load_model
from claran.detection.presets import PRESETS
from claran.labels import RGZ_CLASSES
from claran.training.journal import read_log

ON_FIELDS = (
    "--mode=train", "--data=simulated/balanced", "--output=run", "--batch_size=2",
    "--steps=4", "--save_every=2", "--validate_every=1", "--validation_fields=3",
)  # fmt: skip


def on_fields(*arguments):
    """Returns the flags with some of them changed."""
    changed = tuple(f"{one.partition('=')[0]}=" for one in arguments)
    if "--validation_fields=0" in arguments:
        changed += ("--validate_every=",)
    return [one for one in ON_FIELDS if not one.startswith(changed)] + [*arguments]


def test_trained_again_and_with_other_settings(claran, d1_path):
    status, printed, errors = claran(*ON_FIELDS, "--workers=0", model=d1_path)
    assert status == 0 and errors == ""
    assert printed.splitlines()[-1].startswith("4 steps; mAP 0.")
    assert printed.splitlines()[-1].endswith(": run/best.keras")
    rows = read_log(Path("run/log.csv"))
    assert [row["step"] for row in rows] == [2, 4]
    assert all(0 <= row["validation_map"] <= 1 for row in rows)
    settings = json.loads(Path("run/run.json").read_text())["settings"]
    assert settings["data"] == "simulated/balanced" and settings["batch_size"] == 2
    assert settings["learning_rate"] == 2e-4 and len(settings["fingerprint"]) == 64
    assert settings["start"] == "pretrained"  # With its own weights.
    assert (
        load_model(Path("run/best.keras")).class_names
        == load_model(d1_path).class_names
    )

    status, printed, _ = claran(*ON_FIELDS, model=d1_path)
    assert status == 0 and "this training has ended" in printed

    status, _, errors = claran(*ON_FIELDS, "--seed=1", model=d1_path)
    assert status == 1 and "seed was 0, now 1" in errors and errors.count("\n") == 1


def test_other_classes_half_precision_and_no_field_to_validate_on(claran, d1_path):
    """And other thresholds."""
    claran("--mode=simulate", "--num=6", "--population=balanced", "--output=fields")
    table = Path("fields/annotations.csv")
    table.write_text(table.read_text().replace("1_1", "compact"))
    arguments = [a for a in ON_FIELDS if not a.startswith(("--data", "--validation"))]
    status, printed, errors = claran(
        *arguments, "--data=fields", "--precision=bfloat16", "--nms_threshold=0.4",
        "--rpn_nms_threshold=0.6", model=d1_path,
    )  # fmt: skip
    assert status == 0, errors
    assert "it has train (3), test (3). Training without validation:" in printed
    names = "1_2, 2_2, 2_3, compact"
    assert f"new heads for the classes {names}" in printed
    assert f"its classes were {', '.join(RGZ_CLASSES)}." in printed
    model = load_model("run/best.keras")
    assert ", ".join(model.class_names) == names
    assert model.network.decoder.iou_threshold == 0.4
    assert model.network.proposals.iou_threshold == 0.6
    # Whoever uses it may have no hardware for half precision.
    assert model.network.backbone.layers[-1].dtype_policy.name == "float32"
    settings = json.loads(Path("run/run.json").read_text())["settings"]
    assert settings["precision"] == "bfloat16" and settings["nms_threshold"] == 0.4


def test_problems_of_the_data_are_said_once(claran, d1_path, monkeypatch):
    claran("--mode=simulate", "--num=20", "--population=balanced", "--output=fields")
    table = Path("fields/annotations.csv")
    lines = table.read_text().splitlines()
    gone = lines[1].replace(lines[1].split(",")[0], "nowhere")
    table.write_text("\n".join([*lines, gone]))
    done = {"step": 4, "best": None}
    monkeypatch.setattr("claran.commands.train.train_detector", lambda *_, **__: done)
    arguments = ("--mode=train", "--data=fields", "--output=run")
    for more in ("--validation_fields=100", "--validation_fields=1"):
        status, printed, errors = claran(*arguments, more, model=d1_path)
        assert (status, errors) == (0, "") and "fields (validation)" in printed
        assert printed.count("nowhere: no FITS file") == 1


def test_a_field_with_too_many_objects_is_named_before(claran, d1_path, assert_fails):
    claran("--mode=simulate", "--num=6", "--population=balanced", "--output=fields")
    table = Path("fields/annotations.csv")
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[-1], lines[-1]]))
    arguments = [a for a in ON_FIELDS if not a.startswith("--data")]
    found = claran(*arguments, "--data=fields", "--slots=2", model=d1_path)
    assert_fails(found, "more than --slots=2; give --slots=")
    assert not Path("run").exists()


@pytest.fixture
def tiny_preset(tiny_groups, tmp_path, monkeypatch):
    """Makes claran_v1 small, with weights that come with it; returns its model."""
    keras.utils.set_random_seed(1)
    model = tiny_groups()
    model.network.decoder.temperature = 1.5
    path = tmp_path / "claran_v1.keras"
    model.save(path)
    for module in ("claran.training.session", "claran.detection.loading"):
        weights = {"claran_v1": path}
        monkeypatch.setattr(f"{module}.preset_weights", weights.get)
    monkeypatch.setitem(PRESETS, "claran_v1", tiny_groups)
    return model


def trained_preset(claran, *arguments):
    """Returns the model of a training that changes nothing, and its settings."""
    arguments = on_fields("--model=claran_v1", "--learning_rate=1e-9", *arguments)
    status, printed, errors = claran(*arguments, model=None)
    assert status == 0, errors
    settings = json.loads(Path("run/run.json").read_text())["settings"]
    assert settings["model"] == "claran_v1"
    return load_model("run/best.keras"), settings, printed


def is_like(model, other):
    """Returns whether two models have the same RPN."""
    own, given = (one.network.rpn.get_weights() for one in (model, other))
    pairs = zip(own, given, strict=True)
    return all(np.allclose(own, given, atol=1e-5) for own, given in pairs)


def test_a_preset_starts_at_random(claran, tiny_preset):
    model, settings, _ = trained_preset(claran, "--validation_fields=0")
    assert settings["start"] == "random" and not is_like(model, tiny_preset)
    assert settings["rpn"]["positive"] == 0.5  # As its recipe has it.


def test_a_preset_is_fine_tuned_for_other_classes(claran, tiny_preset, monkeypatch):
    def save(model, *_, options, settings, **__):
        """Writes what a training of no step would."""
        options.output.mkdir()
        model.save(options.output / "best.keras")
        text = json.dumps({"settings": settings})
        (options.output / "run.json").write_text(text)
        return {"step": 4, "best": None}

    monkeypatch.setattr("claran.training.session.train", save)
    claran("--mode=simulate", "--num=6", "--population=balanced", "--output=fields")
    table = Path("fields/annotations.csv")
    table.write_text(table.read_text().replace("1_1", "compact"))
    model, settings, printed = trained_preset(
        claran, "--start=pretrained", "--data=fields", "--validation_fields=0"
    )
    assert settings["start"] == "pretrained" and is_like(model, tiny_preset)
    assert model.network.decoder.temperature == 1
    assert "claran_v1: new heads for the classes" in printed
    assert "compact" in model.class_names


@pytest.mark.parametrize(
    "model, start, message",
    [
        ("claran_first", "imagenet", "claran_first has no VGG16; give --start=pre"),
        ("claran_v0.1", "pretrained", "claran_v0.1 has no trained weights"),
        ("my.keras", "pretrained", "preset (claran_v0.1, claran_first, claran_v1); my"),
        ("my.keras", "imagenet", "my.keras has its own weights: leave"),
        ("my.keras", "random", "my.keras has its own weights: leave"),
    ],
)
def test_starts_that_make_no_sense(claran, assert_fails, model, start, message):
    found = claran(*ON_FIELDS, f"--model={model}", f"--start={start}", model=None)
    assert_fails(found, message)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--data=missing"], "missing: no such file or folder"),
        (["--learning_rate=10"], "`learning_rate` must be in"),
    ],
)
def test_mistakes(claran, d1_path, arguments, message):
    status, _, errors = claran(*on_fields(*arguments), model=d1_path)
    assert status == 1 and message in errors and errors.count("\n") == 1
