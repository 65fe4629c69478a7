"""The script that measures weights: what it counts itself."""

import re

import measure_weights
import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.labels import RGZ_CLASSES
from claran.simulation.observation import FIRST_NATIVE


def detections(boxes, scores):
    count = len(scores)
    return Detections(
        boxes=np.array(boxes, float).reshape(count, 4),
        labels=np.ones(count, np.int64),
        scores=np.array(scores, float),
    )


def test_the_calibration_error_is_that_of_an_evaluation():
    rng = np.random.default_rng(0)
    box = np.array([[10.0, 10, 20, 20]], np.float32)
    objects = Objects(boxes=box, labels=np.ones(1, np.int32), ignored=np.zeros(1, bool))
    picture = np.zeros((40, 40, 3), np.uint8)
    fields = [Field(str(i), picture=picture, objects=objects) for i in range(60)]
    found = [detections([box[0], box[0] + 15], rng.uniform(0, 1, 2)) for _ in fields]
    options = EvaluationOptions(score_threshold=0.5, resample_count=200)
    evaluation = evaluate(fields, found, RGZ_CLASSES, options=options)
    text = measure_weights.calibration_error([evaluation])
    value, low, high, chance = map(float, re.findall(r"[\d.]+", text))
    assert value == pytest.approx(evaluation.calibration.error, abs=6e-4)
    # The scores mean nothing here, so that it is far above what chance would give.
    assert low < value < high and chance < value / 2
    again = measure_weights.calibration_error([evaluation, evaluation])
    assert again.startswith(f"{value:.3f} (")
    scores, hits, number = measure_weights.counted([evaluation, evaluation])
    assert len(scores) == len(hits) == 240 and np.unique(number).tolist() == [
        *range(120)
    ]


def test_false_sources_are_those_beside_the_bright_one():
    field = measure_weights.bright_field(1, 0, FIRST_NATIVE)
    assert 300 < np.nanmax(field.signal_to_noise) < 3600
    boxes = np.array([[45, 45, 55, 55], [20, 20, 30, 30], [50.5, 40, 60, 60]])
    assert measure_weights.away(field, boxes) == 2
    assert measure_weights.away(field, boxes[:0]) == 0


def test_what_is_not_there_is_left_out(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("CLARAN_SHARED", str(tmp_path))
    for section in ("real", "pairs", "double"):
        assert list(measure_weights.SECTIONS[section](None)) == []
    assert capsys.readouterr().err.count("Left out: there is no ") == 3
