"""Scores that are probabilities: the temperature of a network's logits.

Guo et al. 2017, arXiv:1706.04599. Fitted here to the final detections and not to the
logits of each proposal: suppression and counting come in between.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from scipy.optimize import minimize_scalar
from tqdm.auto import tqdm

from claran.detection.counting import FAINT
from claran.detection.engine import BatchDetector
from claran.evaluation.matches import match_voc
from claran.evaluation.scores import pooled
from claran.evaluation.truth import FieldDetections, FieldTruth, catalog
from claran.fields.batches import PipelineOptions, Source, validation_batches
from claran.fields.preprocessing import Inputs
from claran.models.faster_rcnn import FasterRcnn

__all__ = ["detection_loss", "fit_temperature"]

LOWEST, HIGHEST = 0.25, 4.0


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
    detector = BatchDetector(model)

    @jax.jit
    def classify(images: Any, info: Any) -> tuple[Any, ...]:
        proposed = model.propose(images, info)
        heads = model.classify(proposed.features, proposed.rois)
        return *heads, proposed.rois, proposed.valid

    times = model.times(inputs.size, inputs.size)

    @jax.jit
    def detect(outputs: tuple[Any, ...], info: Any, temperature: Any) -> Any:
        return model.detections(*outputs, info, temperature=temperature, times=times)

    slots = max([1, *(len(truth.labels) for truth in truths)])
    options = PipelineOptions(batch_size=batch_size, slots=slots)
    with validation_batches(source, inputs, options=options) as batches:
        seen = [
            (classify(batch["images"], batch["image_info"]), batch["image_info"])
            for batch in tqdm(
                batches, "Calibrating", math.ceil(len(truths) / batch_size),
                unit="batch", disable=None, delay=2, leave=False,
            )
        ]  # fmt: skip

    def loss(log_temperature: float) -> float:
        fields = iter(truths)
        found = [
            one
            for outputs, info in seen
            for one in detector.read(
                detect(outputs, info, np.exp(log_temperature)), info, fields, FAINT
            )
        ]
        return detection_loss(truths, found, len(model.class_names))

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
