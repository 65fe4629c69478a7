"""Boxes and classes by counting, once it is known which islands are one source.

A network sees which islands of emission belong together. What follows from that is
no matter of opinion: the box holds these islands, the class is their number and that of
their peaks (see `claran.sky.islands`). So detections are taken for groups of islands,
and box and class are computed.

Nor can an island be of two sources. The network judges each of its proposals alone: it
may give 0.8 to a double and 0.9 to each of its lobes. What it says of all groups is
made one distribution over all disjoint groupings, and a group has the probability of
those that it is in. Above a score of 0.5, no two sources share an island.

Time and memory grow as n log n with islands and detections: only islands are compared
that a detection overlaps, and only groups that hang together
(scripts/benchmark_counting.py).
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from claran.detection.alternatives import INSIDE, sharing_islands
from claran.detection.detections import ALTERNATIVE, Detections
from claran.sky.box_arrays import area, intersection, union_boxes
from claran.sky.islands import class_code

__all__ = [
    "FAINT",
    "FieldIslands",
    "group_probabilities",
    "network_threshold",
    "recount",
]

FAINT = 0.01
"""Score of the network's detections that enter: fainter ones add nothing to a sum."""
MOST = 12  # Groups that may hang together.
LEAST_REST = 0.02  # Probability that an island is of no source, at the least.
TOUCHED = 0.1  # Part that it must hold of one it needs to be of its class.


class FieldIslands(NamedTuple):
    """The islands of a field and the peaks of each."""

    boxes: Float[np.ndarray, "k 4"]  # Edges, pixels of the FITS array.
    peaks: Int[np.ndarray, "k"]


def network_threshold(score_threshold: float, trust: float) -> float:
    """Returns the score to cut a network's detections at before they are counted.

    Counting adds up the classes of a source, so that it may pass a threshold that none
    of them passes. Without counting, `trust` being 0, it is the threshold itself.
    """
    return min(score_threshold, FAINT) if trust else score_threshold


def recount(
    boxes: Float[np.ndarray, "n 4"],
    labels: Int[np.ndarray, "n"],
    scores: Float[np.ndarray, "n"],
    islands: FieldIslands,
    class_names: Sequence[str],
    *,
    trust: float,
) -> Detections:
    """Returns detections with counted boxes and classes, by falling score.

    A detection holds the islands that are more than half inside, and as many of those
    that it touches as its class has components. Detections of the same islands are one
    source; its probability is the sum of theirs over the classes, made one with those
    of other sources by `group_probabilities`. Of this, `trust` goes to the counted
    class, if it is one of `class_names`; the rest is divided as the network did. A
    detection without an island is none.

    Args:
        boxes: Edges, pixels of the FITS array.
        labels: Class of each, from 1.
        scores: Probability of that class.
        islands: Of the field.
        class_names: Names of the classes, such as "2_3".
        trust: How often counting gives the right class if the islands are right.

    Returns:
        The detections; those that share an island with one of a higher score are marked
        as its alternatives.
    """
    components = np.array([_components(name) for name in class_names], np.int64)
    own = scores > 0
    boxes, labels, scores = boxes[own], labels[own], scores[own]
    rows, held = _held(boxes, islands.boxes, components[labels - 1])
    if not len(rows):
        return Detections.none()
    groups, rows, which = _group(rows, held)
    shares = np.zeros((len(groups), len(class_names)))
    np.maximum.at(shares, (which, labels[rows] - 1), scores[rows])
    totals = shares.sum(axis=1, keepdims=True)
    probabilities = group_probabilities(groups, np.minimum(totals[:, 0], 1.0))
    sizes = np.array([len(group) for group in groups])
    starts = np.cumsum(sizes) - sizes
    members = np.concatenate(groups)
    peaks = np.add.reduceat(islands.peaks[members], starts)
    codes = list(map(class_code, sizes.tolist(), peaks.tolist()))
    counted = np.array(codes)[:, None] == np.array(class_names)
    # Of more components than any class has, the network's word is all there is.
    trusts = np.where(counted.any(axis=1, keepdims=True), trust, 0.0)
    found = (1 - trusts) * shares / totals + trusts * counted
    found *= probabilities[:, None]
    group, index = np.nonzero(found)
    score = found[group, index]
    order = np.argsort(-score, kind="stable")
    unions = union_boxes(islands.boxes[members], starts)
    return Detections(
        boxes=unions[group[order]],
        labels=index[order] + 1,
        scores=score[order],
        columns={ALTERNATIVE: sharing_islands(groups[g] for g in group[order])},
    )


def group_probabilities(
    groups: Sequence[tuple[int, ...]], probabilities: Float[np.ndarray, "g"]
) -> Float[np.ndarray, "g"]:
    """Returns the marginal probability of each group over all disjoint groupings.

    A grouping is a set of groups of which no two share an island. Its weight is the
    product of its groups' probabilities, and of `1 - sum` for each island left over,
    the sum being over all groups with that island. A group's probability is the weight
    of all groupings with it over that of all groupings. So a group of one island that
    shares it with no other keeps what it had.

    Groups that hang together by common islands are weighed at once, `MOST` at the most:
    a group, taken by falling probability, with which there would be more is left out,
    and has the probability 0.

    Args:
        groups: Islands of each, one at least.
        probabilities: What the network gives each, as if there were no other; above 0.
    """
    sizes = [len(group) for group in groups]
    members = np.array([island for group in groups for island in group], np.int64)
    sums = np.bincount(members, np.repeat(probabilities, sizes))
    rest = np.log(np.maximum(1 - sums, LEAST_REST))
    # By what a group multiplies the weight of a grouping. Of logarithms, as the rests
    # of a hundred islands may have a product too small for a float.
    starts = np.cumsum([0, *sizes[:-1]])
    gains = np.log(probabilities) - np.add.reduceat(rest[members], starts)
    result = np.zeros(len(groups))
    for cluster in _clusters(groups, probabilities):
        conflicts = _conflicts([groups[g] for g in cluster])
        result[cluster] = _marginals(gains[cluster], conflicts)
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
    gains: Float[np.ndarray, "g"], conflicts: Sequence[int]
) -> Float[np.ndarray, "g"]:
    """Returns the probability of each group of one cluster.

    Args:
        gains: Logarithm of the weight that each adds to a grouping.
        conflicts: Groups that each cannot be with, as bits.
    """
    sets, weights = [0], [0.0]  # All groupings, as bits, and logarithms of weights.
    for i, (gain, conflict) in enumerate(zip(gains.tolist(), conflicts, strict=True)):
        free = [k for k, chosen in enumerate(sets) if not chosen & conflict]
        sets += [sets[k] | 1 << i for k in free]
        weights += [weights[k] + gain for k in free]
    shares = np.exp(np.array(weights) - max(weights))
    is_in = np.array(sets)[:, None] >> np.arange(len(gains)) & 1
    return shares @ is_in / shares.sum()


def _group(
    rows: Int[np.ndarray, "p"], held: Int[np.ndarray, "p"]
) -> tuple[list[tuple[int, ...]], Int[np.ndarray, "d"], Int[np.ndarray, "d"]]:
    """Returns the groups, the detections that hold any island, and the group of each.

    Args:
        rows: Detection of each pair, in order.
        held: An island that it holds; increasing within a detection.
    """
    found, starts = np.unique(rows, return_index=True)
    members = held.tolist()
    edges = [*starts.tolist(), len(members)]
    sets = [tuple(members[start:stop]) for start, stop in pairwise(edges)]
    # Of equal scores the group without the first islands comes first.
    groups = sorted(set(sets), key=lambda group: [-island for island in group])
    places = {group: i for i, group in enumerate(groups)}
    return groups, found, np.array([places[one] for one in sets], np.int64)


def _held(
    boxes: Float[np.ndarray, "n 4"],
    islands: Float[np.ndarray, "k 4"],
    components: Int[np.ndarray, "n"],
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"]]:
    """Returns all pairs of a detection and an island that it holds, in order.

    Args:
        boxes: Of the detections.
        islands: Boxes of the islands.
        components: Components that each detection has by its class.
    """
    rows, own = _touching(boxes, islands)
    part = intersection(boxes[rows], islands[own]) / area(islands)[own]
    touched = part > TOUCHED
    rows, own, part = rows[touched], own[touched], part[touched]
    order = np.lexsort((own, -part, rows))
    rows, own, part = rows[order], own[order], part[order]
    # Rank 0 is the island that is most inside.
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    held = (part > INSIDE) | (rank < components[rows])
    rows, own = rows[held], own[held]
    order = np.lexsort((own, rows))
    return rows[order], own[order]


def _touching(
    boxes: Float[np.ndarray, "n 4"], islands: Float[np.ndarray, "k 4"]
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"]]:
    """Returns pairs of a detection and an island: all that overlap, and some near ones.

    Islands whose sizes differ by up to a factor of four are searched at once. With one
    search for all, the reach of the largest would let every detection find all the
    small ones around it.
    """
    centers, halves = _centers(boxes)
    middles, extents = _centers(islands)
    classes = np.floor(np.log2(np.maximum(extents, 1.0)) / 2).astype(int)
    rows, own = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(classes):
        (members,) = np.nonzero(classes == size)
        tree = KDTree(middles[members])
        reach = halves + extents[members].max()
        near = tree.query_ball_point(centers, reach, p=np.inf, return_sorted=False)
        counts = [len(one) for one in near]
        rows.append(np.repeat(np.arange(len(boxes)), counts))
        own.append(members[np.fromiter(chain.from_iterable(near), np.int64)])
    return np.concatenate(rows), np.concatenate(own)


def _centers(
    boxes: Float[np.ndarray, "n 4"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Returns the center of each box, and half its longer side; 0 if it is inverted."""
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) / 2
    return (boxes[:, :2] + boxes[:, 2:]) / 2, halves


def _components(code: str) -> int:
    """Returns the components of a class, 0 if its name does not say."""
    number = code.partition("_")[0]
    return int(number) if number.isdigit() else 0
