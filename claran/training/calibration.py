"""Calibration of scores to probabilities, by the temperature of the network's logits.

Guo et al. 2017, arXiv:1706.04599. Here the temperature is fitted to the final
detections, after suppression and counting, and not to the logits of each proposal.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from scipy.optimize import minimize_scalar
from tqdm.auto import tqdm

from claran.detection.counting import FAINT
from claran.detection.detection_model import DetectionModel
from claran.detection.detections import Detections
from claran.detection.engine import Engine
from claran.detection.field_results import PreparedField
from claran.detection.loading import load_model, save_model
from claran.evaluation.metrics import class_matches
from claran.evaluation.scores import pooled
from claran.fields.batches import Source
from claran.fields.field import Field

__all__ = ["calibrate", "detection_loss", "fit_temperature"]

LOWEST, HIGHEST = 0.25, 4.0  # Temperatures.


def calibrate(path: Path, source: Source) -> float | None:
    """Calibrates the scores of a saved model, unless it is calibrated already.

    Of several processes only the first one does: the model may not be on the disk yet
    when the others get here.

    Args:
        path: File of the model.
        source: Labelled fields that the model was not trained on.

    Returns:
        The temperature; None if nothing was done.

    Raises:
        WeightsError: There is no such file, or it is damaged.
    """
    if jax.process_index() > 0:
        return None
    model = load_model(path)
    if model.network.decoder.temperature != 1:
        return None
    temperature = fit_temperature(model, source)
    save_model(model, path)
    return temperature


def fit_temperature(model: DetectionModel, source: Source) -> float:
    """Fits the temperature of a model to labelled fields.

    The network runs once on each field. Its outputs are decoded again for each trial.
    Simulated fields follow the rule of the labels, so that for them counting is always
    right; scores that allow for the citizens' exceptions would need to be sharpened.

    Args:
        model: The temperature of its network is set.
        source: Labelled fields that the model was not trained on.

    Returns:
        The temperature.
    """
    network = model.network

    def run_heads(trainable: Any, others: Any, batch: Any) -> Any:
        mapping = [
            *zip(network.trainable_variables, trainable, strict=True),
            *zip(network.non_trainable_variables, others, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping):
            heads = network.heads(*network.unpack(batch))
        return heads, batch["image_info"]

    @jax.jit
    def decode(outputs: Any, info: Any, temperature: Any) -> Any:
        one = jax.tree.map(lambda array: jnp.asarray(array)[None], outputs)
        found = network.decode(one, jnp.asarray(info)[None], temperature=temperature)
        return jax.tree.map(lambda array: array[0], found)

    judged = _trusting(model) if getattr(source, "endless", False) else model
    engine = Engine(judged, function=run_heads)
    seen: list[tuple[PreparedField, list[Any]]] = []
    heads = engine.network_outputs(range(len(source)), source.__getitem__)
    for _, prepared, outputs in tqdm(
        heads, "Calibrating", len(source), unit="field", disable=None, delay=2,
        leave=False,
    ):  # fmt: skip
        assert isinstance(prepared, PreparedField)  # noqa: S101 - nothing is skipped.
        seen.append((prepared, outputs))
    fields = [prepared.field for prepared, _ in seen]

    def loss(log_temperature: float) -> float:
        temperature = np.float32(np.exp(log_temperature))
        found = []
        for prepared, outputs in seen:
            decoded = [jax.device_get(decode(*one, temperature)) for one in outputs]
            found.append(engine.finish(prepared, decoded, score_threshold=FAINT))
        return detection_loss(fields, found, len(model.class_names))

    best = minimize_scalar(
        loss,
        bounds=np.log([LOWEST, HIGHEST]),
        method="bounded",
        options={"xatol": 0.02},
    )
    network.decoder.temperature = round(float(np.exp(best.x)), 3)
    return network.decoder.temperature


def _trusting(model: DetectionModel) -> DetectionModel:
    """Returns the model with full trust in counting, if it counts."""
    finisher: Any = model.finisher
    if not finisher.counts_islands:
        return model
    return DetectionModel(
        name=model.name, network=model.network, preprocessor=model.preprocessor,
        finisher=dataclasses.replace(finisher, count_trust=1.0),
        class_names=model.class_names,
    )  # fmt: skip


def detection_loss(
    fields: Sequence[Field], detections: Sequence[Detections], class_count: int
) -> float:
    """Returns the negative log likelihood per field of detections being hits or not.

    A source that none hits counts as one with the score at which the network's
    detections are cut, `FAINT`. Else a temperature near 0 would be free: it moves the
    scores of hits below that, where they are not seen.

    Args:
        fields: The fields, labelled.
        detections: Detections in each field.
        class_count: Number of classes.
    """
    matches = class_matches(fields, detections, class_count)
    scores, hits = pooled(matches)
    scores = np.clip(scores, 1e-6, 1 - 1e-6)
    likely = np.where(hits > 0, np.log(scores), np.log1p(-scores))
    missed = sum(int(one.positives.sum()) for one in matches) - hits.sum()
    return float((-likely.sum() - missed * np.log(FAINT)) / len(fields))
