"""Radio galaxy detection and classification: ClaRAN in Keras 3 on JAX.

Importing `claran` selects the JAX backend of Keras, so import it before Keras.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claran.data.sources import open_source
    from claran.detection.detections import Detections
    from claran.detection.detector import Detector
    from claran.detection.prediction import predict_files
    from claran.evaluation.results import Evaluation
    from claran.evaluation.running import evaluate_detector, evaluate_predictions
    from claran.fields.field import Field
    from claran.fields.reading import read_field
    from claran.sky.surveys import SURVEYS, Survey
    from claran.survey.run import SurveyCatalog, SurveyOptions, run_survey
    from claran.training.session import TrainingSession, train_detector

__all__ = [
    "SURVEYS",
    "Detections",
    "Detector",
    "Evaluation",
    "Field",
    "Survey",
    "SurveyCatalog",
    "SurveyOptions",
    "TrainingSession",
    "__version__",
    "evaluate_detector",
    "evaluate_predictions",
    "open_source",
    "predict_files",
    "read_field",
    "run_survey",
    "train_detector",
]
__version__ = "0.1.0"

_HOMES = {
    "SURVEYS": "claran.sky.surveys",
    "Detections": "claran.detection.detections",
    "Detector": "claran.detection.detector",
    "Evaluation": "claran.evaluation.results",
    "Field": "claran.fields.field",
    "Survey": "claran.sky.surveys",
    "SurveyCatalog": "claran.survey.run",
    "SurveyOptions": "claran.survey.run",
    "TrainingSession": "claran.training.session",
    "evaluate_detector": "claran.evaluation.running",
    "evaluate_predictions": "claran.evaluation.running",
    "open_source": "claran.data.sources",
    "predict_files": "claran.detection.prediction",
    "read_field": "claran.fields.reading",
    "run_survey": "claran.survey.run",
    "train_detector": "claran.training.session",
}
"""Module of each public name, imported at its first use."""


def _select_jax_backend() -> None:
    """Makes Keras run on JAX.

    Raises:
        ImportError: Keras was imported before with another backend, which cannot be
            changed in a process.
    """
    keras = sys.modules.get("keras")
    if keras is not None and (backend := keras.config.backend()) != "jax":
        raise ImportError(
            f"claran runs on Keras's JAX backend, but Keras is already loaded with "
            f"the {backend!r} backend. Start Python (or the notebook's kernel) again "
            "and import claran before keras, or set the environment variable "
            "KERAS_BACKEND=jax."
        )
    os.environ["KERAS_BACKEND"] = "jax"


_select_jax_backend()


def __getattr__(name: str) -> Any:
    # Lazy, so that worker processes that need only claran.sky do not import JAX.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'claran' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
