"""The command's mode train."""

import json
from pathlib import Path

import keras
import pytest

from claran.commands.train import calibrate
from claran.simulation.populations import BALANCED
from claran.simulation.source import SimulatedFields
from claran.training.journal import read_log

ON_FIELDS = (
    "--mode=train", "--data=simulated/balanced", "--output=run", "--batch_size=2",
    "--steps=4", "--save_every=2", "--validate_every=1", "--validation_fields=3",
)  # fmt: skip


def test_trained_again_and_with_other_settings(claran, d1_path):
    status, printed, errors = claran(*ON_FIELDS, model=d1_path)
    assert status == 0 and errors == ""
    assert printed.splitlines()[-1].startswith("4 steps; mAP 0.")
    assert printed.splitlines()[-1].endswith(": run/best.keras")
    rows = read_log(Path("run/log.csv"))
    assert [row["step"] for row in rows] == [2, 4]
    assert all(0 <= row["validation_map"] <= 1 for row in rows)
    settings = json.loads(Path("run/run.json").read_text())["settings"]
    assert settings["data"] == "simulated/balanced" and settings["batch_size"] == 2
    assert settings["learning_rate"] == 1e-3 and len(settings["fingerprint"]) == 64
    keras.saving.load_model("run/best.keras")

    status, printed, _ = claran(*ON_FIELDS, model=d1_path)
    assert status == 0 and "this training has ended" in printed

    status, _, errors = claran(*ON_FIELDS, "--seed=1", model=d1_path)
    assert status == 1 and "seed was 0, now 1" in errors and errors.count("\n") == 1


def test_other_classes_half_precision_and_no_field_to_validate_on(claran, d1_path):
    claran("--mode=simulate", "--num=6", "--population=balanced", "--output=fields")
    table = Path("fields/annotations.csv")
    table.write_text(table.read_text().replace("1_1", "compact"))
    arguments = [a for a in ON_FIELDS if not a.startswith(("--data", "--validation"))]
    status, printed, errors = claran(
        *arguments, "--data=fields", "--precision=bfloat16", model=d1_path
    )
    assert status == 0, errors
    assert "it has train (3), test (3). Trains without: best.keras will" in printed
    assert "new heads for the classes" in printed and "compact" in printed
    model = keras.saving.load_model("run/best.keras")
    assert "compact" in model.class_names
    assert model.backbone.layers[-1].dtype_policy.name == "float32"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--output="], "Give --output, the folder for the model"),
        (["--data=missing"], "missing: no such file or folder"),
        (["--learning_rate=0"], "`learning_rate` must be in"),
        (["--data="], "Give --data"),
    ],
)
def test_mistakes(claran, d1_path, arguments, message):
    status, _, errors = claran(*ON_FIELDS, *arguments, model=d1_path)
    assert status == 1 and message in errors and errors.count("\n") == 1


def test_scores_are_made_probabilities(tiny_channels, tmp_path, capsys):
    keras.utils.set_random_seed(1)
    path = tmp_path / "best.keras"
    tiny_channels().save(path)
    fields = SimulatedFields(4, population=BALANCED)
    calibrate(path, fields)
    temperature = keras.saving.load_model(path).detections.temperature
    assert 0.25 <= temperature <= 4 and temperature != 1
    assert f"at a temperature of {temperature}." in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["best.keras"]
    content = path.read_bytes()
    calibrate(path, fields)  # Is already.
    assert path.read_bytes() == content
