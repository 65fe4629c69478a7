"""What the two stages of Faster R-CNN should have answered, drawn at random."""

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
    """The labelled objects of one image, in `n` places of which some may be empty."""

    boxes: Float[Array, "n 4"]  # Pixels of the network's input.
    classes: Int[Array, "n"]  # From 1; 0 is background.
    valid: Bool[Array, "n"]  # To be learned.
    ignored: Bool[Array, "n"] | None = None
    """Neither to be learned nor background; never valid too. None: there is none."""


class Targets(NamedTuple):
    """The rows drawn for one image's loss; `k` places, some of them empty."""

    rows: Int[Array, "k"]  # Rows of the anchors or of the proposals with objects.
    labels: Int[Array, "k"]  # RPN: 1 is an object. Head: the class, 0 is background.
    deltas: Float[Array, "k 4"]
    valid: Bool[Array, "k"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RpnOptions:
    """How anchors are chosen for the loss; the values of Faster R-CNN."""

    size: int = 256
    positive_fraction: float = 0.5
    positive: float = 0.7
    negative: float = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """How proposals are chosen for the loss; the values of Faster R-CNN."""

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
    """Returns the anchors of one image that enter the loss and their targets.

    Anchors that cross the border of the image are left out, as in the paper. Those on
    an ignored object (half of their area lies in it, or their IoU with it is not below
    `options.negative`) are not background.

    Args:
        key: Random key.
        anchors: All anchors, pixels of the network's input.
        objects: None is fine; then all rows are background.
        image_shape: Rows and columns of the image.
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
        rescue=True,
        candidates=inside,
    )
    label = _spare_ignored(label, anchors, objects, options.negative, offset)
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
    """Returns the proposals of one image that enter the loss and their targets.

    The objects themselves are proposals too, so that the head sees some from the start.
    Proposals on an ignored object (see `rpn_targets`) are not background.

    Args:
        key: Random key.
        proposals: Boxes, pixels of the network's input.
        proposed: Which proposals exist.
        objects: None is fine; then all rows are background.
        options: See `HeadOptions`.
        offset: See `claran.ops.boxes`.

    Returns:
        The boxes to sample, and the targets of these rows.
    """
    rois = jnp.concatenate([proposals, objects.boxes])
    best, label = match(
        box_ops.iou(rois, objects.boxes, offset=offset),
        objects.valid,
        positive=options.positive,
        negative=options.positive,
        candidates=jnp.concatenate([proposed, objects.valid]),
    )
    label = _spare_ignored(label, rois, objects, options.positive, offset)
    rows, chosen = choose_balanced(
        key, label, size=options.size, positive_fraction=options.positive_fraction
    )
    own = take_rows(best, rows)
    stands = take_rows(label, rows) == POSITIVE
    labels = jnp.where(stands, take_rows(objects.classes, own), 0)
    rois = take_rows(rois, rows)
    deltas = box_ops.encode(take_rows(objects.boxes, own), rois, offset=offset)
    return rois, Targets(rows, labels, deltas, chosen)


def _spare_ignored(
    label: Int[Array, "m"],
    boxes: Float[Array, "m 4"],
    objects: Objects,
    threshold: float,
    offset: float,
) -> Int[Array, "m"]:
    """Returns the labels without background where an ignored object is."""
    if objects.ignored is None or not len(objects.boxes):
        return label
    # Large ignored objects: no small box within reaches the IoU.
    on = (box_ops.iou(boxes, objects.boxes, offset=offset) >= threshold) | (
        box_ops.coverage(boxes, objects.boxes, offset=offset) > 0.5
    )
    spared = (on & objects.ignored[None]).any(axis=1)
    return jnp.where((label == NEGATIVE) & spared, IGNORED, label)
