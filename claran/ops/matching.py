"""Which object each anchor or proposal stands for, and which stand for none."""

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
    rescue: bool = False,
    candidates: Bool[Array, "m"] | None = None,
) -> tuple[Int[Array, "m"], Int[Array, "m"]]:
    """Returns for each row its best object and whether it stands for it.

    Args:
        overlaps: IoU of every anchor or proposal with every object.
        valid: Which objects exist; the others are padding.
        positive: A row stands for its best object from this IoU on.
        negative: A row below this IoU with every object stands for background. In
            between it is left out.
        rescue: Also take, for every object, the rows that overlap it most (all of
            equal ones), however little; but not rows that miss it. (ClaRAN takes
            these as well: an object no anchor touches made every free anchor positive.)
        candidates: Which rows take part; the others are ignored. None for all.

    Returns:
        Index of the best object (0 if there is none; the first of equal ones), and
        `POSITIVE`, `NEGATIVE` or `IGNORED`; int32.
    """
    rows = jnp.ones(len(overlaps), bool) if candidates is None else candidates
    if not overlaps.shape[1]:
        label = jnp.where(rows, NEGATIVE, IGNORED)
        return jnp.zeros_like(label), label
    overlaps = jnp.where(rows[:, None] & valid[None], overlaps, -1.0)
    best = overlaps.max(axis=1)
    stands = best >= positive
    if rescue:
        most = overlaps.max(axis=0, keepdims=True, initial=-1.0)
        stands |= ((overlaps == most) & (overlaps > 0)).any(axis=1)
    label = jnp.where(stands, POSITIVE, jnp.where(best < negative, NEGATIVE, IGNORED))
    label = jnp.where(rows, label, IGNORED)
    return overlaps.argmax(axis=1).astype(jnp.int32), label.astype(jnp.int32)
