"""Networks that are shown where the center of a field is."""

import keras
import pytest

from claran.detection.detector import Detector
from claran.detection.engine import Engine
from claran.detection.loading import load_model, save_model
from claran.detection.presets import claran_v01, claran_v1
from claran.fields.augmentation import Move, usual_augmentation
from claran.simulation.endless import SimulatedFields
from claran.survey.survey_network import SurveyNetwork
from claran.training.fine_tuning import centered


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return claran_v1(widths=(4, 4, 4), depths=(1, 1, 1), features=8, head_width=16)


def scores(model):
    (found,) = Engine(model).detect([SimulatedFields(1)[0]], score_threshold=0.0)
    return found.detections.scores


def test_detections_are_the_same_before_training(model, tmp_path):
    shown = centered(model)
    assert len(scores(model))
    assert scores(shown) == pytest.approx(scores(model), abs=1e-6)
    assert centered(shown) is shown
    save_model(shown, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.preprocessor == shown.preprocessor
    assert scores(loaded) == pytest.approx(scores(shown), abs=1e-6)


def test_fields_are_not_shifted(model):
    shifts = [
        move.shift
        for one in (model, centered(model))
        for move in usual_augmentation(one.preprocessor, has_radio=True)
        if isinstance(move, Move)
    ]
    assert shifts == [8, 0]


def test_mosaics_are_refused(model):
    with pytest.raises(ValueError, match="cannot search mosaics"):
        SurveyNetwork(Detector(centered(model)))


def test_pictures_are_refused():
    with pytest.raises(ValueError, match="such as claran_v1, can be shown the center"):
        centered(claran_v01(backbone_widths=(4,) * 5, rpn_width=4, head_width=4))
