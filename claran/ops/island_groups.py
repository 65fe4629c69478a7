"""Groups of islands of emission that may be one source, and where their islands lie.

The islands of a field are known before a network sees it. So its second stage need not
judge boxes, in which it cannot be said which of the islands are meant: it judges sets
of islands. All arrays have a fixed number of slots; an island without width is none.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

__all__ = [
    "Groups",
    "bin_shares",
    "candidate_groups",
    "group_boxes",
    "group_gaps",
    "real_islands",
]

HELD = 0.5  # Part of an island from which a box holds it, as in counting.
PAIRS = 8  # Nearest pairs for each slot, from which groups are made.
THIRDS = 2  # Islands that may be one source with a pair, those nearest to its middle.


class Groups(NamedTuple):
    """Groups of the islands of one image, in `n` slots; some may be empty."""

    members: Bool[Array, "n k"]  # Which islands each has.
    valid: Bool[Array, "n"]


def real_islands(islands: Float[Array, "*b k 4"]) -> Bool[Array, "*b k"]:
    """Returns which slots have an island."""
    return islands[..., 2] > islands[..., 0]


def candidate_groups(
    islands: Float[Array, "k 4"],
    rois: Float[Array, "p 4"],
    proposed: Bool[Array, "p"],
    *,
    count: int,
    reach: float,
    known: Bool[Array, "s k"] | None = None,
) -> Groups:
    """Returns different groups that may be one source, the most likely kinds first.

    These are single islands; known groups; the islands that each proposal holds, more
    than half of each; and the nearest pairs with a gap of up to `reach`, alone, with
    one of the islands nearest to their middle, as a core between lobes, and with all
    that the box around the pair holds.

    Args:
        islands: Boxes of the islands, pixels of the network's input.
        rois: Proposals by falling score, in the same frame.
        proposed: Which of them exist.
        count: Number of slots; groups beyond are left out.
        reach: Largest gap of a pair along each axis, pixels.
        known: Further groups, those of labeled sources; rows may be empty.
    """
    slots = len(islands)
    exists = real_islands(islands)
    parts = [jnp.eye(slots, dtype=bool) & exists[:, None]]
    if known is not None:
        parts.append(known)
    parts += [_held(rois, islands) & proposed[:, None], _near_groups(islands, reach)]
    every = jnp.concatenate(parts)
    new = _first_of_its_kind(every) & every.any(axis=1)
    order = jnp.argsort(~new, stable=True)[:count]
    missing = count - len(order)
    valid = jnp.pad(new[order], (0, missing))
    return Groups(jnp.pad(every[order], ((0, missing), (0, 0))) & valid[:, None], valid)


def group_boxes(
    members: Bool[Array, "n k"], islands: Float[Array, "k 4"]
) -> Float[Array, "n 4"]:
    """Returns the box around the islands of each group; of an empty one, zeros."""
    own = members[..., None]
    low = jnp.where(own, islands[None, :, :2], jnp.inf).min(axis=1)
    high = jnp.where(own, islands[None, :, 2:], -jnp.inf).max(axis=1)
    boxes = jnp.concatenate([low, high], axis=1)
    return jnp.where(members.any(axis=1)[:, None], boxes, 0.0)


def group_gaps(
    boxes: Float[Array, "n 4"], islands: Float[Array, "k 4"]
) -> Float[Array, "n k"]:
    """Returns the gap between each box and each island, the larger of both axes.

    >>> one, other = jnp.array([[0.0, 0, 2, 2]]), jnp.array([[5.0, 1, 6, 9]])
    >>> group_gaps(one, other).tolist()
    [[3.0]]
    """
    low = jnp.maximum(boxes[:, None, :2], islands[None, :, :2])
    high = jnp.minimum(boxes[:, None, 2:], islands[None, :, 2:])
    return jnp.maximum(low - high, 0.0).max(axis=-1)


def bin_shares(
    regions: Float[Array, "n 4"], islands: Float[Array, "k 4"], *, size: int
) -> tuple[Float[Array, "n k {size}"], Float[Array, "n k {size}"]]:
    """Returns what part of the rows and columns of a region each island's box covers.

    The product of both is the part of a bin of the region.

    Args:
        regions: Boxes with an area.
        islands: Boxes of the islands.
        size: Bins along each side of a region.
    """
    steps = np.arange(size + 1, dtype=np.float32) / size
    rows, columns = (
        _line_shares(regions[:, [axis, axis + 2]], islands[:, [axis, axis + 2]], steps)
        for axis in (1, 0)
    )
    return rows, columns


def _line_shares(
    regions: Float[Array, "n 2"], islands: Float[Array, "k 2"], steps: np.ndarray
) -> Float[Array, "n k size"]:
    length = regions[:, 1] - regions[:, 0]
    edges = regions[:, :1] + length[:, None] * steps[None]
    low = jnp.maximum(edges[:, None, :-1], islands[None, :, :1])
    high = jnp.minimum(edges[:, None, 1:], islands[None, :, 1:])
    width = length[:, None, None] / (len(steps) - 1)
    return jnp.maximum(high - low, 0.0) / width


def _held(
    boxes: Float[Array, "n 4"], islands: Float[Array, "k 4"]
) -> Bool[Array, "n k"]:
    """Returns which islands lie more than half in each box."""
    low = jnp.maximum(boxes[:, None, :2], islands[None, :, :2])
    high = jnp.minimum(boxes[:, None, 2:], islands[None, :, 2:])
    inside = jnp.maximum(high - low, 0.0).prod(axis=-1)
    area = (islands[:, 2:] - islands[:, :2]).prod(axis=-1)
    return inside > HELD * area[None]


def _near_groups(islands: Float[Array, "k 4"], reach: float) -> Bool[Array, "g k"]:
    """Returns groups that near pairs of islands are part of, the likely ones first.

    They are ordered by a length. That of a pair is its gap. A third island near its
    middle, as a core between lobes, makes a source likelier, and the more so the nearer
    it is: the length is half the gap plus the distance of the island from the middle of
    the box around the pair. All islands in that box, if there are more, are seldom one
    source: twice the gap. So more of the sources are judged than if the groups came
    pair by pair (EXPERIMENTS.md, "judged").
    """
    slots = len(islands)
    exists = real_islands(islands)
    numbers = jnp.arange(slots)[None]
    first, second = np.triu_indices(slots, 1)
    gaps = group_gaps(islands, islands)[first, second]
    known = exists[first] & exists[second] & (gaps <= reach)
    count = min(PAIRS * slots, len(first))
    smallest, chosen = jax.lax.top_k(-jnp.where(known, gaps, jnp.inf), count)
    gaps, ends = -smallest, (jnp.array(first)[chosen], jnp.array(second)[chosen])
    pairs = (numbers == ends[0][:, None]) | (numbers == ends[1][:, None])
    boxes = group_boxes(pairs, islands)
    groups, lengths = [pairs, pairs | _held(boxes, islands)], [gaps, 2 * gaps]
    middles, centers = ((b[:, :2] + b[:, 2:]) / 2 for b in (boxes, islands))
    distances = jnp.linalg.norm(middles[:, None] - centers[None], axis=-1)
    distances = jnp.where(exists[None] & ~pairs, distances, jnp.inf)
    nearest, thirds = jax.lax.top_k(-distances, min(THIRDS, slots))
    for distance, third in zip(-nearest.T, thirds.T, strict=True):
        groups.append(pairs | (numbers == third[:, None]))
        lengths.append(gaps / 2 + distance)
    every, length = jnp.concatenate(groups), jnp.concatenate(lengths)
    every &= jnp.isfinite(length)[:, None]
    return every[jnp.argsort(length, stable=True)]


def _first_of_its_kind(members: Bool[Array, "n k"]) -> Bool[Array, "n"]:
    """Returns which rows have no equal one before them.

    Rows are compared by two sums of 32 random bits for each island: of 1,000 groups two
    are taken for one once in 10^13 images.
    """
    rng = np.random.default_rng(0)
    bits = rng.integers(2**32, size=(2, members.shape[1]), dtype=np.uint32)
    one, other = (jnp.where(members, row[None], 0).sum(axis=1) for row in bits)
    index = jnp.arange(len(members))
    one, other, index = jax.lax.sort((one, other, index), num_keys=3)
    same = (one[1:] == one[:-1]) & (other[1:] == other[:-1])
    new = jnp.concatenate([jnp.ones(1, bool), ~same])
    return jnp.zeros(len(members), bool).at[index].set(new)
