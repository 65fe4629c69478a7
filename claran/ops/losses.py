"""Classification and box loss of Faster R-CNN, over padded rows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ["cross_entropy", "smooth_l1"]


def cross_entropy(
    logits: Float[Array, "m c"], labels: Int[Array, "m"], valid: Bool[Array, "m"]
) -> Float[Array, ""]:
    """Returns the mean cross-entropy of the valid rows; 0 without valid rows."""
    log_probability = jax.nn.log_softmax(logits, axis=-1)
    own = jnp.take_along_axis(log_probability, labels[:, None], axis=-1)[:, 0]
    return _mean(-own, valid)


def smooth_l1(
    predicted: Float[Array, "m 4"],
    target: Float[Array, "m 4"],
    positive: Bool[Array, "m"],
    valid: Bool[Array, "m"],
    *,
    sigma: float = 1.0,
) -> Float[Array, ""]:
    """Returns the box loss: the sum over positive rows over the number of valid rows.

    Each coordinate costs `0.5 (sigma x)^2` for `|x| < 1 / sigma^2` and
    `|x| - 0.5 / sigma^2` beyond (Ren et al. 2015, arXiv:1506.01497, with the sigma of
    their code). Dividing by all valid rows, not only by the positive ones, keeps the
    weight of a single object the same from image to image.

    Args:
        predicted: Predicted deltas (see `claran.ops.boxes.encode`).
        target: Target deltas. Only those of positive rows are used.
        positive: Rows that are assigned to an object.
        valid: Sampled rows. The others are padding.
        sigma: Sets the transition from quadratic to linear, at `1 / sigma^2`.
    """
    # `where` before the arithmetic: a padded target must not reach the gradient.
    error = jnp.where((positive & valid)[:, None], predicted - target, 0.0)
    absolute = jnp.abs(error)
    square = 0.5 * (sigma * error) ** 2
    cost = jnp.where(absolute < 1 / sigma**2, square, absolute - 0.5 / sigma**2)
    return _mean(cost.sum(axis=-1), valid)


def _mean(values: Float[Array, "m"], valid: Bool[Array, "m"]) -> Float[Array, ""]:
    return jnp.where(valid, values, 0).sum() / jnp.maximum(valid.sum(), 1)
