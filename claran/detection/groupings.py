"""Probabilities of groups of islands over all disjoint groupings.

An island is of one source. So of the groups that share an island at most one is real,
and what the network says of each alone is made one distribution over all groupings.

It can be read in two ways. If its judgments are independent evidence, a grouping is as
probable as the product of those of its groups: 0.5 for a double and 0.5 for each of its
lobes make 0.67 for the double, as both lobes must be sources else. If they are its
beliefs, the distribution has to give each group what the network did: 0.5 for the
double and 0.5 for both lobes. The truth lies between, and the weights here are the
geometric mean of both: halfway, the probability of what is true is near its highest on
simulated fields of each of six surveys (scripts/measure_groupings.py, EXPERIMENTS.md).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["LEAST_REST", "MOST", "group_probabilities"]

MOST = 12  # Groups that may hang together.
# Probability that an island is of no source, at the least. With 0.02, more than there
# are such islands, true sources of several islands had too low a probability.
LEAST_REST = 0.002
BELIEF = 0.5  # From 0, independent evidence, to 1, beliefs.
TINY = 1e-12  # Probability of which the logarithm is taken, at the least.
STEPS = 5  # Of fitting to beliefs, which no distribution may have.


def group_probabilities(
    groups: Sequence[tuple[int, ...]],
    probabilities: Float[np.ndarray, "g"],
    belief: float = BELIEF,
) -> Float[np.ndarray, "g"]:
    """Returns the marginal probability of each group over all disjoint groupings.

    A grouping is a set of groups of which no two share an island. As of independent
    evidence, its weight is the product of its groups' probabilities, and of `1 - sum`
    for each island left over, the sum being over all groups with that island. As of
    beliefs, it is a product of factors of its groups that are fitted, by a few steps,
    such that all keep their probabilities. A group's probability is the weight of all
    groupings with it over that of all groupings, weights being geometric means of both.
    So a group of one island that shares it with no other keeps what it had.

    Groups that hang together by common islands are weighed at once, `MOST` at the most:
    a group, taken by falling probability, with which there would be more is left out,
    and has the probability 0.

    Args:
        groups: Islands of each, one at least.
        probabilities: What the network gives each, as if there were no other; above 0.
        belief: Weight of beliefs in the geometric mean; the rest is that of evidence.
    """
    sizes = [len(group) for group in groups]
    members = np.array([island for group in groups for island in group], np.int64)
    sums = np.bincount(members, np.repeat(probabilities, sizes))
    rest = np.log(np.maximum(1 - sums, LEAST_REST))
    # By what a group multiplies the weight of a grouping. Of logarithms, as the rests
    # of a hundred islands may have a product too small for a float.
    starts = np.cumsum([0, *sizes[:-1]])
    gains = np.log(probabilities) - np.add.reduceat(rest[members], starts)
    believed = np.minimum(probabilities, 1 - LEAST_REST)
    odds = np.log(believed) - np.log1p(-believed)
    # First as if no other group had its islands: most groups are alone, where each step
    # of fitting halves the gap.
    fitted = odds + (gains - odds) / 2**STEPS
    mean = gains + belief * (fitted - gains)
    highest = np.maximum(mean, 0)
    alone = np.exp(mean - highest)
    result = alone / (np.exp(-highest) + alone)
    left = np.ones(len(groups), bool)
    for cluster in _clusters(groups, probabilities):
        left[cluster] = False
        if len(cluster) > 1:
            conflicts = _conflicts([groups[g] for g in cluster])
            result[cluster] = _marginals(
                gains[cluster], odds[cluster], conflicts, belief
            )
    result[left] = 0
    return result


def _clusters(
    groups: Sequence[tuple[int, ...]], probabilities: Float[np.ndarray, "g"]
) -> list[list[int]]:
    """Returns the groups that hang together by common islands, at most `MOST` each.

    Groups enter by falling probability into a union-find of the islands (Tarjan 1975,
    J. ACM 22, 215). So the answer is exact where no more than `MOST` hang together, and
    else the links between clusters are the least probable ones.
    """
    parents: dict[int, int] = {}
    clusters: dict[int, list[int]] = {}  # By the root of their islands.

    def find(island: int) -> int:
        root = island
        while (above := parents.setdefault(root, root)) != root:
            root = above
        while island != root:
            parents[island], island = root, parents[island]
        return root

    for g in np.argsort(-probabilities, kind="stable").tolist():
        roots = sorted({find(island) for island in groups[g]})
        joined = [clusters.get(root, []) for root in roots]
        if sum(map(len, joined)) >= MOST:
            continue
        for root in roots:
            parents[root] = roots[0]
            clusters.pop(root, None)
        clusters[roots[0]] = [*(one for rows in joined for one in rows), g]
    return list(clusters.values())


def _conflicts(groups: Sequence[tuple[int, ...]]) -> list[int]:
    """Returns for each group the others it shares an island with, as bits."""
    holders: dict[int, int] = {}
    for i, group in enumerate(groups):
        for island in group:
            holders[island] = holders.get(island, 0) | 1 << i
    found = []
    for i, group in enumerate(groups):
        mask = 0
        for island in group:
            mask |= holders[island]
        found.append(mask & ~(1 << i))
    return found


def _marginals(
    gains: Float[np.ndarray, "g"],
    odds: Float[np.ndarray, "g"],
    conflicts: Sequence[int],
    belief: float,
) -> Float[np.ndarray, "g"]:
    """Returns the probability of each group of one cluster.

    Args:
        gains: Logarithm of the weight that each adds to a grouping, as evidence.
        odds: Logarithm of the odds that the network gives it.
        conflicts: Groups that each cannot be with, as bits.
        belief: See `group_probabilities`.
    """
    sets = [0]  # All groupings, as bits.
    for i, conflict in enumerate(conflicts):
        sets += [chosen | 1 << i for chosen in sets if not chosen & conflict]
    is_in = (np.array(sets)[:, None] >> np.arange(len(gains)) & 1).astype(float)
    fitted = gains.copy()
    for _ in range(STEPS):  # Each goes half of its way, as groups answer each other.
        shares = _shares(is_in @ fitted)
        with_it, without = (np.maximum(shares @ s, TINY) for s in (is_in, 1 - is_in))
        fitted += (odds - np.log(with_it) + np.log(without)) / 2
    return _shares(is_in @ (gains + belief * (fitted - gains))) @ is_in


def _shares(logits: Float[np.ndarray, "s"]) -> Float[np.ndarray, "s"]:
    """Returns the softmax."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
