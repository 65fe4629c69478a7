"""The proposal step of Faster R-CNN: from scored anchors to regions of interest."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float

from claran.ops import boxes as box_ops
from claran.ops.nms import nms
from claran.ops.rows import take_rows

__all__ = ["Proposals"]


@keras.saving.register_keras_serializable(package="claran")
class Proposals(keras.layers.Layer):
    """Turns the scored anchors of the RPN into proposals.

    Boxes are decoded and clipped to the image, small ones are removed, and the rest
    passes non-maximum suppression.

    Args:
        max_inputs: Number of best boxes that enter suppression in inference.
        max_outputs: Largest number of proposals per image in inference.
        train_inputs: Number of best boxes that enter suppression in training.
        train_outputs: Largest number of proposals per image in training.
        iou_threshold: See `claran.ops.nms`.
        inclusive: See `claran.ops.nms`.
        min_size: Smallest side of a proposal, in pixels of the original picture.
        offset: See `claran.ops.boxes`.
        max_log_ratio: See `claran.ops.boxes.decode`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        max_inputs: int = 6000,
        max_outputs: int = 300,
        train_inputs: int = 12000,
        train_outputs: int = 2000,
        iou_threshold: float = 0.7,
        inclusive: bool = False,
        min_size: float = 1.0,
        offset: float = 0.0,
        max_log_ratio: float | None = box_ops.MAX_LOG_RATIO,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision, 3 digits, is too coarse for boxes.
        self.max_inputs = max_inputs
        self.max_outputs = max_outputs
        self.train_inputs = train_inputs
        self.train_outputs = train_outputs
        self.iou_threshold = iou_threshold
        self.inclusive = inclusive
        self.min_size = min_size
        self.offset = offset
        self.max_log_ratio = max_log_ratio

    def call(
        self,
        logits: Float[Array, "b m 2"],
        deltas: Float[Array, "b m 4"],
        anchors: Float[Array, "m 4"],
        image_info: Float[Array, "b 3"],
        training: bool = False,
        *,
        area_factor: int = 1,
    ) -> tuple[Float[Array, "b k 4"], Float[Array, "b k"], Bool[Array, "b k"]]:
        """Returns the proposals of each image, by descending objectness.

        Args:
            logits: Logits of background and object, for every anchor.
            deltas: Box deltas, for every anchor.
            anchors: Boxes in pixels of the network's input.
            image_info: Rows and columns of the image within the network's input, and
                pixels of the network's input per pixel of the picture.
            training: Whether to use the numbers of boxes for training.
            area_factor: Factor on the numbers of boxes in inference: the input's area
                relative to training.

        Returns:
            Boxes in pixels of the network's input, their objectness (0 to 1), and which
            slots are filled.
        """
        propose = functools.partial(
            self._propose,
            max_inputs=self.train_inputs if training else area_factor * self.max_inputs,
            max_outputs=self.train_outputs
            if training
            else area_factor * self.max_outputs,
        )
        return jax.vmap(propose, in_axes=(0, 0, None, 0))(
            logits, deltas, jnp.asarray(anchors), image_info
        )

    def _propose(
        self,
        logits: Float[Array, "m 2"],
        deltas: Float[Array, "m 4"],
        anchors: Float[Array, "m 4"],
        info: Float[Array, "3"],
        *,
        max_inputs: int,
        max_outputs: int,
    ) -> tuple[Float[Array, "k 4"], Float[Array, "k"], Bool[Array, "k"]]:
        rows, columns, scale = info
        boxes = box_ops.decode(
            deltas, anchors, offset=self.offset, max_log_ratio=self.max_log_ratio
        )
        boxes = box_ops.clip(boxes, rows, columns, offset=self.offset)
        sides = boxes[:, 2:] - boxes[:, :2] + self.offset
        scores = jax.nn.softmax(logits)[:, 1]
        index, valid = nms(
            boxes,
            scores,
            threshold=self.iou_threshold,
            max_outputs=max_outputs,
            max_inputs=max_inputs,
            valid=(sides >= self.min_size * scale).all(axis=1),
            inclusive=self.inclusive,
            offset=self.offset,
        )
        boxes = jnp.where(valid[:, None], take_rows(boxes, index), 0)
        return boxes, jnp.where(valid, take_rows(scores, index), 0), valid

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "max_inputs": self.max_inputs,
            "max_outputs": self.max_outputs,
            "train_inputs": self.train_inputs,
            "train_outputs": self.train_outputs,
            "iou_threshold": self.iou_threshold,
            "inclusive": self.inclusive,
            "min_size": self.min_size,
            "offset": self.offset,
            "max_log_ratio": self.max_log_ratio,
        }
