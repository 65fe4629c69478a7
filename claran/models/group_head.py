"""The head that judges groups of islands, in place of boxes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float

from claran.models.initializers import Normal
from claran.ops.island_shapes import LEAST, IslandShapes, looks_from

__all__ = ["GroupHead", "GroupViews"]

NEAR = 32.0  # Pixels; by how much other islands count falls by e over this gap.
MEASURED, LOOKS = 5, 4  # Numbers of an island, and of one as seen from a group.


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
    shapes: IslandShapes
    """Moments of the islands, batched."""


@keras.saving.register_keras_serializable(package="claran")
class GroupHead(keras.layers.Layer):
    """Says of each group of islands whether it is one source, and of which class.

    It sees the region around the group, where its own islands and where others lie in
    it, mean and scatter of what its islands look like, and the same of others near it.
    With `shapes`, it also sees how bright, large and long each island is, and whether
    it points at the middle of the group.

    Args:
        num_classes: Number of classes without background.
        width: Units of each of the two last hidden layers.
        island_samples: Samples along each side of an island.
        shapes: Whether it sees the moments of the islands.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: int = 256,
        island_samples: int = 3,
        shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision, 3 digits, is too coarse for boxes.
        self.num_classes = num_classes
        self.width = width
        self.island_samples = island_samples
        self.shapes = shapes
        self.fc6, self.fc7 = _hidden(width, "fc6"), _hidden(width, "fc7")
        self.place, self.island, self.relation = (
            _hidden(width // 4, name) for name in ("place", "island", "relation")
        )
        if shapes:
            self.shape, self.view = (
                keras.layers.Dense(width // 8, kernel_initializer=_normal(), name=name)
                for name in ("shape", "view")
            )
        self.classification = keras.layers.Dense(
            num_classes + 1, kernel_initializer=_normal(0.01), name="classification"
        )

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """Names of the layers that do not depend on the classes."""
        of_shapes = ("shape", "view") if self.shapes else ()
        return ("place", "island", "relation", "fc6", "fc7", *of_shapes)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: Shape of `GroupViews.samples`.
        """
        *_, rows, columns, channels = input_shape
        narrow, related = self.width // 4, 3 * (self.width // 4) + 4
        if self.shapes:
            self.shape.build((None, MEASURED))
            self.view.build((None, LOOKS + 1))
            related += 3 * (self.width // 8)
        self.place.build((None, channels + 2))
        self.island.build((None, self.island_samples**2 * channels + 2))
        self.relation.build((None, related))
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
        relations = self._relations(views)
        if self.shapes:
            relations += self._shapes(views)
        related = self.relation(jnp.concatenate(relations, axis=-1))
        hidden = self.fc6(jnp.concatenate([seen, related], axis=-1))
        return jnp.asarray(self.classification(self.fc7(hidden)), jnp.float32)

    def _relations(self, views: GroupViews) -> list[Float[Array, "b n r"]]:
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
        return [_log_sizes(views.boxes), *numbers, mean, scatter, near @ looks]

    def _shapes(self, views: GroupViews) -> list[Float[Array, "b n r"]]:
        """Returns mean and maximum of how its islands look from a group, and others."""
        own = jnp.asarray(views.members, jnp.float32)
        seen = jax.vmap(looks_from)(own, views.shapes)
        seen = self.view(jnp.concatenate([seen, own[..., None]], axis=-1))
        seen += self.shape(_measured(views.shapes))[:, None]
        seen = jax.nn.relu(seen)
        mean = jnp.einsum("bnk,bnkr->bnr", own, seen)
        mean /= jnp.maximum(own.sum(axis=-1, keepdims=True), 1)
        highest = (seen * own[..., None]).max(axis=2)  # Of numbers that are >= 0.
        others = jnp.einsum("bnk,bnkr->bnr", jnp.exp(-views.gaps / NEAR), seen)
        return [mean, highest, others]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_classes": self.num_classes,
            "width": self.width,
            "island_samples": self.island_samples,
            "shapes": self.shapes,
        }


def _log_sizes(boxes: Float[Array, "b n 4"]) -> Float[Array, "b n 2"]:
    """Returns the logarithms of both sides of boxes, about 1 for large ones."""
    return jnp.log(jnp.maximum(boxes[..., 2:] - boxes[..., :2], 1.0)) / 3


def _measured(shapes: IslandShapes) -> Float[Array, "b k 5"]:
    """Returns flux, brightness, both axes and lopsidedness of islands, all about 1."""
    xx, yy, xy = (shapes.covariances[..., i] for i in range(3))
    half, gap = (xx + yy) / 2, jnp.hypot((xx - yy) / 2, xy + 1e-3)
    axes = jnp.stack([half + gap, half - gap], axis=-1)
    amounts = jnp.stack([shapes.flux, shapes.brightness], axis=-1)
    shift = jnp.sqrt((shapes.shifts**2).sum(axis=-1, keepdims=True) + 1e-6)
    return jnp.concatenate(
        [
            jnp.log1p(jnp.maximum(amounts, 0)) / 5,
            jnp.log(jnp.maximum(axes, LEAST)),
            shift,
        ],
        axis=-1,
    )


def _hidden(width: int, name: str) -> Any:
    return keras.layers.Dense(
        width, activation="relu", kernel_initializer=_normal(), name=name
    )


def _normal(stddev: float | None = None) -> Any:
    return Normal(stddev)
