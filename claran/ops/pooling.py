"""Pooling of feature maps."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["max_pool"]


def max_pool(features: Float[Array, "b h w c"]) -> Float[Array, "b h//2 w//2 c"]:
    """Returns the maximum of each 2 x 2 block; an odd last row or column is dropped.

    It is computed as the maximum of four strided slices. XLA's CPU compiler fuses a
    `reduce_window` with the preceding bias and ReLU into scalar code: VGG16 at 600 px
    took 1.68 s with `reduce_window` and 1.34 s with slices, on two cores.
    """
    _, height, width, _ = features.shape
    rows, columns = height // 2 * 2, width // 2 * 2
    parts = [features[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]
    return functools.reduce(jnp.maximum, parts)
