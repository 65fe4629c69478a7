"""Convolutions of VGG16 up to conv5_3 (Simonyan & Zisserman 2014, arXiv:1409.1556)."""

from collections.abc import Sequence
from typing import Any

import keras

from claran.layers.max_pool import MaxPool
from claran.models.initializers import Normal

__all__ = ["BGR_MEAN", "vgg16"]

BGR_MEAN = (103.939, 116.779, 123.68)
"""Mean color of ImageNet that Caffe's VGG16 subtracts: blue, green, red, 0 to 255."""

DEPTHS = (2, 2, 3, 3, 3)


def vgg16(
    widths: Sequence[int] = (64, 128, 256, 512, 512),
    *,
    frozen_blocks: int = 2,
    name: str = "vgg16",
) -> keras.Model:
    """Returns the 13 convolutions of VGG16 with four poolings, which give stride 16.

    Pooling drops an odd last row or column, as in ClaRAN, so that 600 px give 37 cells.

    Args:
        widths: Channels of the five blocks.
        frozen_blocks: Number of first blocks that are not trained.
        name: Name of the model.

    Returns:
        A model from BGR pictures `(b, rows, columns, 3)`, 0 to 255, to features
        `(b, rows // 16, columns // 16, widths[-1])`. The layers have the names of the
        paper, conv1_1 to conv5_3.
    """
    pictures = keras.Input((None, None, 3), dtype="float32", name="pictures")
    offset: Any = [-value for value in BGR_MEAN]
    x = keras.layers.Rescaling(1.0, offset=offset, name="subtract_mean")(pictures)
    for block, (depth, width) in enumerate(zip(DEPTHS, widths, strict=True), start=1):
        if block > 1:
            x = MaxPool(name=f"pool{block - 1}")(x)
        for i in range(1, depth + 1):
            x = keras.layers.Conv2D(
                width,
                3,
                padding="same",
                data_format="channels_last",
                activation="relu",
                kernel_initializer=_he_normal(),
                trainable=block > frozen_blocks,
                name=f"conv{block}_{i}",
            )(x)
    return keras.Model(pictures, x, name=name)


def _he_normal() -> Any:
    return Normal()
