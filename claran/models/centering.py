"""A trained network that is also told where the center of the field is."""

from typing import Any

import keras

__all__ = ["with_center"]

HIDDEN = 16


def with_center(backbone: Any) -> keras.Model:
    """Returns a backbone whose images have a last channel more.

    It is averaged over each cell of the feature map, and what two layers make of it is
    added to the features. The last one is zero at first, so that the features are those
    of the given backbone, whatever is in the channel.

    Args:
        backbone: From `(b, rows, columns, channels)` to a feature map of stride 4, such
            as `claran.models.pyramid.pyramid`; its layers are shared.
    """
    *_, channels = backbone.input_shape
    *_, features = backbone.output_shape
    images: Any = keras.Input(
        (None, None, channels + 1), dtype="float32", name="images"
    )
    seen = backbone(images[..., :channels])
    near = keras.layers.AveragePooling2D(4, data_format="channels_last", name="cells")(
        images[..., channels:]
    )
    for width, name, start, activation in (
        (HIDDEN, "near", "he_normal", "relu"),
        (features, "placed", "zeros", None),
    ):
        near = keras.layers.Dense(
            width, activation=activation, kernel_initializer=start, name=name
        )(near)
    merged = keras.layers.Add(name="merged")([seen, near])
    return keras.Model(images, merged, name="centered")
