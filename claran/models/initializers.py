"""Random initial weights, drawn with NumPy.

Keras draws them with JAX, which compiles a program for every shape. For VGG16 on two
CPU cores this takes 11 s at every start, even if weights are then loaded from a file.
"""

import math
import random
from typing import Any

import keras
import numpy as np

__all__ = ["Normal"]


@keras.saving.register_keras_serializable(package="claran")
class Normal(keras.initializers.Initializer):
    """Draws from a normal distribution.

    Args:
        stddev: Standard deviation. None means `sqrt(2 / inputs)`, which suits layers
            before a ReLU (He et al. 2015, arXiv:1502.01852).
        seed: Seed. None draws one, reproducibly after `keras.utils.set_random_seed`.
    """

    def __init__(self, stddev: float | None = None, seed: int | None = None) -> None:
        self.stddev = stddev
        self.seed = random.randrange(2**31) if seed is None else seed

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        inputs = math.prod(shape[:-1])
        stddev = math.sqrt(2 / inputs) if self.stddev is None else self.stddev
        rng = np.random.default_rng([self.seed, *shape])
        values = rng.standard_normal(shape, np.float32)
        values *= stddev
        return keras.ops.convert_to_tensor(values, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"stddev": self.stddev, "seed": self.seed}
