"""The mean of the models of a training."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_training

from claran.detection.loading import load_model, save_model
from claran.detection.presets import preset_weights
from claran.training.mean_models import average_models, mean_model, step_file
from claran.training.recipes import GROUPS

SCRIPT = Path(__file__).parents[2] / "scripts" / "average_weights.py"


def weights(path):
    return load_model(path).network.get_weights()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of the steps 4, 8 and 12."""
    folder = tmp_path_factory.mktemp("training")
    small_training.run(folder, validate=small_training.falling_score, keep_models=True)
    return folder


def test_the_mean_of_later_models(folder):
    best = folder / "mean.keras"
    best.write_bytes((folder / "best.keras").read_bytes())
    assert average_models(best, after=12 / 3) == [8, 12]
    one, other = (weights(step_file(folder, step)) for step in (8, 12))
    for mean, a, b in zip(weights(best), one, other, strict=True):
        np.testing.assert_allclose(mean, (a + b) / 2, rtol=1e-6, atol=1e-9)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_a_calibrated_model_stays(folder):
    model = load_model(folder / "best.keras")
    model.network.decoder.temperature = 1.1
    calibrated = folder / "calibrated.keras"
    save_model(model, calibrated)
    before = calibrated.read_bytes()
    assert average_models(calibrated, after=0) == []
    assert calibrated.read_bytes() == before


def test_the_mean_of_two_files_is_not_calibrated(folder, tmp_path):
    model = load_model(folder / "last.keras")
    model.network.decoder.temperature = 1.1
    save_model(model, tmp_path / "calibrated.keras")
    mean = mean_model([tmp_path / "calibrated.keras", step_file(folder, 4)])
    assert mean.network.decoder.temperature == 1
    one, other = weights(folder / "last.keras"), weights(step_file(folder, 4))
    for found, a, b in zip(mean.network.get_weights(), one, other, strict=True):
        np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-6, atol=1e-9)


def test_the_script_writes_a_calibrated_mean(folder, tmp_path):
    written = tmp_path / "mean.keras"
    files = [folder / "last.keras", step_file(folder, 4)]
    command = [sys.executable, SCRIPT, f"--output={written}", "--fields=8", *files]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    temperature = load_model(written).network.decoder.temperature
    assert done.stdout == f"{written}: a temperature of {temperature}.\n"
    assert temperature != 1
    one, other = map(weights, files)
    for found, a, b in zip(weights(written), one, other, strict=True):
        np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "output, count, message",
    [
        ("mean.keras", 1, "give the files of two or more models"),
        ("mean", 2, "--output must end in .keras"),
        ("last.keras", 2, "is an input too, and would be overwritten"),
    ],
)
def test_what_the_script_refuses(folder, output, count, message):
    before = (folder / "last.keras").read_bytes()
    files = [folder / "last.keras", step_file(folder, 4)][:count]
    command = [sys.executable, SCRIPT, f"--output={folder / output}", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode and message in done.stdout + done.stderr
    assert (folder / "last.keras").read_bytes() == before


def test_models_of_another_kind_have_no_mean(folder, tmp_path):
    other = load_model(folder / "last.keras")
    other.class_names = other.class_names[::-1]
    save_model(other, tmp_path / "turned.keras")
    for path in (preset_weights("claran_first"), tmp_path / "turned.keras"):
        with pytest.raises(ValueError, match="other classes, channels or layers"):
            mean_model([folder / "last.keras", path])


def test_nothing_to_average(folder):
    before = (folder / "best.keras").read_bytes()
    assert average_models(folder / "best.keras", after=12) == []
    assert (folder / "best.keras").read_bytes() == before


def test_which_models_a_training_keeps(tmp_path):
    recipe = dataclasses.replace(small_training.RECIPE, mean_after=1 / 3)
    small_training.run(tmp_path, validate=small_training.falling_score, recipe=recipe)
    kept = sorted(path.name for path in tmp_path.glob("step-*.keras"))
    assert kept == ["step-000008.keras", "step-000012.keras"]


def test_recipes():
    assert GROUPS.steps_before_mean == pytest.approx(GROUPS.steps / 3)
    assert dataclasses.replace(GROUPS, mean_after=None).steps_before_mean == np.inf
    with pytest.raises(ValueError, match="`mean_after` must be in"):
        dataclasses.replace(GROUPS, mean_after=1.0)
