"""Runs a network over all fields of a source, as fast as its device goes."""

import collections
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32
from tqdm.auto import tqdm

from claran.detection.counting import FieldIslands, network_threshold, recount
from claran.evaluation.metrics import mean_average_precision
from claran.evaluation.truth import FieldDetections, FieldTruth, read_truths
from claran.fields.batches import PipelineOptions, Source, validation_batches
from claran.fields.field import beam_width
from claran.fields.preprocessing import Channels, Inputs, Picture
from claran.models.faster_rcnn import FasterRcnn
from claran.sky.pictures import METHODS, picture_to_array

__all__ = ["BatchDetector", "Validation", "network_inputs"]

STEP = 16  # Pixels: the largest stride of the networks.


class BatchDetector:
    """A network that detects batch by batch; it is compiled once for a size.

    It sees the weights that the network has when it is called.

    Args:
        model: The network.
    """

    def __init__(self, model: FasterRcnn) -> None:
        self.model = model
        self._run = jax.jit(model.stateless_call)

    def detect(
        self,
        source: Source,
        truths: Sequence[FieldTruth],
        inputs: Inputs,
        *,
        score_threshold: float = 0.05,
        batch_size: int = 16,
        workers: int = 0,
        start: int = 0,
    ) -> Iterator[FieldDetections]:
        """Yields what is found in each field, in order and in its FITS array's pixels.

        While the device computes one batch, the next is made and the one before is
        read.

        Args:
            source: The fields.
            truths: What is known about them; the shapes are used.
            inputs: What the network sees of a field.
            score_threshold: Detections with a higher score are returned.
            batch_size: Fields at once.
            workers: Processes that make batches; with 0 a thread does.
            start: Fields to leave out at the front: all, or whole batches of them, as
                batches are the same then as without.

        Raises:
            ValueError: `start` is in the middle of a batch.
        """
        if start == len(truths):
            return
        if start % batch_size:
            raise ValueError(
                f"`start` must be a multiple of `batch_size`, {batch_size}, got "
                f"{start}."
            )
        slots = max([1, *(len(truth.labels) for truth in truths)])
        options = PipelineOptions(batch_size=batch_size, slots=slots, workers=workers)
        waiting: collections.deque[tuple[Any, np.ndarray]] = collections.deque()
        fields = iter(truths[start:])
        with validation_batches(source, inputs, options=options) as batches:
            first = {"next_batch": start // batch_size}
            batches.set_state(batches.get_state() | first)
            for batch in batches:
                given = {name: batch[name] for name in ("images", "image_info")}
                # Returns at once: JAX computes while Python goes on.
                waiting.append((self._start(given), batch["image_info"]))
                if len(waiting) > 1:
                    yield from self.read(*waiting.popleft(), fields, score_threshold)
        for detected, info in waiting:
            yield from self.read(detected, info, fields, score_threshold)

    def _start(self, batch: dict[str, np.ndarray]) -> Any:
        detected, _ = self._run(
            [variable.value for variable in self.model.trainable_variables],
            [variable.value for variable in self.model.non_trainable_variables],
            batch,
        )
        return detected

    def read(
        self,
        detected: Any,
        info: Float32[np.ndarray, "b 3"],
        fields: Iterator[FieldTruth],
        score_threshold: float,
    ) -> Iterator[FieldDetections]:
        """Yields the detections of one batch; blank rows fill up the last one.

        Args:
            detected: What the network returned.
            info: The batch's `image_info`.
            fields: What is known about its fields, and those after them.
            score_threshold: Detections with a higher score are returned.
        """
        detected = jax.device_get(detected)
        trust = self.model.count_trust
        first = network_threshold(score_threshold, trust)
        for i, truth in zip(range(len(info)), fields, strict=False):
            keep = detected.valid[i] & (detected.scores[i] > first)
            boxes = detected.boxes[i][keep].astype(np.float64)
            boxes = picture_to_array(boxes, truth.shape, _picture_shape(truth, info[i]))
            if self.model.detections.clip_both_ends:  # See `Detector.field_table`.
                boxes = np.clip(boxes, 0, np.array([*truth.shape[::-1]] * 2))
            labels = detected.labels[i][keep].astype(np.int64)
            scores = detected.scores[i][keep].astype(np.float64)
            if trust and truth.islands is not None and truth.island_peaks is not None:
                islands = FieldIslands(truth.islands, truth.island_peaks)
                boxes, labels, scores = recount(
                    boxes, labels, scores, islands, self.model.class_names, trust=trust
                )
            keep = scores > score_threshold
            yield FieldDetections(
                boxes=boxes[keep], labels=labels[keep], scores=scores[keep]
            )


class Validation:
    """Mean AP of a network on the same fields again and again, as it is trained.

    Args:
        model: The network.
        source: The fields.
        inputs: What the network sees of them; None for what `network_inputs` says.
        batch_size: Fields at once.
        workers: Processes that make batches; with 0 a thread does.
    """

    def __init__(
        self,
        model: FasterRcnn,
        source: Source,
        *,
        inputs: Inputs | None = None,
        batch_size: int = 16,
        workers: int = 0,
    ) -> None:
        self._detector = BatchDetector(model)
        self._source = source
        self._truths = read_truths(source)
        self._inputs = network_inputs(model, self._truths) if inputs is None else inputs
        self._options: dict[str, Any] = {"batch_size": batch_size, "workers": workers}

    def __call__(self) -> float:
        """Returns VOC's mean AP at an IoU of 0.5 with the weights of this moment."""
        found = tqdm(
            self._detector.detect(
                self._source, self._truths, self._inputs, **self._options
            ),
            "Validating", len(self._truths), unit="field", disable=None, delay=2,
            leave=False,
        )  # fmt: skip
        classes = len(self._detector.model.class_names)
        return mean_average_precision(self._truths, list(found), classes)


def network_inputs(model: FasterRcnn, truths: Sequence[FieldTruth]) -> Inputs:
    """Returns what a network sees of fields, at a size that holds the largest of them.

    Args:
        model: The network.
        truths: The fields.

    Raises:
        ValueError: The network needs radio images and the fields are pictures.
    """
    ready_made = all(truth.islands is None for truth in truths)
    if model.fusion in METHODS:
        method = None if ready_made else model.fusion
        return Picture(method=method, size=model.image_size)
    if ready_made:
        raise ValueError(
            f"{model.name} looks at radio images, and the data are pictures; give FITS "
            "files, or a model that was trained on pictures."
        )
    if model.beam is None:
        return Channels(size=model.image_size, beam=None)
    longest = max(
        max(truth.shape) * model.beam / beam_width(truth.beam, truth.pixel_arcsec)
        for truth in truths
    )
    return Channels(size=STEP * math.ceil(round(longest) / STEP), beam=model.beam)


def _picture_shape(
    truth: FieldTruth, info: Float32[np.ndarray, "3"]
) -> tuple[int, int]:
    """Returns height and width of what the network saw, before it was scaled."""
    scale = float(info[2])

    def side(seen: float, own: int) -> int:
        # The field's own, if it fits: where a picture shrinks, its size is not certain.
        return own if round(own * scale) == seen else round(seen / scale)

    return side(int(info[0]), truth.shape[0]), side(int(info[1]), truth.shape[1])
