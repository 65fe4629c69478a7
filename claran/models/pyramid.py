"""A small residual network with a feature pyramid, merged at its finest level.

The residual blocks follow He et al. 2016 (arXiv:1512.03385), the top-down path follows
Lin et al. 2017 (arXiv:1612.03144). Radio sources of 5 to 100 pixels fit on a single
feature map of stride 4 with information from coarser levels, so that the RPN and the
RoI sampler need not choose a level.
"""

from collections.abc import Sequence
from typing import Any

import keras

from claran.models.initializers import Normal

__all__ = ["pyramid"]


def pyramid(
    channels: int,
    *,
    widths: Sequence[int] = (32, 64, 96, 128),
    depths: Sequence[int] = (1, 2, 2, 2),
    features: int = 64,
    top_down: bool = True,
    name: str = "pyramid",
) -> keras.Model:
    """Returns a network from images to one feature map of stride 4.

    Args:
        channels: Channels of the images.
        widths: Channels at the strides 2, 4, 8 ...
        depths: Number of residual blocks at each stride.
        features: Channels of the feature map.
        top_down: Whether to add the coarser levels to that of stride 4.
        name: Name of the model.

    Returns:
        A model from `(b, rows, columns, channels)` to `(b, rows / 4, columns / 4,
        features)`. Rows and columns must be multiples of `2 ** len(widths)`.
    """
    images = keras.Input((None, None, channels), dtype="float32", name="images")
    x, levels = images, []
    for level, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        x = _conv(x, width, f"down{level}", strides=2)
        for block in range(1, depth + 1):
            x = _residual(x, width, f"block{level}_{block}")
        levels.append(x)
    merged = None
    for level, x in reversed(list(enumerate(levels, start=1))[1:]):
        if not top_down and level > 2:
            continue
        lateral = _conv(x, features, f"lateral{level}", size=1, activate=False)
        if merged is not None:
            up = keras.layers.UpSampling2D(
                data_format="channels_last", name=f"up{level}"
            )(merged)
            lateral = keras.layers.Add(name=f"merge{level}")([lateral, up])
        merged = lateral
    merged = keras.layers.ReLU(name="merged")(merged)
    return keras.Model(images, _conv(merged, features, "smooth"), name=name)


def _residual(x: Any, width: int, name: str) -> Any:
    y = _conv(x, width, f"{name}_a")
    y = _conv(y, width, f"{name}_b", activate=False)
    y = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=name)(y)


def _conv(
    x: Any,
    width: int,
    name: str,
    *,
    size: int = 3,
    strides: int = 1,
    activate: bool = True,
) -> Any:
    x = keras.layers.Conv2D(
        width,
        size,
        strides=strides,
        padding="same",
        data_format="channels_last",
        use_bias=False,
        kernel_initializer=_he_normal(),
        name=name,
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.98, epsilon=1e-3, name=f"{name}_bn")(
        x
    )
    return keras.layers.ReLU(name=f"{name}_relu")(x) if activate else x


def _he_normal() -> Any:
    return Normal()
