"""Boxes and classes by counting, once it is known which islands are one source.

A network sees which islands of emission belong together. What follows from that is
no matter of opinion: the box holds these islands, the class is their number and that of
their peaks (see `claran.sky.islands`). So detections are taken for groups of islands,
and box and class are computed.

Nor can an island be of two sources. The network judges each of its proposals alone: it
may give 0.8 to a double and 0.9 to each of its lobes. What it says of all groups is
made one distribution over the ways to part the islands, and a group has the probability
of those that it is in. Above a score of 0.5, no two sources share an island.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.fields.field import Element, beam_pixels, signal_to_noise
from claran.fields.outlines import smallest_island
from claran.sky.islands import class_code, find_islands, find_peaks

__all__ = [
    "FAINT",
    "FieldIslands",
    "count_peaks",
    "first_threshold",
    "part",
    "recount",
]

FAINT = 0.01
"""Score of the network's detections that enter: fainter ones add nothing to a sum."""
MOST = 12  # Groups that may hang together; of more, the least probable are dropped.
LEAST_REST = 0.02  # Probability that an island is of no source, at the least.
INSIDE = 0.5  # Part of an island's box from which a detection holds it.
TOUCHED = 0.1  # Part that it must hold of one it needs to be of its class.


class FieldIslands(NamedTuple):
    """The islands of a field and the peaks of each."""

    boxes: Float[np.ndarray, "k 4"]  # Edges, pixels of the FITS array.
    peaks: Int[np.ndarray, "k"]


def first_threshold(score_threshold: float, trust: float) -> float:
    """Returns the score to cut a network's detections at before they are counted.

    Counting adds up the classes of a source, so that it may pass a threshold that none
    of them passes. Without counting, `trust` being 0, it is the threshold itself.
    """
    return min(score_threshold, FAINT) if trust else score_threshold


def count_peaks(field: Element) -> FieldIslands:
    """Returns the islands of a field with their numbers of peaks.

    Args:
        field: Its noise must be above 0.
    """
    ratio = signal_to_noise(field)
    smallest = smallest_island(beam_pixels(field))
    islands = find_islands(ratio, 1.0, min_pixels=smallest)
    peaks = [len(find_peaks(ratio, islands, i, 1.0)) for i in range(len(islands))]
    return FieldIslands(islands.boxes.astype(np.float64), np.array(peaks, np.int64))


def recount(
    boxes: Float[np.ndarray, "n 4"],
    labels: Int[np.ndarray, "n"],
    scores: Float[np.ndarray, "n"],
    islands: FieldIslands,
    class_names: Sequence[str],
    *,
    trust: float,
) -> tuple[Float[np.ndarray, "m 4"], Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Returns detections with counted boxes and classes, by falling score.

    A detection holds the islands that are more than half inside, and as many of those
    that it touches as its class has components. Detections of the same islands are one
    source; its probability is the sum of theirs over the classes, made one with those
    of other sources by `part`. Of this, `trust` goes to the counted class, if it is one
    of `class_names`; the rest is divided as the network did. A detection without an
    island is none.

    Args:
        boxes: Edges, pixels of the FITS array.
        labels: Class of each, from 1.
        scores: Probability of that class.
        islands: Of the field.
        class_names: Names of the classes, such as "2_3".
        trust: How often counting gives the right class if the islands are right.
    """
    components = np.array([_components(name) for name in class_names], np.int64)
    inside = _inside(boxes, islands.boxes, components[labels - 1])
    rows = np.flatnonzero(inside.any(axis=1) & (scores > 0))
    groups, which = np.unique(inside[rows], axis=0, return_inverse=True)
    shares = np.zeros((len(groups), len(class_names)))
    np.maximum.at(shares, (which, labels[rows] - 1), scores[rows])
    totals = shares.sum(axis=1)
    probabilities = part(groups, np.minimum(totals, 1.0))
    found_boxes, found_labels, found_scores = [], [], []
    for own, share, total, probability in zip(
        groups, shares, totals, probabilities, strict=True
    ):
        edges = islands.boxes[own]
        code = class_code(int(own.sum()), int(islands.peaks[own].sum()))
        counted = np.array([name == code for name in class_names])
        # Of more components than any class has, the network's word is all there is.
        own_trust = trust if counted.any() else 0.0
        score = probability * ((1 - own_trust) * share / total + own_trust * counted)
        present = np.flatnonzero(score)
        found_labels.append(present + 1)
        found_scores.append(score[present])
        box = np.concatenate([edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)])
        found_boxes.append(np.repeat(box[None], len(present), axis=0))
    if not found_boxes:
        return np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0)
    score = np.concatenate(found_scores)
    order = np.argsort(-score, kind="stable")
    return (
        np.concatenate(found_boxes)[order],
        np.concatenate(found_labels)[order],
        score[order],
    )


def part(
    groups: Bool[np.ndarray, "g k"], probabilities: Float[np.ndarray, "g"]
) -> Float[np.ndarray, "g"]:
    """Returns the probabilities of groups of islands of which no two may share one.

    A way to part the islands is a set of groups without a common island. Its weight is
    the product of its groups' probabilities, and of `1 - sum` for each island left
    over, the sum being over all groups with that island. A group's probability is the
    weight of all ways with it over that of all ways. So a group of one island that
    shares it with no other keeps what it had.

    Args:
        groups: Islands of each.
        probabilities: What the network gives each, as if there were no other.
    """
    result = np.zeros(len(groups))
    rest = np.maximum(1 - probabilities @ groups, LEAST_REST)
    masks = [sum(1 << int(i) for i in np.flatnonzero(own)) for own in groups]
    for cluster in _clusters(masks, probabilities):
        islands = np.flatnonzero(groups[cluster].any(axis=0))
        free = {1 << int(i): float(rest[i]) for i in islands}
        weights = _weigh([(masks[g], float(probabilities[g])) for g in cluster], free)
        total = sum(weight for _, weight in weights)
        for chosen, weight in weights:
            for i in chosen:
                result[cluster[i]] += weight / total
    return result


def _weigh(
    groups: Sequence[tuple[int, float]], free: Mapping[int, float]
) -> list[tuple[tuple[int, ...], float]]:
    """Returns all sets of groups without a common island, and the weight of each."""
    ways: list[tuple[tuple[int, ...], int, float]] = [((), 0, 1.0)]
    for i, (mask, probability) in enumerate(groups):
        ways += [
            ((*chosen, i), used | mask, weight * probability)
            for chosen, used, weight in ways
            if not used & mask
        ]
    return [
        (chosen, weight * math.prod(w for bit, w in free.items() if not used & bit))
        for chosen, used, weight in ways
    ]


def _clusters(
    masks: Sequence[int], probabilities: Float[np.ndarray, "g"]
) -> list[list[int]]:
    """Returns the groups that hang together by common islands, at most `MOST` each."""
    open_, done = [list(range(len(masks)))], []
    while open_:
        for cluster in _connected(open_.pop(), masks):
            if len(cluster) <= MOST:
                done.append(cluster)
            else:
                weakest = min(cluster, key=lambda g: probabilities[g])
                open_.append([g for g in cluster if g != weakest])
    return done


def _connected(groups: Sequence[int], masks: Sequence[int]) -> list[list[int]]:
    clusters: list[tuple[int, list[int]]] = []
    for g in groups:
        mask, members, apart = masks[g], [g], []
        for other, rows in clusters:
            if other & masks[g]:
                mask, members = mask | other, rows + members
            else:
                apart.append((other, rows))
        clusters = [*apart, (mask, members)]
    return [members for _, members in clusters]


def _inside(
    boxes: Float[np.ndarray, "n 4"],
    islands: Float[np.ndarray, "k 4"],
    components: Int[np.ndarray, "n"],
) -> Bool[np.ndarray, "n k"]:
    """Returns which islands each detection holds.

    Args:
        boxes: Of the detections.
        islands: Boxes of the islands.
        components: Components that each detection has by its class.
    """
    low = np.maximum(boxes[:, None, :2], islands[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], islands[None, :, 2:])
    area = (islands[:, 2:] - islands[:, :2]).prod(axis=1)
    part = (high - low).clip(min=0).prod(axis=2) / area[None]
    # Rank 0 is the island that is most inside.
    rank = np.argsort(np.argsort(-part, axis=1, kind="stable"), axis=1)
    needed = (rank < components[:, None]) & (part > TOUCHED)
    return (part > INSIDE) | needed


def _components(code: str) -> int:
    """Returns the components of a class, 0 if its name does not say."""
    number = code.partition("_")[0]
    return int(number) if number.isdigit() else 0
