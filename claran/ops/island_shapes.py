"""Shapes of islands of emission, and how each looks from the middle of a group.

Lobes of one source point at each other and are brightest at their outer or inner ends,
what is unrelated points anywhere. Samples of an island on a coarse grid show little of
that; the moments of its brightness say it in a few numbers.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["IslandShapes", "island_shapes", "looks_from"]

NEAR = 2.0  # Pixels from the middle; nearer ones have no direction.
LEAST = 0.05  # Pixels squared, about the variance of one pixel.


class IslandShapes(NamedTuple):
    """Moments of the brightness of the islands of one image, zeros in empty slots."""

    flux: Float[Array, "k"]
    """Sum over the pixels, in units of the noise."""
    brightness: Float[Array, "k"]
    """Mean over the island, weighted by itself: half the peak of a Gaussian."""
    centers: Float[Array, "k 2"]
    """Centroids (x, y), pixels."""
    covariances: Float[Array, "k 3"]
    """About the centroid: xx, yy and xy, pixels squared."""
    shifts: Float[Array, "k 2"]
    """From the centroid to that of the squared brightness: where the bright end is."""


def island_shapes(
    ratio: Float[Array, "h w"], islands: Float[Array, "k 4"]
) -> IslandShapes:
    """Returns the moments of all islands.

    The sums are two matrix products for each moment along y, as a box is the product of
    a range of rows and one of columns. What other islands have in the box is added.

    Args:
        ratio: Signal-to-noise, 0 outside of islands.
        islands: Their boxes, pixel edges; without width in empty slots.
    """
    rows, columns = ratio.shape
    middles = (islands[:, :2] + islands[:, 2:]) / 2
    x, y = jnp.arange(columns) + 0.5, jnp.arange(rows) + 0.5
    # Distances from the middle of each box, as squares of coordinates in a large image
    # would lose the digits that matter.
    x, y = x[None] - middles[:, :1], y[None] - middles[:, 1:]
    half = (islands[:, 2:] - islands[:, :2]) / 2
    in_x = jnp.where(jnp.abs(x) <= half[:, :1], 1.0, 0.0)
    in_y = jnp.where(jnp.abs(y) <= half[:, 1:], 1.0, 0.0)
    by_y, by_x = (
        jnp.stack([inside, inside * d, inside * d**2])
        for inside, d in ((in_y, y), (in_x, x))
    )

    def moments(image: Array) -> Array:
        lines = jnp.einsum("pkh,hw->pkw", by_y, image)
        return jnp.einsum("pkw,qkw->pqk", lines, by_x)

    first, second = moments(ratio), moments(ratio**2)
    flux, squared = first[0, 0], second[0, 0]
    total, bright = jnp.maximum(flux, 1e-6), jnp.maximum(squared, 1e-6)
    mean_x, mean_y = first[0, 1] / total, first[1, 0] / total
    covariances = jnp.stack(
        [
            first[0, 2] / total - mean_x**2,
            first[2, 0] / total - mean_y**2,
            first[1, 1] / total - mean_x * mean_y,
        ],
        axis=-1,
    )
    mean = jnp.stack([mean_x, mean_y], axis=-1)
    peak = jnp.stack([second[0, 1] / bright, second[1, 0] / bright], axis=-1)
    return IslandShapes(flux, squared / total, middles + mean, covariances, peak - mean)


def looks_from(
    groups: Float[Array, "n k"], shapes: IslandShapes
) -> Float[Array, "n k 4"]:
    """Returns how each island lies and points, seen from the middle of each group.

    The middle is the mean of the centroids of the group's islands. The numbers are the
    logarithm of the distance from it; a weight that is 0 in the middle and 1 far from
    it; and, times this weight, the logarithm of the extent toward the middle over that
    across, and by how much the bright end is the outer one, pixels.

    Args:
        groups: 1 for the islands of each group, else 0.
        shapes: The islands.
    """
    number = jnp.maximum(groups.sum(axis=-1, keepdims=True), 1.0)
    middle = groups @ shapes.centers / number
    away = shapes.centers[None] - middle[:, None]
    square = (away**2).sum(axis=-1)
    weight = square / (square + NEAR**2)
    unit = away / jnp.sqrt(square + 1e-6)[..., None]
    x, y = unit[..., 0], unit[..., 1]
    xx, yy, xy = (shapes.covariances[None, :, i] for i in range(3))
    along = xx * x**2 + yy * y**2 + 2 * xy * x * y
    across = xx * y**2 + yy * x**2 - 2 * xy * x * y
    stretch = jnp.log(jnp.maximum(along, LEAST) / jnp.maximum(across, LEAST))
    outward = (unit * shapes.shifts[None]).sum(axis=-1)
    far = jnp.log1p(jnp.sqrt(square + 1e-6)) / 3
    return jnp.stack([far, weight, weight * stretch, weight * outward], axis=-1)
