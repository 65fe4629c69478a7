"""Random choice of rows for a loss, balanced and of fixed size."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray, UInt32

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
    positives = jnp.where(labels == POSITIVE, draw, -1.0)
    limit = min(round(size * positive_fraction), len(labels))
    # Rank 0 is the largest draw; a positive row is in if its rank is below the limit.
    rank = jnp.argsort(jnp.argsort(-positives))
    taken = (labels == POSITIVE) & (rank < limit)
    draw = jnp.where(taken, draw + 2, jnp.where(labels == NEGATIVE, draw + 1, 0))
    draw = jnp.pad(draw, (0, max(0, size - len(labels))))
    value, index = jax.lax.top_k(draw, size)
    chosen = value >= 1
    return jnp.where(chosen, index, 0), chosen
