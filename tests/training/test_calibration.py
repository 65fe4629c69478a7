import keras
import numpy as np
import pytest

from claran.detection.engine import BatchDetector
from claran.evaluation.truth import FieldDetections, FieldTruth, read_truths
from claran.fields.channels import Channels
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED
from claran.training.calibration import detection_loss, fit_temperature


def test_loss_by_hand():
    box = np.array([[0.0, 0, 10, 10]])
    truths = [FieldTruth(name="a", boxes=box, labels=np.array([1]))] * 2
    found = [
        FieldDetections(
            boxes=np.repeat(box, 2, axis=0),
            labels=np.array([1, 2]),
            scores=np.array([0.8, 0.3]),
        ),
        FieldDetections(boxes=box[:0], labels=np.zeros(0, int), scores=np.zeros(0)),
    ]
    expected = -(np.log(0.8) + np.log(0.7)) / 2
    assert detection_loss(truths, found, 2) == pytest.approx(expected)
    assert detection_loss(truths, [found[1]] * 2, 2) == 0


def test_fitted_temperature_is_a_minimum(tiny_channels):
    keras.utils.set_random_seed(2)
    model = tiny_channels()
    source = SimulatedFields(4, population=BALANCED)
    truths = read_truths(source)
    inputs = Channels(size=112, beam=3.0)

    best = fit_temperature(model, source, truths, inputs, batch_size=4)
    assert model.detections.temperature == best and 0.25 <= best <= 4

    def loss(temperature):
        model.detections.temperature = temperature
        found = BatchDetector(model).detect(
            source, truths, inputs, score_threshold=0.01, batch_size=4
        )
        return detection_loss(truths, list(found), 6)

    assert loss(best) <= loss(min(1.3 * best, 4.0)) + 1e-3
