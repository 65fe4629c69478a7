"""Faster R-CNN with a spatial transformer between its stages, the network of ClaRAN.

Ren et al. 2015, arXiv:1506.01497; Wu et al. 2019, MNRAS 482, 1211.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jaxtyping import Array, Bool, Float

from claran.layers.proposals import Proposals
from claran.layers.roi_sampler import RoiSampler
from claran.models.layer_precision import float32_layers
from claran.models.rpn import Rpn
from claran.ops import losses
from claran.ops.targets import Targets

__all__ = ["FasterRcnn", "Heads", "Proposed", "rpn_losses"]


class Proposed(NamedTuple):
    """Outputs of the first stage for a batch; see `Rpn` and `Proposals`."""

    features: Float[Array, "b h w c"]
    logits: Float[Array, "b m 2"]
    deltas: Float[Array, "b m 4"]
    rois: Float[Array, "b k 4"]
    scores: Float[Array, "b k"]
    valid: Bool[Array, "b k"]


class Heads(NamedTuple):
    """Outputs of the second stage for a batch; see `BoxDecoder.call`."""

    logits: Float[Array, "b n c"]
    deltas: Float[Array, "b n c 4"]
    rois: Float[Array, "b n 4"]
    valid: Bool[Array, "b n"]


@keras.saving.register_keras_serializable(package="claran")
class FasterRcnn(keras.Model):
    """Finds and classifies the sources in a batch of images.

    It is independent of fields and names of classes: see
    `claran.detection.detection_model` for these.

    Args:
        backbone: From images `(b, rows, columns, channels)` to one feature map.
        rpn: Scores the anchors on the feature map.
        proposals: Turns them into regions of interest.
        sampler: Samples the feature map in each region.
        head: Classifies the samples and corrects the boxes.
        decoder: Turns these into detections.
        image_size: Side of the square images of training, pixels. Larger images have
            more proposals and detections, in proportion to their area.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: RPN and sampler disagree on the stride.
    """

    def __init__(
        self,
        *,
        backbone: keras.Model,
        rpn: Rpn,
        proposals: Proposals,
        sampler: RoiSampler,
        head: Any,
        decoder: Any,
        image_size: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision has 3 digits, too few for boxes.
        if rpn.stride != sampler.stride:
            raise ValueError(
                f"`rpn` and `sampler` must have one stride, got {rpn.stride} and "
                f"{sampler.stride}."
            )
        self.backbone = backbone
        self.rpn = rpn
        self.proposals = proposals
        self.sampler = sampler
        self.head = head
        self.decoder = decoder
        self.image_size = image_size
        channels = backbone.output_shape[-1]
        if not rpn.built:  # Parts that were loaded have their weights.
            rpn.build((None, None, None, channels))
        if not head.built:
            head.build((None, None, sampler.size, sampler.size, channels))
        self.built = True

    sees_islands = False
    """Whether a call needs the boxes of the islands in each image."""

    PARTS = ("backbone", "rpn", "proposals", "sampler", "head", "decoder")
    """Arguments that are layers."""

    @property
    def num_classes(self) -> int:
        """Number of classes without background."""
        return self.head.num_classes

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the detections of each image, `RawDetections`.

        Args:
            inputs: Images `(b, rows, columns, channels)`, or a dictionary of `images`
                and `image_info` `(b, 3)`: rows and columns of each image without its
                padding, and its pixels per pixel of the field's picture.
            training: Whether dropout is on.
        """
        unpacked = self.unpack(inputs)
        return self.decode(self.heads(*unpacked, training=training), unpacked[1])

    def heads(
        self,
        images: Float[Array, "b rows columns channels"],
        info: Float[Array, "b 3"],
        islands: Float[Array, "b k 4"] | None = None,
        training: bool = False,
    ) -> Any:
        """Runs both stages; `decode` makes detections of the result.

        Args:
            images: The images.
            info: See `call`.
            islands: Boxes of the islands, for networks that see them.
            training: Whether dropout is on.

        Returns:
            `Heads`.
        """
        del islands
        proposed = self.propose(images, info)
        logits, deltas = self.classify(
            proposed.features, proposed.rois, training=training
        )
        return Heads(logits, deltas, proposed.rois, proposed.valid)

    def decode(
        self,
        heads: Any,
        info: Float[Array, "b 3"],
        *,
        temperature: Float[Array, ""] | float | None = None,
    ) -> Any:
        """Returns the detections of each image.

        Args:
            heads: Result of `heads`.
            info: See `call`.
            temperature: Temperature to replace the decoder's own.

        Returns:
            `RawDetections`.
        """
        proposals = heads.rois.shape[1]
        return self.decoder(
            *heads, info, temperature=temperature,
            area_factor=proposals // self.proposals.max_outputs,
        )  # fmt: skip

    def area_factor(self, rows: int, columns: int) -> int:
        """Returns the area of the input relative to training, rounded up.

        The numbers of proposals and detections are larger by this factor, as there are
        more sources in a larger area.

        Args:
            rows: Rows of the input.
            columns: Columns of the input.
        """
        return math.ceil(rows * columns / self.image_size**2)

    def propose(
        self,
        images: Float[Array, "b rows columns channels"],
        info: Float[Array, "b 3"],
        training: bool = False,
    ) -> Proposed:
        """Runs the first stage: features and regions of interest.

        Regions of interest have no gradient, as in the approximate joint training of
        the paper and in ClaRAN.

        Args:
            images: The images.
            info: See `call`.
            training: Whether the number of proposals is that of training.
        """
        features = self.backbone(images, training=training)
        logits, deltas = self.rpn(features)
        _, rows, columns, _ = features.shape
        rois, scores, valid = self.proposals(
            # Before the layer, so that its gradient is not computed.
            *jax.lax.stop_gradient((logits, deltas)),
            self.rpn.anchors(rows, columns),
            info,
            training=training,
            area_factor=self.area_factor(*images.shape[1:3]),
        )
        return Proposed(features, logits, deltas, rois, scores, valid)

    def classify(
        self,
        features: Float[Array, "b h w c"],
        rois: Float[Array, "b n 4"],
        training: bool = False,
    ) -> tuple[Float[Array, "b n classes"], Float[Array, "b n classes 4"]]:
        """Runs the second stage: class logits and deltas of regions of interest.

        Args:
            features: Of the backbone.
            rois: `(x0, y0, x1, y1)`, pixels of the network's input.
            training: Whether dropout is on.
        """
        return self.head(self.sampler(features, rois), training=training)

    def losses_from(
        self,
        proposed: Proposed,
        rpn_targets: Targets,
        rois: Float[Array, "b n 4"],
        head_targets: Targets,
        *,
        training: bool = True,
    ) -> dict[str, Float[Array, ""]]:
        """Returns the four losses of joint training, means over the batch.

        Args:
            proposed: Result of `propose`; both stages use its features.
            rpn_targets: Targets of `claran.ops.targets.rpn_targets`, batched.
            rois: Sampled regions of `claran.ops.targets.head_targets`, batched.
            head_targets: Their targets, batched.
            training: Whether dropout is on.
        """
        rpn_class, rpn_box = rpn_losses(proposed, rpn_targets)
        logits, deltas = self.classify(
            proposed.features, jax.lax.stop_gradient(rois), training=training
        )
        stds = jnp.array(self.decoder.delta_stds)[None, None]
        wanted = head_targets._replace(deltas=head_targets.deltas / stds)
        head_class, head_box = jax.vmap(_head_losses)(logits, deltas, wanted)
        return {
            "rpn_class": rpn_class,
            "rpn_box": rpn_box,
            "head_class": head_class.mean(),
            "head_box": head_box.mean(),
        }

    def unpack(self, inputs: Any) -> tuple[Array, ...]:
        """Returns the first arguments of `heads`, of those of `call`."""
        if isinstance(inputs, dict):
            return inputs["images"], inputs["image_info"]
        batch, rows, columns, _ = inputs.shape
        return inputs, jnp.tile(jnp.array([[rows, columns, 1.0]]), (batch, 1))

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "backbone": serialize(self.backbone),
            "rpn": serialize(self.rpn),
            "proposals": serialize(self.proposals),
            "sampler": serialize(self.sampler),
            "head": serialize(self.head),
            "decoder": serialize(self.decoder),
            "image_size": self.image_size,
        }

    @classmethod
    @float32_layers()
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "FasterRcnn":
        del custom_objects  # All parts are registered.
        for part in cls.PARTS:
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def rpn_losses(
    proposed: Proposed, targets: Targets
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the losses of the first stage, class and box, means over the batch.

    Args:
        proposed: Result of `FasterRcnn.propose`.
        targets: Targets of `claran.ops.targets.rpn_targets`, batched.
    """
    by_image = jax.vmap(_rpn_losses)(proposed.logits, proposed.deltas, targets)
    return by_image[0].mean(), by_image[1].mean()


def _rpn_losses(
    logits: Float[Array, "m 2"], deltas: Float[Array, "m 4"], targets: Targets
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    return _stage_losses(logits[targets.rows], deltas[targets.rows], targets, sigma=3.0)


def _head_losses(
    logits: Float[Array, "k c"], deltas: Float[Array, "k c 4"], targets: Targets
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    own = deltas[jnp.arange(len(deltas)), targets.labels]
    return _stage_losses(logits, own, targets, sigma=1.0)


def _stage_losses(
    logits: Float[Array, "k c"],
    deltas: Float[Array, "k 4"],
    targets: Targets,
    *,
    sigma: float,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    positive = targets.labels > 0
    return (
        losses.cross_entropy(logits, targets.labels, targets.valid),
        losses.smooth_l1(deltas, targets.deltas, positive, targets.valid, sigma=sigma),
    )
