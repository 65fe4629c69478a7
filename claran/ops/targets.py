"""Randomly sampled training targets for the RPN and the box head."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32

from claran.ops import boxes as box_ops
from claran.ops.matching import IGNORED, NEGATIVE, POSITIVE, match
from claran.ops.rows import take_rows
from claran.ops.sampling import choose_balanced

__all__ = [
    "HeadOptions",
    "Objects",
    "RpnOptions",
    "Targets",
    "head_targets",
    "rpn_targets",
]


class Objects(NamedTuple):
    """The labeled objects of one image, in `n` slots of which some may be empty."""

    boxes: Float[Array, "n 4"]  # Pixels of the network's input.
    classes: Int[Array, "n"]  # From 1; 0 is background.
    valid: Bool[Array, "n"]  # Objects to be learned.
    ignored: Bool[Array, "n"] | None = None
    """Objects that are neither learned nor background, and not `valid`; None: none."""


class Targets(NamedTuple):
    """The rows sampled for the loss of one image, in `k` slots; some may be empty."""

    rows: Int[Array, "k"]  # RPN: of the anchors. Head: of the proposals and objects.
    labels: Int[Array, "k"]  # RPN: 1 for an object. Head: the class. 0: background.
    deltas: Float[Array, "k 4"]
    valid: Bool[Array, "k"]  # Which slots are filled.


@dataclasses.dataclass(frozen=True, kw_only=True)
class RpnOptions:
    """How anchors are sampled for the loss. The defaults are those of Faster R-CNN.

    Attributes:
        size: Anchors sampled per image.
        positive_fraction: Largest fraction of positive anchors in the sample.
        positive: IoU from which an anchor is assigned to an object.
        negative: IoU below which an anchor is background.
    """

    size: int = 256
    positive_fraction: float = 0.5
    positive: float = 0.7
    negative: float = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """How proposals are sampled for the loss. The defaults are those of Faster R-CNN.

    Attributes:
        size: Proposals sampled per image.
        positive_fraction: Largest fraction of positive proposals in the sample.
        positive: IoU from which a proposal is assigned to an object; it is background
            below.
    """

    size: int = 128
    positive_fraction: float = 0.25
    positive: float = 0.5


def rpn_targets(
    key: PRNGKeyArray | UInt32[Array, "2"],
    anchors: Float[Array, "m 4"],
    objects: Objects,
    image_shape: Float[Array, "2"],
    *,
    options: RpnOptions,
    offset: float = 0.0,
) -> Targets:
    """Returns the anchors of one image that enter the loss, with their targets.

    Anchors that cross the border of the image are left out, as in the paper. An anchor
    is on an ignored object if more than half of its area lies inside the object, or if
    their IoU is at least `options.negative`. Such an anchor is not background.

    Args:
        key: Random key.
        anchors: All anchors, in pixels of the network's input.
        objects: The labeled objects. Without any, all anchors are background.
        image_shape: Rows and columns of the image, in pixels of the network's input.
        options: See `RpnOptions`.
        offset: See `claran.ops.boxes`.
    """
    limit = (image_shape[::-1] - offset)[None]
    inside = (anchors[:, :2] >= 0).all(axis=1) & (anchors[:, 2:] <= limit).all(axis=1)
    best, label = match(
        box_ops.iou(anchors, objects.boxes, offset=offset),
        objects.valid,
        positive=options.positive,
        negative=options.negative,
        allow_low_quality=True,
        candidates=inside,
    )
    label = _exclude_ignored(label, anchors, objects, options.negative, offset)
    rows, chosen = choose_balanced(
        key, label, size=options.size, positive_fraction=options.positive_fraction
    )
    labels = jnp.where(take_rows(label, rows) == POSITIVE, 1, 0)
    boxes = take_rows(objects.boxes, take_rows(best, rows))
    deltas = box_ops.encode(boxes, take_rows(anchors, rows), offset=offset)
    return Targets(rows, labels, deltas, chosen)


def head_targets(
    key: PRNGKeyArray | UInt32[Array, "2"],
    proposals: Float[Array, "m 4"],
    proposed: Bool[Array, "m"],
    objects: Objects,
    *,
    options: HeadOptions,
    offset: float = 0.0,
) -> tuple[Float[Array, "k 4"], Targets]:
    """Returns the proposals of one image that enter the loss, with their targets.

    The objects are added to the proposals, so that the head sees positive examples from
    the start. Proposals on an ignored object (see `rpn_targets`) are not background.

    Args:
        key: Random key.
        proposals: Boxes in pixels of the network's input.
        proposed: Which proposals exist. The others are padding.
        objects: The labeled objects. Without any, all proposals are background.
        options: See `HeadOptions`.
        offset: See `claran.ops.boxes`.

    Returns:
        The sampled regions of interest in pixels of the network's input, and their
        targets.
    """
    rois = jnp.concatenate([proposals, objects.boxes])
    best, label = match(
        box_ops.iou(rois, objects.boxes, offset=offset),
        objects.valid,
        positive=options.positive,
        negative=options.positive,
        candidates=jnp.concatenate([proposed, objects.valid]),
    )
    label = _exclude_ignored(label, rois, objects, options.positive, offset)
    rows, chosen = choose_balanced(
        key, label, size=options.size, positive_fraction=options.positive_fraction
    )
    assigned = take_rows(best, rows)
    is_positive = take_rows(label, rows) == POSITIVE
    labels = jnp.where(is_positive, take_rows(objects.classes, assigned), 0)
    rois = take_rows(rois, rows)
    deltas = box_ops.encode(take_rows(objects.boxes, assigned), rois, offset=offset)
    return rois, Targets(rows, labels, deltas, chosen)


def _exclude_ignored(
    label: Int[Array, "m"],
    boxes: Float[Array, "m 4"],
    objects: Objects,
    threshold: float,
    offset: float,
) -> Int[Array, "m"]:
    """Returns the labels with `NEGATIVE` replaced by `IGNORED` on ignored objects."""
    if objects.ignored is None or not len(objects.boxes):
        return label
    # A small box inside a large ignored object does not reach the IoU.
    overlaps = (box_ops.iou(boxes, objects.boxes, offset=offset) >= threshold) | (
        box_ops.coverage(boxes, objects.boxes, offset=offset) > 0.5
    )
    excluded = (overlaps & objects.ignored[None]).any(axis=1)
    return jnp.where((label == NEGATIVE) & excluded, IGNORED, label)
