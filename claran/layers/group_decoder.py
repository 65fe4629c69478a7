"""The last stage of a network that judges groups of islands: its detections."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float, Int

__all__ = ["GroupDecoder", "GroupDetections"]


class GroupDetections(NamedTuple):
    """Detections of a batch, those of a group one after the other; some are empty."""

    boxes: Float[Array, "b d 4"]  # Pixels of the field's picture.
    labels: Int[Array, "b d"]  # Class, from 1.
    scores: Float[Array, "b d"]  # Probability of that class.
    valid: Bool[Array, "b d"]
    members: Bool[Array, "b d k"]  # Islands of the group.


@keras.saving.register_keras_serializable(package="claran")
class GroupDecoder(keras.layers.Layer):
    """Makes a detection of each group of islands and each class.

    Nothing is suppressed: groups that share islands are weighed against each other when
    all are known, see `claran.detection.counting`.

    Args:
        temperature: Divisor of the logits, to calibrate the scores to probabilities
            (Guo et al. 2017, arXiv:1706.04599).
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    offset = 0.0  # See `claran.ops.boxes`.
    clip_both_ends = True
    iou_threshold = None  # Of no suppression.

    def __init__(self, *, temperature: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision has 3 digits, too few for boxes.
        self.temperature = temperature

    def call(
        self,
        logits: Float[Array, "b n c"],
        boxes: Float[Array, "b n 4"],
        members: Bool[Array, "b n k"],
        valid: Bool[Array, "b n"],
        image_info: Float[Array, "b 3"],
        *,
        temperature: Float[Array, ""] | float | None = None,
    ) -> GroupDetections:
        """Returns the detections of each image.

        Args:
            logits: No source and classes, for every group.
            boxes: Of the groups, pixels of the network's input.
            members: Islands of each group.
            valid: Which groups exist.
            image_info: See `claran.layers.proposals.Proposals.call`.
            temperature: Temperature to replace the layer's own.
        """
        logits = logits / (self.temperature if temperature is None else temperature)
        scores = jax.nn.softmax(logits)[..., 1:]
        batch, groups, classes = scores.shape
        labels = jnp.broadcast_to(1 + jnp.arange(classes)[None, None], scores.shape)

        def of_classes(rows: Array) -> Array:
            return jnp.repeat(rows, classes, axis=1)

        return GroupDetections(
            boxes=of_classes(boxes / image_info[:, None, 2:]),
            labels=labels.reshape(batch, groups * classes),
            scores=jnp.where(valid[..., None], scores, 0).reshape(batch, -1),
            valid=of_classes(valid),
            members=of_classes(members),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"temperature": self.temperature}
