"""The last stage of Faster R-CNN: from classified proposals to detections."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float, Int

from claran.ops import boxes as box_ops
from claran.ops.nms import nms
from claran.ops.rows import take_rows

__all__ = ["BoxDecoder", "RawDetections"]


class RawDetections(NamedTuple):
    """Detections of a batch, by falling score, in `k` slots; some may be empty."""

    boxes: Float[Array, "b k 4"]  # Pixels of the field's picture.
    labels: Int[Array, "b k"]  # Class, from 1.
    scores: Float[Array, "b k"]  # Probability of that class.
    valid: Bool[Array, "b k"]


@keras.saving.register_keras_serializable(package="claran")
class BoxDecoder(keras.layers.Layer):
    """Applies the deltas of each class to proposals, and suppresses in each class.

    There is no score threshold: a lower score never suppresses a higher one, so that a
    later threshold gives the same detections.

    Args:
        max_outputs: Number of detections for each image.
        iou_threshold: See `claran.ops.nms`.
        inclusive: See `claran.ops.nms`.
        temperature: Divisor of the logits, to calibrate the scores to probabilities
            (Guo et al. 2017, arXiv:1706.04599).
        delta_stds: Units of the deltas that the head predicts.
        clip_both_ends: Whether all edges are clipped to the picture. Otherwise, as in
            ClaRAN, the lower edges are only clipped at 0 and the upper edges only at
            the border, so that a box entirely outside has its edges exchanged.
        offset: See `claran.ops.boxes`.
        max_log_ratio: See `claran.ops.boxes.decode`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        max_outputs: int = 100,
        iou_threshold: float = 0.3,
        inclusive: bool = False,
        temperature: float = 1.0,
        delta_stds: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2),
        clip_both_ends: bool = True,
        offset: float = 0.0,
        max_log_ratio: float | None = box_ops.MAX_LOG_RATIO,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision has 3 digits, too few for boxes.
        self.max_outputs = max_outputs
        self.iou_threshold = iou_threshold
        self.inclusive = inclusive
        self.temperature = temperature
        self.delta_stds = tuple(delta_stds)
        self.clip_both_ends = clip_both_ends
        self.offset = offset
        self.max_log_ratio = max_log_ratio

    def call(
        self,
        logits: Float[Array, "b n c"],
        deltas: Float[Array, "b n c 4"],
        rois: Float[Array, "b n 4"],
        proposed: Bool[Array, "b n"],
        image_info: Float[Array, "b 3"],
        *,
        temperature: Float[Array, ""] | float | None = None,
        area_factor: int = 1,
    ) -> RawDetections:
        """Returns the detections of each image.

        Args:
            logits: Background and classes, for every proposal.
            deltas: Box deltas in units of `delta_stds`, for background and classes.
            rois: Proposals, pixels of the network's input.
            proposed: Whether a proposal exists.
            image_info: See `claran.layers.proposals.Proposals.call`.
            temperature: Temperature to replace the layer's own.
            area_factor: Factor for `max_outputs`: the area of the input relative to
                training.
        """
        logits = logits / (self.temperature if temperature is None else temperature)
        outputs = area_factor * self.max_outputs
        detect = jax.vmap(functools.partial(self._detect, max_outputs=outputs))
        return RawDetections(*detect(logits, deltas, rois, proposed, image_info))

    def _detect(
        self,
        logits: Float[Array, "n c"],
        deltas: Float[Array, "n c 4"],
        rois: Float[Array, "n 4"],
        proposed: Bool[Array, "n"],
        info: Float[Array, "3"],
        *,
        max_outputs: int,
    ) -> tuple[Array, ...]:
        boxes = self.decode(deltas[:, 1:], rois, info).reshape(-1, 4)
        scores = jax.nn.softmax(logits)[:, 1:]
        classes = scores.shape[1]
        labels = jnp.broadcast_to(1 + jnp.arange(classes)[None], scores.shape).ravel()
        index, valid = nms(
            boxes,
            scores.ravel(),
            threshold=self.iou_threshold,
            max_outputs=max_outputs,
            valid=jnp.repeat(proposed, classes),
            labels=labels,
            inclusive=self.inclusive,
            offset=self.offset,
        )
        boxes = jnp.where(valid[:, None], take_rows(boxes, index), 0)
        scores = jnp.where(valid, take_rows(scores.ravel(), index), 0)
        labels = jnp.where(valid, take_rows(labels, index), 0)
        return boxes, labels, scores, valid

    def decode(
        self,
        deltas: Float[Array, "n c 4"],
        rois: Float[Array, "n 4"],
        info: Float[Array, "3"],
    ) -> Float[Array, "n c 4"]:
        """Returns the box of each proposal and class, in pixels of the picture.

        Args:
            deltas: Deltas in units of `delta_stds`, for every class.
            rois: Proposals, pixels of the network's input.
            info: Rows, columns and scale, see `claran.fields.preprocessing`.
        """
        rows, columns, scale = info
        height, width = rows / scale, columns / scale
        anchors = jnp.broadcast_to((rois / scale)[:, None], deltas.shape)
        boxes = box_ops.decode(
            deltas * jnp.array(self.delta_stds)[None, None],
            anchors,
            offset=self.offset,
            max_log_ratio=self.max_log_ratio,
        )
        if self.clip_both_ends:
            return box_ops.clip(boxes, height, width, offset=self.offset)
        limit = jnp.stack([width, height])[None, None] - self.offset
        low = jnp.maximum(boxes[..., :2], 0)
        return jnp.concatenate([low, jnp.minimum(boxes[..., 2:], limit)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "max_outputs": self.max_outputs,
            "iou_threshold": self.iou_threshold,
            "inclusive": self.inclusive,
            "temperature": self.temperature,
            "delta_stds": self.delta_stds,
            "clip_both_ends": self.clip_both_ends,
            "offset": self.offset,
            "max_log_ratio": self.max_log_ratio,
        }
