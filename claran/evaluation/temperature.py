"""Scores that are probabilities: the temperature of a network's logits.

Guo et al. 2017, arXiv:1706.04599. Fitted here to the final detections and not to the
logits of each proposal: suppression and counting come in between.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from claran.data.inputs import Inputs
from claran.data.pipeline import Source
from claran.evaluation.detecting import BatchDetector
from claran.evaluation.fields import FieldDetections, FieldTruth, catalog
from claran.evaluation.matching import match_voc
from claran.evaluation.scores import pooled
from claran.models.faster_rcnn import FasterRcnn

__all__ = ["detection_loss", "fit_temperature"]

LOWEST, HIGHEST = 0.25, 4.0
SCORES = 0.01  # Detections with a higher score are fitted; fainter ones weigh nothing.


def fit_temperature(
    model: FasterRcnn,
    source: Source,
    truths: Sequence[FieldTruth],
    inputs: Inputs,
    *,
    batch_size: int = 16,
) -> float:
    """Returns the temperature at which scores say best what is a hit; sets it.

    Args:
        model: The network; its temperature is changed.
        source: Fields it was not trained on.
        truths: What is known about them.
        inputs: What the network sees of a field.
        batch_size: Fields at once.
    """

    def loss(log_temperature: float) -> float:
        model.detections.temperature = float(np.exp(log_temperature))
        # Anew each time: the temperature is a constant of the compiled program.
        found = BatchDetector(model).detect(
            source, truths, inputs, score_threshold=SCORES, batch_size=batch_size
        )
        return detection_loss(truths, list(found), len(model.class_names))

    best = minimize_scalar(
        loss,
        bounds=np.log([LOWEST, HIGHEST]),
        method="bounded",
        options={"xatol": 0.02},
    )
    model.detections.temperature = round(float(np.exp(best.x)), 3)
    return model.detections.temperature


def detection_loss(
    truths: Sequence[FieldTruth],
    detections: Sequence[FieldDetections],
    class_count: int,
) -> float:
    """Returns minus the log probability of what detections are, hits or not, per field.

    Args:
        truths: Sources of each field.
        detections: In each of these fields.
        class_count: Number of classes.
    """
    true, found = catalog(truths), catalog(detections)
    matches = [
        match_voc(true, found, label, field_count=len(truths))
        for label in range(1, class_count + 1)
    ]
    scores, hits = pooled(matches)
    scores = np.clip(scores, 1e-6, 1 - 1e-6)
    likely = np.where(hits > 0, np.log(scores), np.log1p(-scores))
    return float(-likely.sum() / len(truths))
