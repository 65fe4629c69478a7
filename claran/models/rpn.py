"""The region proposal network (Ren et al. 2015, arXiv:1506.01497)."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
from jaxtyping import Array, Float

from claran.models.initializers import Normal
from claran.ops.anchors import base_anchors, grid_anchors

__all__ = ["Rpn"]


@keras.saving.register_keras_serializable(package="claran")
class Rpn(keras.layers.Layer):
    """Predicts objectness and box deltas for the anchors at every cell.

    Args:
        anchor_sizes: Sizes in pixels, see `claran.ops.anchors.base_anchors`.
        anchor_ratios: Height over width, see `claran.ops.anchors.base_anchors`.
        rounded_anchors: See `claran.ops.anchors.base_anchors`.
        stride: Pixels of the network's input per cell.
        width: Channels of the 3 x 3 convolution.
        offset: See `claran.ops.boxes`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        anchor_sizes: Sequence[float] = (16, 32, 64, 128, 256, 512),
        anchor_ratios: Sequence[float] = (1.0,),
        rounded_anchors: bool = False,
        stride: int = 16,
        width: int = 512,
        offset: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anchor_sizes = list(anchor_sizes)
        self.anchor_ratios = list(anchor_ratios)
        self.rounded_anchors = rounded_anchors
        self.stride = stride
        self.width = width
        self.offset = offset
        self.base = base_anchors(
            self.anchor_sizes,
            self.anchor_ratios,
            stride=stride,
            rounded=rounded_anchors,
        )
        count = len(self.base)
        self.conv = keras.layers.Conv2D(
            width,
            3,
            padding="same",
            data_format="channels_last",
            activation="relu",
            kernel_initializer=_normal(0.01),
            name="conv",
        )
        self.objectness = keras.layers.Conv2D(
            2 * count,
            1,
            data_format="channels_last",
            kernel_initializer=_normal(0.01),
            name="objectness",
        )
        self.regression = keras.layers.Conv2D(
            4 * count,
            1,
            data_format="channels_last",
            kernel_initializer=_normal(0.01),
            name="regression",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv.build(input_shape)
        hidden = (*input_shape[:-1], self.width)
        self.objectness.build(hidden)
        self.regression.build(hidden)
        self.built = True

    def call(
        self, features: Float[Array, "b h w c"]
    ) -> tuple[Float[Array, "b m 2"], Float[Array, "b m 4"]]:
        """Returns logits (background, object) and deltas of the `m` anchors.

        The channels of the convolutions are ordered as in ClaRAN. For the logits, the
        background of all anchors of a cell comes first, then the object. For the
        deltas, the four values of each anchor are together.

        Args:
            features: Feature maps.
        """
        hidden = self.conv(features)
        logits = jnp.asarray(self.objectness(hidden), jnp.float32)
        deltas = jnp.asarray(self.regression(hidden), jnp.float32)
        batch, rows, columns, _ = logits.shape
        logits = logits.reshape(batch, rows, columns, 2, len(self.base))
        logits = jnp.swapaxes(logits, 3, 4).reshape(batch, -1, 2)
        return logits, deltas.reshape(batch, -1, 4)

    def anchors(self, rows: int, columns: int) -> Float[np.ndarray, "m 4"]:
        """Returns the anchors of a feature map in pixels of the network's input.

        Args:
            rows: Rows of the feature map.
            columns: Columns of the feature map.
        """
        grid = grid_anchors(self.base, rows=rows, columns=columns, stride=self.stride)
        return grid - np.array([0, 0, self.offset, self.offset], np.float32)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "anchor_sizes": self.anchor_sizes,
            "anchor_ratios": self.anchor_ratios,
            "rounded_anchors": self.rounded_anchors,
            "stride": self.stride,
            "width": self.width,
            "offset": self.offset,
        }


def _normal(stddev: float) -> Any:
    return Normal(stddev)
