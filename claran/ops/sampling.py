"""Balanced random sampling of positive and negative rows, with a fixed size."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32

from claran.ops.matching import NEGATIVE, POSITIVE

__all__ = ["choose_balanced"]


def choose_balanced(
    key: PRNGKeyArray | UInt32[Array, "2"],
    labels: Int[Array, "m"],
    *,
    size: int,
    positive_fraction: float,
) -> tuple[Int[Array, "k"], Bool[Array, "k"]]:
    """Returns a random sample of positive and negative rows.

    Positive rows take at most their fraction of the sample; negative rows fill the
    rest. Ignored rows are never chosen. All samples are equally likely.

    Args:
        key: Random key.
        labels: `POSITIVE`, `NEGATIVE` or `IGNORED` (see `claran.ops.matching`).
        size: Static size `k` of the sample.
        positive_fraction: At most `round(size * positive_fraction)` rows are positive.

    Returns:
        Indices of the rows, the positive ones first, and which of the `k` slots are
        filled: fewer than `size` rows may qualify.
    """
    draw = jax.random.uniform(key, labels.shape)
    limit = min(round(size * positive_fraction), len(labels))
    positive, positive_rows = _largest(
        jnp.where(labels == POSITIVE, draw + 2, 0), limit
    )
    negative, negative_rows = _largest(jnp.where(labels == NEGATIVE, draw + 1, 0), size)
    # Two short `top_k` instead of sorting all rows, which takes 20 times as long on a
    # CPU.
    value, slot = jax.lax.top_k(jnp.concatenate([positive, negative]), size)
    chosen = value >= 1
    rows = jnp.concatenate([positive_rows, negative_rows])
    return jnp.where(chosen, rows[slot], 0), chosen


def _largest(
    values: Float[Array, "m"], count: int
) -> tuple[Float[Array, "k"], Int[Array, "k"]]:
    """Returns the largest values in descending order and their rows; padded with 0."""
    values = jnp.pad(values, (0, max(0, count - len(values))))
    value, index = jax.lax.top_k(values, count)
    return value, index
