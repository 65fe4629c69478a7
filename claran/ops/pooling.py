"""Pooling of feature maps."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["max_pool"]


def max_pool(features: Float[Array, "b h w c"]) -> Float[Array, "b h//2 w//2 c"]:
    """Returns the largest of each 2 x 2 cells; an odd last row or column is dropped.

    As a maximum of four slices. XLA's CPU compiler merges a `reduce_window` with the
    bias and ReLU before it into scalar code: VGG16 at 600 px took 1.68 s with that and
    1.34 s with this, on two cores.
    """
    _, height, width, _ = features.shape
    rows, columns = height // 2 * 2, width // 2 * 2
    parts = [features[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]
    return functools.reduce(jnp.maximum, parts)
