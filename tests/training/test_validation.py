import collections
import dataclasses
import math

import keras
import numpy as np
import pytest

from claran.detection.engine import Engine
from claran.evaluation.metrics import mean_average_precision
from claran.fields import field as field_module
from claran.fields.objects import Objects
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED
from claran.training.validation import Validation

LOWEST = 0.05  # Score from which detections count, as in the original's evaluation.


@pytest.fixture
def model(tiny_channels):
    keras.utils.set_random_seed(2)
    return tiny_channels()


@dataclasses.dataclass
class Counted:
    """Fields that count how often each is asked for."""

    fields: list
    reads: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def __len__(self):
        return len(self.fields)

    def __getitem__(self, index):
        self.reads[index] += 1
        return self.fields[index]


@pytest.fixture
def source(model):
    """Simulated fields in which every second detection of the model is a source."""
    simulated = SimulatedFields(12, population=BALANCED)
    fields = []
    numbers = range(len(simulated))
    engine = Engine(model)
    for one in engine.detect(numbers, simulated.__getitem__, score_threshold=0.0):
        found = one.detections[::2]
        objects = Objects(
            boxes=found.boxes.astype(np.float32),
            labels=found.labels.astype(np.int32),
            ignored=np.zeros(len(found), bool),
        )
        fields.append(simulated[one.item].replace(objects=objects))
    assert sum(len(field.objects) for field in fields) > 8
    return Counted(fields)


def by_hand(model, fields):
    found = Engine(model).detect(fields, score_threshold=LOWEST)
    return mean_average_precision(fields, [one.detections for one in found], 6)


def test_mean_average_precision_of_what_the_engine_finds(model, source):
    score = Validation(model, source)()
    assert 0 < score < 1
    assert score == by_hand(model, source.fields)


def test_follows_the_weights(model, source):
    validation = Validation(model, source)
    before = validation()
    weights = model.get_weights()
    model.set_weights([np.zeros_like(weight) for weight in weights])
    after = validation()
    assert after == by_hand(model, source.fields) and after != before
    model.set_weights(weights)
    assert validation() == before


def test_fields_are_read_and_measured_once(model, source, monkeypatch):
    measured = []
    find_islands = field_module.find_islands

    def count(*args, **options):
        measured.append(args[0].shape)
        return find_islands(*args, **options)

    monkeypatch.setattr(field_module, "find_islands", count)
    validation = Validation(model, source)
    assert validation() == validation()
    assert source.reads == dict.fromkeys(range(len(source)), 1)
    assert len(measured) == len(source)


def test_without_a_labelled_source(model, source):
    bare = [field.replace(objects=Objects.none()) for field in source.fields]
    assert math.isnan(Validation(model, bare)())
