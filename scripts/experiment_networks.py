"""Networks and channels that only experiments have, see `experiments.py`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from claran.detection.detection_model import DetectionModel
from claran.detection.presets import claran_first, claran_v1
from claran.fields.channels import Channels, ChannelScene
from claran.fields.field import Field
from claran.fields.preprocessing import Bounds, View
from claran.layers.roi_sampler import RoiSampler
from claran.models.faster_rcnn import FasterRcnn
from claran.models.group_head import GroupHead, GroupViews
from claran.models.group_rcnn import GroupRcnn
from claran.ops import sampler

# After claran, which chooses Keras's backend.
import keras  # isort: skip


class WithoutContours(Channels):
    """The channels, but the one of the contours is empty.

    A saved model has plain channels in its place.
    """

    def __call__(self, field: Field) -> ChannelScene:
        return SceneWithoutContours(*super().__call__(field))


class SceneWithoutContours(ChannelScene):
    """What `WithoutContours` makes of a field."""

    def view(self, bounds: Bounds | None = None) -> View:
        view = super().view(bounds)
        view.image[..., 1] = 0
        return view


@keras.saving.register_keras_serializable(package="claran_experiments")
class TurningSampler(RoiSampler):
    """Samples each RoI twice, the second time turned by an angle seen in the first.

    Two layers see what was sampled and say the angle: the localisation network of
    Jaderberg et al. 2015 (arXiv:1506.02025), but for shift and scale, which the RoI
    gives.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(32, activation="relu", name="hidden")
        self.angle = keras.layers.Dense(1, kernel_initializer="zeros", name="angle")

    def build(self, input_shape: Any) -> None:
        self.hidden.build((None, self.size**2 * input_shape[-1]))
        self.angle.build((None, 32))
        self.built = True

    def call(
        self, features: Float[Array, "b h w c"], rois: Float[Array, "b n 4"]
    ) -> Float[Array, "b n size size c"]:
        straight = super().call(features, rois)
        seen = straight.reshape(*rois.shape[:2], -1)
        angles = jnp.pi * jnp.tanh(self.angle(self.hidden(seen))[..., 0])
        return jax.vmap(self._turned)(features, rois, angles)

    def _turned(self, features: Array, rois: Array, angles: Array) -> Array:
        rows, columns, _ = features.shape
        transforms = sampler.roi_transforms(
            rois, stride=self.stride, rows=rows, columns=columns, size=self.size,
            placement=self.placement, angles=angles,
        )  # fmt: skip
        size = (self.size, self.size)
        return sampler.sample_affine(features, transforms, size=size)


@keras.saving.register_keras_serializable(package="claran_experiments")
class PartBlindHead(GroupHead):
    """Judges groups without a part of what the others see; see `HIDDEN_FROM`.

    Args:
        hides: Name of that part.
        **kwargs: Arguments of `GroupHead`.
    """

    def __init__(self, *, hides: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hides = hides

    def call(self, views: GroupViews) -> Float[Array, "b n classes"]:
        return super().call(views._replace(**HIDDEN_FROM[self.hides](views)))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"hides": self.hides}


HIDDEN_FROM: dict[str, Callable[[GroupViews], dict[str, Any]]] = {
    "masks": lambda views: {"own": views.own * 0, "others": views.others * 0},
    "islands": lambda views: {"around": views.around * 0},
    "neighbors": lambda views: {
        "others": views.others * 0, "gaps": jnp.full_like(views.gaps, jnp.inf)
    },
}  # fmt: skip


def turning() -> DetectionModel:
    """Returns the detector with a sampler that turns."""
    model = claran_first()
    plain = model.network
    layer = TurningSampler(size=plain.sampler.size, stride=plain.sampler.stride)
    channels = plain.backbone.output_shape[-1]
    layer.build((None, None, None, channels))
    network = FasterRcnn(
        name="turning", backbone=plain.backbone, rpn=plain.rpn,
        proposals=plain.proposals, sampler=layer, head=plain.head,
        decoder=plain.decoder, image_size=plain.image_size,
    )  # fmt: skip
    return model.with_network(network)


def part_blind_model(hides: str) -> DetectionModel:
    """Returns claran_v1 without a part of what its second stage sees."""
    model = claran_v1()
    plain: Any = model.network
    head = PartBlindHead(hides=hides, **plain.head.get_config())
    network = GroupRcnn(
        name="part_blind", backbone=plain.backbone, rpn=plain.rpn,
        proposals=plain.proposals, sampler=plain.sampler, regions=plain.regions,
        head=head, decoder=plain.decoder, image_size=plain.image_size,
    )  # fmt: skip
    return model.with_network(network)


def fine_groups() -> DetectionModel:
    """Returns claran_v1, untrained, with a beam of four pixels instead of three."""
    finer = 4 / 3
    model = claran_v1(
        beam_pixels=3 * finer, image_size=176, anchor_sizes=(11, 21, 43, 85, 120)
    )
    regions: Any = model.network.regions
    for length in ("reach", "margin", "least"):
        setattr(regions, length, finer * getattr(regions, length))
    return model


def wide_groups() -> DetectionModel:
    """Returns claran_v1, untrained, that sees groups in regions twice their size."""
    model = claran_v1()
    regions: Any = model.network.regions
    regions.grown = 1.0
    return model
