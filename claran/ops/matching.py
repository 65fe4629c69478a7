"""Assignment of anchors and proposals to labeled objects by IoU."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ["IGNORED", "NEGATIVE", "POSITIVE", "match"]

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def match(
    overlaps: Float[Array, "m n"],
    valid: Bool[Array, "n"],
    *,
    positive: float,
    negative: float,
    allow_low_quality: bool = False,
    candidates: Bool[Array, "m"] | None = None,
) -> tuple[Int[Array, "m"], Int[Array, "m"]]:
    """Returns the best object of each row, and whether the row is assigned to it.

    Args:
        overlaps: IoU of every anchor or proposal (row) with every object (column).
        valid: Which objects exist. The others are padding.
        positive: A row with at least this IoU is assigned to its best object.
        negative: A row below this IoU with every object is background. Rows in between
            are ignored.
        allow_low_quality: Also assign, for every object, the rows with the highest IoU
            (all of them if several are equal), however low it is. Rows that do not
            overlap the object are excluded. (ClaRAN includes them: an object that no
            anchor overlaps makes every anchor without overlap positive.)
        candidates: Which rows take part; the others are ignored. None means all.

    Returns:
        Index of the best object (0 without objects, the first of equal ones), and
        `POSITIVE`, `NEGATIVE` or `IGNORED`; both int32.
    """
    rows = jnp.ones(len(overlaps), bool) if candidates is None else candidates
    if not overlaps.shape[1]:
        label = jnp.where(rows, NEGATIVE, IGNORED)
        return jnp.zeros_like(label), label
    overlaps = jnp.where(rows[:, None] & valid[None], overlaps, -1.0)
    best = overlaps.max(axis=1)
    assigned = best >= positive
    if allow_low_quality:
        highest = overlaps.max(axis=0, keepdims=True, initial=-1.0)
        assigned |= ((overlaps == highest) & (overlaps > 0)).any(axis=1)
    label = jnp.where(assigned, POSITIVE, jnp.where(best < negative, NEGATIVE, IGNORED))
    label = jnp.where(rows, label, IGNORED)
    return overlaps.argmax(axis=1).astype(jnp.int32), label.astype(jnp.int32)
