"""Max pooling between the blocks of a backbone."""

from typing import Any

import keras
from jaxtyping import Array, Float

from claran.ops.pooling import max_pool

__all__ = ["MaxPool"]


@keras.saving.register_keras_serializable(package="claran")
class MaxPool(keras.layers.Layer):
    """Takes the maximum of each 2 x 2 block; see `claran.ops.pooling.max_pool`."""

    def call(self, features: Float[Array, "b h w c"]) -> Float[Array, "b rows cols c"]:
        """Returns the pooled features."""
        return max_pool(features)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, rows, columns, channels = input_shape
        return batch, rows and rows // 2, columns and columns // 2, channels
