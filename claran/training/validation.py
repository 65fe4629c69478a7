"""Validation during a training: mean average precision on the same fields."""

from tqdm.auto import tqdm

from claran.detection.detection_model import DetectionModel
from claran.detection.engine import Engine
from claran.detection.finisher import LOWEST_SCORE
from claran.evaluation.metrics import mean_average_precision
from claran.fields.batches import Source

__all__ = ["Validation"]


class Validation:
    """VOC's mean AP of a model at an IoU of 0.5, with its present weights.

    The fields are kept in memory, so that each is read and measured only once.

    Args:
        model: The model.
        source: Labelled fields.
    """

    def __init__(self, model: DetectionModel, source: Source) -> None:
        self._engine = Engine(model)
        self._fields = [source[i] for i in range(len(source))]

    def __call__(self) -> float:
        """Returns the mean average precision; NaN without labelled sources."""
        results = self._engine.detect(self._fields, score_threshold=LOWEST_SCORE)
        found = [
            one.detections
            for one in tqdm(
                results, "Validating", len(self._fields), unit="field", disable=None,
                delay=2, leave=False,
            )
        ]  # fmt: skip
        classes = len(self._engine.model.class_names)
        return mean_average_precision(self._fields, found, classes)
