"""Between the stages of a network that judges groups of islands."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float

from claran.ops.island_groups import (
    Groups,
    bin_shares,
    candidate_groups,
    group_boxes,
    group_gaps,
    real_islands,
)

__all__ = ["GroupRegions"]

FEW = 8  # Islands of which all groups may be judged.


@keras.saving.register_keras_serializable(package="claran")
class GroupRegions(keras.layers.Layer):
    """Makes groups of islands of proposals, and the region in which each is seen.

    Args:
        per_island: Groups that are judged for each slot of an island, the first ones of
            `candidate_groups`; of few islands there are fewer.
        reach: Largest gap between the islands of a pair, pixels; that up to which
            islands are shown together, see `claran.detection.windows`.
        grown: By how much a region is larger than its group, as a part of the group.
        margin: By how much it is larger on each side, pixels.
        least: Smallest side of the region in which an island is seen, pixels.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        per_island: int = 6,
        reach: float = 64.0,
        grown: float = 0.25,
        margin: float = 4.0,
        least: float = 8.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision, 3 digits, is too coarse for boxes.
        self.per_island = per_island
        self.reach = reach
        self.grown = grown
        self.margin = margin
        self.least = least

    def call(
        self,
        islands: Float[Array, "b k 4"],
        rois: Float[Array, "b p 4"],
        proposed: Bool[Array, "b p"],
        known: Bool[Array, "b s k"] | None = None,
    ) -> Groups:
        """Returns the groups of each image, see `candidate_groups`.

        Args:
            islands: Boxes, pixels of the network's input; without width in empty slots.
            rois: Proposals by falling score.
            proposed: Which of them exist.
            known: Further groups, in training.
        """

        def one(islands: Array, rois: Array, proposed: Array, known: Any) -> Groups:
            slots = len(islands)
            count = min(self.per_island * slots, 2 ** min(slots, FEW) - 1)
            return candidate_groups(
                islands, rois, proposed, count=count, reach=self.reach, known=known
            )

        return jax.vmap(one)(islands, rois, proposed, known)

    def around_groups(
        self, members: Bool[Array, "b n k"], islands: Float[Array, "b k 4"]
    ) -> tuple[Float[Array, "b n 4"], Float[Array, "b n 4"]]:
        """Returns the box of each group, and the region in which it is seen."""
        boxes = jax.vmap(group_boxes)(members, islands)
        sides = boxes[..., 2:] - boxes[..., :2]
        more = self.grown / 2 * sides + self.margin
        return boxes, jnp.concatenate(
            [boxes[..., :2] - more, boxes[..., 2:] + more], axis=-1
        )

    def around_islands(self, islands: Float[Array, "b k 4"]) -> Float[Array, "b k 4"]:
        """Returns the region in which each island is seen."""
        center = (islands[..., :2] + islands[..., 2:]) / 2
        half = jnp.maximum(islands[..., 2:] - islands[..., :2], self.least) / 2
        return jnp.concatenate([center - half, center + half], axis=-1)

    def places(
        self,
        regions: Float[Array, "b n 4"],
        members: Bool[Array, "b n k"],
        islands: Float[Array, "b k 4"],
        *,
        size: int,
    ) -> tuple[Float[Array, "b n size size"], Float[Array, "b n size size"]]:
        """Returns which parts of each bin are of islands of the group, and of others.

        Args:
            regions: Of the groups.
            members: Islands of each group.
            islands: Boxes of the islands.
            size: Bins along each side of a region.
        """

        def one(regions: Array, members: Array, islands: Array) -> tuple[Array, Array]:
            rows, columns = bin_shares(regions, islands, size=size)
            own = jnp.asarray(members, rows.dtype)[..., None] * rows
            other = rows - own  # Islands without width cover nothing.
            covered = (
                jnp.einsum("nky,nkx->nyx", part, columns) for part in (own, other)
            )
            own, other = (jnp.minimum(part, 1.0) for part in covered)
            return own, other

        return jax.vmap(one)(regions, members, islands)

    def gaps(
        self,
        boxes: Float[Array, "b n 4"],
        members: Bool[Array, "b n k"],
        islands: Float[Array, "b k 4"],
    ) -> Float[Array, "b n k"]:
        """Returns the gap between each group and each other island; else infinity."""
        other = ~members & real_islands(islands)[:, None]
        return jnp.where(other, jax.vmap(group_gaps)(boxes, islands), jnp.inf)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "per_island": self.per_island,
            "reach": self.reach,
            "grown": self.grown,
            "margin": self.margin,
            "least": self.least,
        }
