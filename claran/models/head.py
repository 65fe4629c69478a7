"""The box head of Fast R-CNN (Girshick 2015, arXiv:1504.08083)."""

import math
from typing import Any

import jax.numpy as jnp
import keras
from jaxtyping import Array, Float

from claran.models.initializers import Normal

__all__ = ["BoxHead"]


@keras.saving.register_keras_serializable(package="claran")
class BoxHead(keras.layers.Layer):
    """Two hidden layers, then class logits and box deltas for each class.

    Args:
        num_classes: Number of classes without background.
        width: Units of each of the two hidden layers.
        dropout: Fraction of hidden units dropped in training.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    hidden_layers = ("fc6", "fc7")
    """Layers that do not depend on the classes."""

    def __init__(
        self,
        *,
        num_classes: int,
        width: int = 4096,
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.width = width
        self.dropout = dropout
        self.fc6 = keras.layers.Dense(
            width, activation="relu", kernel_initializer=_normal(), name="fc6"
        )
        self.fc7 = keras.layers.Dense(
            width, activation="relu", kernel_initializer=_normal(), name="fc7"
        )
        self.drop6 = keras.layers.Dropout(dropout, name="drop6")
        self.drop7 = keras.layers.Dropout(dropout, name="drop7")
        self.classification = keras.layers.Dense(
            num_classes + 1,
            kernel_initializer=_normal(0.01),
            name="classification",
        )
        self.regression = keras.layers.Dense(
            4 * (num_classes + 1),
            kernel_initializer=_normal(0.001),
            name="regression",
        )

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.fc6.build((None, math.prod(input_shape[2:])))
        self.fc7.build((None, self.width))
        self.classification.build((None, self.width))
        self.regression.build((None, self.width))
        self.built = True

    def call(
        self, samples: Float[Array, "b n s s c"], training: bool = False
    ) -> tuple[Float[Array, "b n classes"], Float[Array, "b n classes 4"]]:
        """Returns class logits and the box deltas of each class; 0 is background.

        Args:
            samples: Sampled features of each region of interest.
            training: Whether to apply dropout.
        """
        batch, count = samples.shape[:2]
        x = samples.reshape(batch * count, -1)
        x = self.drop6(self.fc6(x), training=training)
        x = self.drop7(self.fc7(x), training=training)
        logits = jnp.asarray(self.classification(x), jnp.float32)
        deltas = jnp.asarray(self.regression(x), jnp.float32)
        classes = self.num_classes + 1
        return (
            logits.reshape(batch, count, classes),
            deltas.reshape(batch, count, classes, 4),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_classes": self.num_classes,
            "width": self.width,
            "dropout": self.dropout,
        }


def _normal(stddev: float | None = None) -> Any:
    return Normal(stddev)
