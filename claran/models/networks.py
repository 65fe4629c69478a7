"""The networks of the presets, untrained."""

from collections.abc import Sequence
from typing import Any

from claran.layers.box_decoder import BoxDecoder
from claran.layers.group_decoder import GroupDecoder
from claran.layers.group_regions import GroupRegions
from claran.layers.proposals import Proposals
from claran.layers.roi_sampler import RoiSampler
from claran.models.faster_rcnn import FasterRcnn
from claran.models.group_head import GroupHead
from claran.models.group_rcnn import GroupRcnn
from claran.models.head import BoxHead
from claran.models.layer_precision import float32_layers
from claran.models.pyramid import pyramid
from claran.models.rpn import Rpn
from claran.models.vgg16 import vgg16

__all__ = ["claran_first", "claran_v01", "claran_v1"]

CHANNELS = 5  # Of `claran.fields.channels.CHANNELS`, which models may not import.
NUM_CLASSES = 6  # Of Radio Galaxy Zoo.


@float32_layers()
def claran_v01(
    *,
    num_classes: int = NUM_CLASSES,
    image_size: int = 600,
    anchor_scales: Sequence[float] = (1, 2, 4, 8, 16, 32),
    anchor_ratios: Sequence[float] = (1,),
    backbone_widths: Sequence[int] = (64, 128, 256, 512, 512),
    rpn_width: int = 512,
    head_width: int = 4096,
    samples: int = 7,
) -> FasterRcnn:
    """Returns ClaRAN v0.1 (Wu et al. 2019), untrained: VGG16, 600 px, five proposals.

    Its conventions are those of the original, so that a published checkpoint gives the
    same numbers: inclusive pixels, suppression at an equal IoU, zero border of the
    sampler. The widths of the layers are arguments, for smaller networks.

    Args:
        num_classes: Classes without background.
        image_size: Side of the network's input, pixels: 600, 264 or 132 in the paper.
        anchor_scales: Sides of the anchors, in cells of 16 px.
        anchor_ratios: Height over width of the anchors.
        backbone_widths: Channels of the five blocks of VGG16.
        rpn_width: Channels of the RPN's hidden layer.
        head_width: Units of fc6 and fc7.
        samples: Samples along each side of an RoI.
    """
    stride = 16
    pixels: dict[str, Any] = {"offset": 1.0, "max_log_ratio": None, "inclusive": True}
    return FasterRcnn(
        name="claran_v01",
        backbone=vgg16(backbone_widths),
        rpn=Rpn(
            anchor_sizes=[stride * scale for scale in anchor_scales],
            anchor_ratios=anchor_ratios,
            rounded_anchors=True,
            stride=stride,
            width=rpn_width,
            offset=1.0,
        ),
        proposals=Proposals(max_outputs=5, iou_threshold=0.7, min_size=4.0, **pixels),
        sampler=RoiSampler(
            size=samples, stride=stride, placement="claran", border="zero"
        ),
        head=BoxHead(num_classes=num_classes, width=head_width),
        decoder=BoxDecoder(max_outputs=5 * num_classes, clip_both_ends=False, **pixels),
        image_size=image_size,
    )


@float32_layers()
def claran_first(
    *,
    num_classes: int = NUM_CLASSES,
    image_size: int = 128,
    anchor_sizes: Sequence[float] = (8, 16, 32, 64, 90),
    anchor_ratios: Sequence[float] = (0.5, 1, 2),
    widths: Sequence[int] = (32, 64, 96, 128),
    depths: Sequence[int] = (1, 2, 2, 2),
    features: int = 64,
    top_down: bool = True,
    rpn_width: int = 64,
    head_width: int = 256,
    samples: int = 7,
) -> FasterRcnn:
    """Returns the compact network for radio surveys, untrained.

    Its input are the channels of `claran.fields.channels.Channels`, with a beam of
    three pixels as for FIRST.

    Args:
        num_classes: Classes without background.
        image_size: Side of the network's input in training, pixels. The input in
            detection may have any size.
        anchor_sizes: Sides of the square anchors, pixels.
        anchor_ratios: Height over width of the anchors.
        widths: See `claran.models.pyramid.pyramid`.
        depths: See there.
        features: See there.
        top_down: See there.
        rpn_width: Channels of the RPN's hidden layer.
        head_width: Units of the head's two hidden layers.
        samples: Samples along each side of an RoI.
    """
    parts = _compact_parts(
        image_size=image_size, anchor_sizes=anchor_sizes, anchor_ratios=anchor_ratios,
        widths=widths, depths=depths, features=features, top_down=top_down,
        rpn_width=rpn_width, samples=samples,
    )  # fmt: skip
    return FasterRcnn(
        name="claran_first",
        head=BoxHead(num_classes=num_classes, width=head_width, dropout=0.0),
        decoder=BoxDecoder(max_outputs=100),
        **parts,
    )


@float32_layers()
def claran_v1(
    *,
    num_classes: int = NUM_CLASSES,
    image_size: int = 128,
    anchor_sizes: Sequence[float] = (8, 16, 32, 64, 90),
    anchor_ratios: Sequence[float] = (0.5, 1, 2),
    widths: Sequence[int] = (32, 64, 96, 128),
    depths: Sequence[int] = (1, 2, 2, 2),
    features: int = 64,
    rpn_width: int = 64,
    head_width: int = 256,
    samples: int = 7,
    shapes: bool = True,
) -> GroupRcnn:
    """Returns the compact network that judges groups of islands, untrained.

    It differs from `claran_first` in its second stage.

    Args:
        num_classes: Classes without background.
        image_size: See `claran_first`.
        anchor_sizes: See there.
        anchor_ratios: See there.
        widths: See there.
        depths: See there.
        features: See there.
        rpn_width: See there.
        head_width: Units of the head's two last hidden layers.
        samples: Samples along each side of the region of a group.
        shapes: See `claran.models.group_head.GroupHead`.
    """
    parts = _compact_parts(
        image_size=image_size, anchor_sizes=anchor_sizes, anchor_ratios=anchor_ratios,
        widths=widths, depths=depths, features=features, top_down=True,
        rpn_width=rpn_width, samples=samples,
    )  # fmt: skip
    return GroupRcnn(
        name="claran_v1",
        head=GroupHead(num_classes=num_classes, width=head_width, shapes=shapes),
        decoder=GroupDecoder(),
        regions=GroupRegions(),
        **parts,
    )


def _compact_parts(
    *,
    image_size: int,
    anchor_sizes: Sequence[float],
    anchor_ratios: Sequence[float],
    widths: Sequence[int],
    depths: Sequence[int],
    features: int,
    top_down: bool,
    rpn_width: int,
    samples: int,
) -> dict[str, Any]:
    """Returns what the compact networks share: all up to the sampler."""
    stride = 4
    return {
        "backbone": pyramid(
            CHANNELS, widths=widths, depths=depths, features=features, top_down=top_down
        ),
        "rpn": Rpn(
            anchor_sizes=anchor_sizes,
            anchor_ratios=anchor_ratios,
            stride=stride,
            width=rpn_width,
        ),
        "proposals": Proposals(
            max_inputs=500, max_outputs=48, train_inputs=500, train_outputs=128,
            min_size=2.0,
        ),
        "sampler": RoiSampler(size=samples, stride=stride),
        "image_size": image_size,
    }  # fmt: skip
