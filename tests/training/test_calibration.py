import dataclasses

import jax
import keras
import numpy as np
import pytest

from claran.detection.counting import FAINT
from claran.detection.detections import Detections
from claran.detection.engine import Engine
from claran.detection.loading import load_model, save_model
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED
from claran.training.calibration import calibrate, detection_loss, fit_temperature


@pytest.fixture
def model(tiny_channels):
    keras.utils.set_random_seed(2)
    return tiny_channels()


@pytest.fixture(scope="module")
def source():
    return SimulatedFields(4, population=BALANCED)


def test_loss_by_hand():
    box = np.array([[0.0, 0, 10, 10]])
    labelled = Field(
        "a",
        picture=np.zeros((20, 20, 3), np.uint8),
        objects=Objects(boxes=box, labels=np.array([1]), ignored=np.array([False])),
    )
    found = [
        Detections(
            boxes=np.repeat(box, 2, axis=0),
            labels=np.array([1, 2]),
            scores=np.array([0.8, 0.3]),
        ),
        Detections.none(),
    ]
    missed = np.log(FAINT)  # As if found with the lowest score.
    expected = -(np.log(0.8) + np.log(0.7) + missed) / 2
    assert detection_loss([labelled] * 2, found, 2) == pytest.approx(expected)
    none = detection_loss([labelled] * 2, [found[1]] * 2, 2)
    assert none == pytest.approx(-missed)


def test_fitted_temperature_is_a_minimum(model, source):
    best = fit_temperature(model, source)
    assert model.network.decoder.temperature == best and 0.25 <= best <= 4
    fields = [source[i] for i in range(len(source))]

    def loss(temperature):
        model.network.decoder.temperature = temperature
        # Of simulated fields the rule gives the class.
        model.finisher = dataclasses.replace(model.finisher, count_trust=1.0)
        # A new engine, as the temperature is a constant of the compiled network.
        found = Engine(model).detect(fields, score_threshold=FAINT)
        return detection_loss(fields, [one.detections for one in found], 6)

    assert loss(best) <= loss(min(1.3 * best, 4.0)) + 1e-3
    assert loss(best) <= loss(max(best / 1.3, 0.25)) + 1e-3


def test_scores_of_a_saved_model_are_calibrated_once(model, source, tmp_path):
    path = tmp_path / "best.keras"
    save_model(model, path)
    temperature = calibrate(path, source)
    assert load_model(path).network.decoder.temperature == temperature
    assert 0.25 <= temperature <= 4 and temperature != 1
    assert [file.name for file in tmp_path.iterdir()] == ["best.keras"]
    content = path.read_bytes()
    assert calibrate(path, source) is None
    assert path.read_bytes() == content


def test_of_several_processes_the_first_calibrates(tmp_path, source, monkeypatch):
    """The others may be here before the model is written."""
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert calibrate(tmp_path / "not_yet.keras", source) is None
