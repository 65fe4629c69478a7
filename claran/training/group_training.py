"""Joint training of a network that judges groups of islands."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from claran.models.group_rcnn import KnownSources
from claran.ops.targets import Objects, Targets, rpn_targets
from claran.training.joint import JointTraining

__all__ = ["GroupTraining"]


class GroupTraining(JointTraining):
    """A `claran.models.group_rcnn.GroupRcnn` with its losses; see `JointTraining`.

    The batches have `islands` and `owners`. The head learns from all groups that are
    judged, so that none are sampled.
    """

    LOSSES = ("rpn_class", "rpn_box", "head_class")

    def call(
        self, batch: Mapping[str, Array], training: bool = False
    ) -> dict[str, Float[Array, ""]]:
        network: Any = self.network
        info, valid, ignored = (
            batch[name] for name in ("image_info", "valid", "ignored")
        )
        proposed = network.propose(batch["images"], info, training=training)
        objects = Objects(batch["boxes"], batch["labels"], valid, ignored)
        _, rows, columns, _ = proposed.features.shape
        anchors = jnp.asarray(network.rpn.anchors(rows, columns))

        def draw(key: Array, objects: Objects, info: Array) -> Targets:
            return rpn_targets(
                key, anchors, objects, info[:2],
                options=self.rpn_options, offset=network.rpn.offset,
            )  # fmt: skip

        key: Any = self.random.next()
        targets = jax.vmap(draw)(jax.random.split(key, len(info)), objects, info)
        slots = jnp.arange(valid.shape[1])[None, :, None]
        members = batch["owners"][:, None] == slots
        known = KnownSources(members, batch["labels"], valid, ignored)
        return network.group_losses(
            proposed, targets, batch["islands"], known, batch["images"]
        )
