"""The head that judges groups of islands, in place of boxes."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float

from claran.models.initializers import Normal

__all__ = ["GroupHead", "GroupViews"]

NEAR = 32.0  # Pixels; by how much other islands count falls by e over this gap.


class GroupViews(NamedTuple):
    """What the head sees of the groups of a batch."""

    samples: Float[Array, "b n s s c"]
    """Sampled features of the region around each group."""
    own: Float[Array, "b n s s"]
    """Part of each of these bins that islands of the group cover, to 1."""
    others: Float[Array, "b n s s"]
    """Part that other islands cover."""
    around: Float[Array, "b k t t c"]
    """Sampled features of each island."""
    islands: Float[Array, "b k 4"]
    """Boxes of the islands; without width in empty slots."""
    boxes: Float[Array, "b n 4"]
    """Boxes of the groups."""
    members: Bool[Array, "b n k"]
    """Islands of each group."""
    gaps: Float[Array, "b n k"]
    """Gap between a group and each island, infinite for its own and empty slots."""


@keras.saving.register_keras_serializable(package="claran")
class GroupHead(keras.layers.Layer):
    """Says of each group of islands whether it is one source, and of which class.

    It sees the region around the group, where its own islands and where others lie in
    it, mean and scatter of what its islands look like, and the same of others near it.

    Args:
        num_classes: Number of classes without background.
        width: Units of each of the two last hidden layers.
        island_samples: Samples along each side of an island.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    HIDDEN = ("place", "island", "relation", "fc6", "fc7")
    """Layers that do not depend on the classes."""

    def __init__(
        self,
        *,
        num_classes: int,
        width: int = 256,
        island_samples: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision, 3 digits, is too coarse for boxes.
        self.num_classes = num_classes
        self.width = width
        self.island_samples = island_samples
        self.fc6, self.fc7 = _hidden(width, "fc6"), _hidden(width, "fc7")
        self.place, self.island, self.relation = (
            _hidden(width // 4, name) for name in ("place", "island", "relation")
        )
        self.classification = keras.layers.Dense(
            num_classes + 1, kernel_initializer=_normal(0.01), name="classification"
        )

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: Shape of `GroupViews.samples`.
        """
        *_, rows, columns, channels = input_shape
        narrow = self.width // 4
        self.place.build((None, channels + 2))
        self.island.build((None, self.island_samples**2 * channels + 2))
        self.relation.build((None, 3 * narrow + 4))
        self.fc6.build((None, (rows * columns + 1) * narrow))
        self.fc7.build((None, self.width))
        self.classification.build((None, self.width))
        self.built = True

    def call(self, views: GroupViews) -> Float[Array, "b n classes"]:
        """Returns class logits of each group; 0 is no source."""
        places = [views.samples, views.own[..., None], views.others[..., None]]
        seen = self.place(jnp.concatenate(places, axis=-1))
        batch, count = seen.shape[:2]
        seen = seen.reshape(batch, count, -1)
        related = self.relation(self._relations(views))
        hidden = self.fc6(jnp.concatenate([seen, related], axis=-1))
        return jnp.asarray(self.classification(self.fc7(hidden)), jnp.float32)

    def _relations(self, views: GroupViews) -> Float[Array, "b n r"]:
        """Returns mean and scatter of each group's islands, and others near it."""
        batch, slots = views.around.shape[:2]
        looks = views.around.reshape(batch, slots, -1)
        sizes = _log_sizes(views.islands)
        looks = self.island(jnp.concatenate([looks, sizes], axis=-1))
        own = jnp.asarray(views.members, looks.dtype)
        number = own.sum(axis=-1, keepdims=True)
        mean = own @ looks / jnp.maximum(number, 1)
        square = own @ looks**2 / jnp.maximum(number, 1)
        scatter = jnp.sqrt(jnp.maximum(square - mean**2, 0) + 1e-4)
        near = jnp.asarray(jnp.exp(-views.gaps / NEAR), looks.dtype)
        numbers = [number / 3, near.sum(axis=-1, keepdims=True)]
        return jnp.concatenate(
            [_log_sizes(views.boxes), *numbers, mean, scatter, near @ looks], axis=-1
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_classes": self.num_classes,
            "width": self.width,
            "island_samples": self.island_samples,
        }


def _log_sizes(boxes: Float[Array, "b n 4"]) -> Float[Array, "b n 2"]:
    """Returns the logarithms of both sides of boxes, about 1 for large ones."""
    return jnp.log(jnp.maximum(boxes[..., 2:] - boxes[..., :2], 1.0)) / 3


def _hidden(width: int, name: str) -> Any:
    return keras.layers.Dense(
        width, activation="relu", kernel_initializer=_normal(), name=name
    )


def _normal(stddev: float | None = None) -> Any:
    return Normal(stddev)
