"""Random choice of rows for a loss, balanced and of fixed size."""

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
    """Returns a random choice of positive and negative rows.

    Positive rows take at most their fraction; negative ones fill the rest. Ignored
    rows are never chosen. All choices are equally likely.

    Args:
        key: Random key.
        labels: `POSITIVE`, `NEGATIVE` or `IGNORED` (see `claran.ops.matching`).
        size: Static size `k` of the choice.
        positive_fraction: At most `round(size * positive_fraction)` are positive.

    Returns:
        Indices of the rows, the positive ones first, and which of the `k` places hold
        one: fewer than `size` rows may qualify.
    """
    draw = jax.random.uniform(key, labels.shape)
    limit = min(round(size * positive_fraction), len(labels))
    positive, first = _largest(jnp.where(labels == POSITIVE, draw + 2, 0), limit)
    negative, then = _largest(jnp.where(labels == NEGATIVE, draw + 1, 0), size)
    # Two short lists in place of ranks: sorting all rows takes a CPU twenty times as
    # long.
    value, place = jax.lax.top_k(jnp.concatenate([positive, negative]), size)
    chosen = value >= 1
    return jnp.where(chosen, jnp.concatenate([first, then])[place], 0), chosen


def _largest(
    values: Float[Array, "m"], count: int
) -> tuple[Float[Array, "k"], Int[Array, "k"]]:
    """Returns the largest values, falling, and where; zeros make up the count."""
    values = jnp.pad(values, (0, max(0, count - len(values))))
    value, index = jax.lax.top_k(values, count)
    return value, index
