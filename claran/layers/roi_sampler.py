"""RoI sampling between the feature map and the box head, by spatial transformer."""

import functools
from typing import Any

import jax
import keras
from jaxtyping import Array, Float

from claran.ops import sampler

__all__ = ["RoiSampler"]


@keras.saving.register_keras_serializable(package="claran")
class RoiSampler(keras.layers.Layer):
    """Samples the features of every RoI of every image on a square grid.

    Args:
        size: Samples along each side.
        stride: Pixels of the network's input per cell of the feature map.
        placement: See `claran.ops.sampler.Placement`.
        border: See `claran.ops.sampler.Border`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        size: int = 7,
        stride: int = 16,
        placement: sampler.Placement = "aligned",
        border: sampler.Border = "edge",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision, 3 digits, is too coarse for boxes.
        self.size = size
        self.stride = stride
        self.placement: sampler.Placement = placement
        self.border: sampler.Border = border

    def call(
        self, features: Float[Array, "b h w c"], rois: Float[Array, "b n 4"]
    ) -> Float[Array, "b n size size c"]:
        """Returns the features of each RoI.

        Args:
            features: Feature maps.
            rois: Boxes in pixels of the network's input.
        """
        sample = functools.partial(
            sampler.sample_rois,
            size=self.size,
            stride=self.stride,
            placement=self.placement,
            border=self.border,
        )
        return jax.vmap(sample)(features, rois)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "stride": self.stride,
            "placement": self.placement,
            "border": self.border,
        }
