"""Faster R-CNN whose second stage judges groups of islands, in place of boxes."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float, Int

from claran.layers.group_decoder import GroupDetections
from claran.layers.group_regions import GroupRegions
from claran.layers.roi_sampler import RoiSampler
from claran.models.faster_rcnn import FasterRcnn, Proposed, rpn_losses
from claran.models.group_head import GroupViews
from claran.ops import losses
from claran.ops.island_groups import Groups, real_islands
from claran.ops.island_shapes import island_shapes
from claran.ops.targets import Targets

__all__ = ["GroupHeads", "GroupRcnn", "KnownSources"]


# The first two of `claran.fields.channels.CHANNELS`, which models may not import.
SIGNAL, CONTOURS = 0, 1
BRIGHT = 1000.0  # Signal-to-noise with the value 1 in the signal channel, as there.
BRIGHTEST = 2.0  # In that channel, two million; its square is a float.


class GroupHeads(NamedTuple):
    """Outputs of the second stage for a batch; see `GroupDecoder.call`."""

    logits: Float[Array, "b n c"]
    boxes: Float[Array, "b n 4"]
    members: Bool[Array, "b n k"]
    valid: Bool[Array, "b n"]


class KnownSources(NamedTuple):
    """The labeled sources of a batch, in `s` slots, and their islands."""

    members: Bool[Array, "b s k"]
    """Islands of each source."""
    classes: Int[Array, "b s"]
    valid: Bool[Array, "b s"]
    """Sources to be learned."""
    ignored: Bool[Array, "b s"]
    """Sources that are neither learned nor background."""


@keras.saving.register_keras_serializable(package="claran")
class GroupRcnn(FasterRcnn):
    """Finds the sources in a batch of images whose islands of emission are known.

    A proposal stands for the islands that it holds; these, single islands and pairs are
    the groups that the second stage judges. So it is said which islands are meant, and
    two unrelated neighbors are not taken for one source because a box holds both.

    Args:
        regions: Makes groups, and the regions in which they are seen.
        **kwargs: Arguments of `FasterRcnn`; `head` is a `GroupHead`, `decoder` a
            `GroupDecoder`.
    """

    sees_islands = True

    def __init__(self, *, regions: GroupRegions, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.regions = regions
        self.island_sampler = RoiSampler(
            size=self.head.island_samples, stride=self.sampler.stride
        )

    def heads(
        self,
        images: Float[Array, "b rows columns channels"],
        info: Float[Array, "b 3"],
        islands: Float[Array, "b k 4"] | None = None,
        training: bool = False,
    ) -> GroupHeads:
        """Runs both stages; `decode` makes detections of the result.

        Args:
            images: The images.
            info: See `call`.
            islands: Boxes of the islands, pixels of the network's input; those without
                width are none.
            training: Of no effect, as there is no dropout.
        """
        del training
        assert islands is not None  # noqa: S101 - `unpack` asks for them.
        proposed = self.propose(images, info)
        groups = self.regions(islands, proposed.rois, proposed.valid)
        logits, boxes = self.judge(proposed.features, groups.members, islands, images)
        return GroupHeads(logits, boxes, groups.members, groups.valid)

    def decode(
        self,
        heads: Any,
        info: Float[Array, "b 3"],
        *,
        temperature: Float[Array, ""] | float | None = None,
    ) -> GroupDetections:
        return self.decoder(*heads, info, temperature=temperature)

    def judge(
        self,
        features: Float[Array, "b h w c"],
        members: Bool[Array, "b n k"],
        islands: Float[Array, "b k 4"],
        images: Float[Array, "b rows columns channels"],
    ) -> tuple[Float[Array, "b n classes"], Float[Array, "b n 4"]]:
        """Runs the second stage: class logits and boxes of groups.

        Args:
            features: Of the backbone.
            members: Islands of each group.
            islands: Their boxes, pixels of the network's input.
            images: The images, with the channels of `claran.fields.channels`.
        """
        boxes, seen = self.regions.around_groups(members, islands)
        own, others = self.regions.places(
            seen, members, islands, size=self.sampler.size
        )
        near = self.regions.around_islands(islands)
        views = GroupViews(
            self.sampler(features, seen), own, others,
            self.island_sampler(features, near), islands, boxes, members,
            self.regions.gaps(boxes, members, islands),
            jax.vmap(island_shapes)(island_ratio(images), islands),
        )  # fmt: skip
        return self.head(views), boxes

    def group_losses(
        self,
        proposed: Proposed,
        rpn_targets: Targets,
        islands: Float[Array, "b k 4"],
        known: KnownSources,
        images: Float[Array, "b rows columns channels"],
    ) -> dict[str, Float[Array, ""]]:
        """Returns the three losses of joint training.

        They are means over the batch, that of the head of sums over the groups of a
        field for each of its islands. With sums alone crowded fields would be nearly
        all that is learned; with means over the groups, most of which are obvious,
        nothing would be learned from them. A field counts by the root of its number of
        islands, as crowded ones are harder. A group is a source if it has exactly its
        islands, and else none. One with islands of an ignored source, but of no other,
        is left out.

        Args:
            proposed: Result of `propose`; both stages use its features.
            rpn_targets: Targets of `claran.ops.targets.rpn_targets`, batched.
            islands: Boxes of the islands, pixels of the network's input.
            known: The labeled sources.
            images: The images.
        """
        rpn_class, rpn_box = rpn_losses(proposed, rpn_targets)
        groups = self.regions(
            islands, proposed.rois, proposed.valid,
            known.members & known.valid[..., None],
        )  # fmt: skip
        logits, _ = self.judge(proposed.features, groups.members, islands, images)
        labels, used = group_targets(groups, known)
        number = real_islands(islands).sum(axis=-1)
        per_island = used.sum(axis=-1) / jnp.maximum(number, 1)
        means = jax.vmap(losses.cross_entropy)(logits, labels, used)
        return {
            "rpn_class": rpn_class,
            "rpn_box": rpn_box,
            "head_class": jnp.average(
                means * per_island, weights=jnp.sqrt(1.0 + number)
            ),
        }

    def unpack(self, inputs: Any) -> tuple[Array, ...]:
        if not isinstance(inputs, dict) or "islands" not in inputs:
            raise ValueError(
                f"{self.name} judges groups of islands: give a dictionary of `images`, "
                "`image_info` and `islands`, the boxes of the islands of each image."
            )
        return inputs["images"], inputs["image_info"], inputs["islands"]

    def get_config(self) -> dict[str, Any]:
        regions = keras.saving.serialize_keras_object(self.regions)
        return super().get_config() | {"regions": regions}

    PARTS = (*FasterRcnn.PARTS, "regions")


def island_ratio(
    images: Float[Array, "b rows columns channels"],
) -> Float[Array, "b rows columns"]:
    """Returns the signal-to-noise inside the first contour, 0 outside."""
    inside = images[..., CONTOURS] > 0
    signal = jnp.clip(images[..., SIGNAL].astype(jnp.float32), 0.0, BRIGHTEST)
    return jnp.where(inside, jnp.sinh(signal * math.asinh(BRIGHT)), 0.0)


def group_targets(
    groups: Groups, known: KnownSources
) -> tuple[Int[Array, "b n"], Bool[Array, "b n"]]:
    """Returns the class of each group, 0 for no source, and which are learned from.

    Args:
        groups: Of a batch.
        known: The labeled sources.
    """
    learned = known.valid[..., None] & known.members
    same = (groups.members[:, :, None] == learned[:, None]).all(axis=-1)
    same &= learned.any(axis=-1)[:, None]
    labels = jnp.where(same, known.classes[:, None], 0).max(axis=-1)
    of_ignored = (known.ignored[..., None] & known.members).any(axis=1)
    touches_ignored = (groups.members & of_ignored[:, None]).any(axis=-1)
    touches_learned = (groups.members & learned.any(axis=1)[:, None]).any(axis=-1)
    return labels, groups.valid & (touches_learned | ~touches_ignored)
