"""Boxes and classes by counting, once it is known which islands are one source.

A network sees which islands of emission belong together. What follows from that is
no matter of opinion: the box holds these islands, the class is their number and that of
their peaks (see `claran.sky.islands`). So detections are taken for groups of islands,
and box and class are computed. Where the number of peaks depends on the grid of pixels,
several classes are possible (see `claran.sky.peak_counts`).

Nor can an island be of two sources. The network judges each of its proposals alone: it
may give 0.8 to a double and 0.9 to each of its lobes. What it says of all groups is
made one distribution over all disjoint groupings, and a group has the probability of
those that it is in. Above a probability of 0.5, no two sources share an island.

Time and memory grow as n log n with islands and detections: only islands are compared
that a detection overlaps, and only groups that hang together
(scripts/benchmark_counting.py).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.detection.alternatives import sharing_islands
from claran.detection.detections import ALTERNATIVE, PROBABILITY, Detections
from claran.detection.groupings import group_probabilities
from claran.detection.held_islands import held_islands
from claran.detection.symmetries import SYMMETRIES
from claran.sky.box_arrays import union_boxes
from claran.sky.islands import class_code

__all__ = [
    "FAINT",
    "GROUP",
    "FieldIslands",
    "Groups",
    "SourceGroup",
    "count_groups",
    "network_threshold",
    "recount",
]

FAINT = 0.003
"""Score of the network's detections that enter: fainter ones add nothing to a sum."""
GROUP = "group"
"""Column of the `SourceGroup` that a detection is; not for tables."""


class FieldIslands(NamedTuple):
    """The islands of a field and the peaks of each."""

    boxes: Float[np.ndarray, "k 4"]  # Edges, pixels of the FITS array.
    peaks: Int[np.ndarray, "k grids"]  # In each of several grids of pixels.
    numbers: Int[np.ndarray, "k"] | None = None  # In the image; None for 0, 1 ...


class SourceGroup(NamedTuple):
    """A group of islands that is taken for one source."""

    islands: Int[np.ndarray, "j"]
    """Numbers of its islands, increasing."""
    classes: Float[np.ndarray, "c"]
    """Probability that it is one source and of each class."""
    second: float
    """Probability of the best other group that shares an island with it."""


class Groups(NamedTuple):
    """Groups of islands, each of which may be one source.

    In reverse order of their islands: groups without the first islands come first.
    """

    members: tuple[tuple[int, ...], ...]
    """Islands of each group, increasing."""
    boxes: Float[np.ndarray, "g 4"]
    """Around the islands of each group."""
    classes: Float[np.ndarray, "g c"]
    """Probability that a group is one source and of this class; the sum over the
    classes is that it is one source."""
    alternative: Bool[np.ndarray, "g"]
    """Whether a group shares an island with one that is more probably one source and no
    alternative itself. Those that do not are a catalog."""

    def sources(
        self,
        rows: Iterable[int],
        numbers: Int[np.ndarray, "k"] | None = None,
    ) -> list[SourceGroup]:
        """Returns some groups one by one.

        Args:
            rows: Which ones.
            numbers: Numbers of the islands in the image; None for 0, 1 ...
        """
        second = _second_best(self.members, self.classes.sum(axis=1)).tolist()
        found = []
        for row in rows:
            islands = np.array(self.members[row], np.int64)
            islands = islands if numbers is None else numbers[islands]
            found.append(SourceGroup(islands, self.classes[row], second[row]))
        return found


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
    looks: Int[np.ndarray, "n"] | None = None,
    members: Int[np.ndarray, "n m"] | None = None,
) -> Detections:
    """Returns detections with counted boxes and classes, by falling score.

    These are the groups of `count_groups`, with one detection for each class that a
    group may have. Arguments are those of `count_groups`.

    Returns:
        The detections, each with its `GROUP` and the `PROBABILITY` that it is one
        source; groups that share an island with a more probable one, and all but the
        best class of the others, are marked as alternatives.
    """
    groups = count_groups(
        boxes,
        labels,
        scores,
        islands,
        class_names,
        trust=trust,
        looks=looks,
        members=members,
    )
    if not groups.members:
        return Detections.none()
    group, index = np.nonzero(groups.classes)
    score = groups.classes[group, index]
    order = np.argsort(-score, kind="stable")
    group, index, score = group[order], index[order], score[order]
    second = groups.classes.argmax(axis=1)[group] != index
    sources = np.empty(len(groups.members), object)
    sources[:] = groups.sources(range(len(sources)), islands.numbers)
    return Detections(
        boxes=groups.boxes[group],
        labels=index + 1,
        scores=score,
        columns={
            ALTERNATIVE: groups.alternative[group] | second,
            PROBABILITY: groups.classes.sum(axis=1)[group],
            GROUP: sources[group],
        },
    )


def count_groups(
    boxes: Float[np.ndarray, "n 4"],
    labels: Int[np.ndarray, "n"],
    scores: Float[np.ndarray, "n"],
    islands: FieldIslands,
    class_names: Sequence[str],
    *,
    trust: float,
    clusters: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "k"]] | None = None,
    looks: Int[np.ndarray, "n"] | None = None,
    members: Int[np.ndarray, "n m"] | None = None,
) -> Groups:
    """Returns the groups of islands that detections are taken for.

    A detection holds the islands that are more than half inside, and as many of those
    that it touches as its class has components. Detections of the same islands are one
    group; its probability is the sum of theirs over the classes, made one with those
    of other groups by `group_probabilities`. Of this, `trust` goes to the counted
    classes that are in `class_names`, to each by its share of the grids; the rest is
    divided as the network did. A detection without an island is none.

    Args:
        boxes: Edges, pixels of the FITS array.
        labels: Class of each, from 1.
        scores: Probability of that class.
        islands: Of the field.
        class_names: Names of the classes, such as "2_3".
        trust: How often counting gives the right class if the islands are right.
        clusters: Cluster of each detection and of each island; detections hold islands
            of their own cluster. None if all are in one. Those of many clusters at once
            are the same as one after the other, and take a third of the time.
        looks: Symmetry in which the network saw each, of `SYMMETRIES`; None if it
            looked once. A group has the mean of its probabilities in all of them, 0
            where it was not seen.
        members: The islands of each detection, from 0, with -1 in empty places, if the
            network has said so; None to find what its box holds.
    """
    components = np.array([_components(name) for name in class_names], np.int64)
    if members is None:
        rows, held = held_islands(
            boxes, islands.boxes, components[labels - 1], clusters
        )
    else:
        rows, places = np.nonzero(members >= 0)
        held = members[rows, places].astype(np.int64)
    own = scores[rows] > 0
    rows, held = rows[own], held[own]
    if not len(rows):
        none = np.zeros((0, len(class_names)))
        return Groups((), np.zeros((0, 4)), none, np.zeros(0, bool))
    groups, rows, which = _group(rows, held)
    shares = _shares(
        which, labels[rows] - 1, scores[rows], None if looks is None else looks[rows],
        shape=(len(groups), len(class_names)),
    )  # fmt: skip
    totals = shares.sum(axis=1, keepdims=True)
    probabilities = group_probabilities(groups, np.minimum(totals[:, 0], 1.0))
    sizes = np.array([len(group) for group in groups])
    starts = np.cumsum(sizes) - sizes
    members = np.concatenate(groups)
    peaks = np.add.reduceat(islands.peaks[members], starts)
    counted = _counted(sizes, peaks, class_names)
    # Of more components than any class has, the network's word is all there is.
    trusts = trust * counted.sum(axis=1, keepdims=True)
    classes = (1 - trusts) * shares / totals + trust * counted
    classes *= probabilities[:, None]
    # The weakest of too many that hang together have the probability 0.
    (kept,) = np.nonzero(classes.any(axis=1))
    best = np.argsort(-classes[kept].sum(axis=1), kind="stable")
    alternative = np.empty(len(kept), bool)
    alternative[best] = sharing_islands(groups[g] for g in kept[best])
    unions = union_boxes(islands.boxes[members], starts)
    found = tuple(groups[g] for g in kept)
    return Groups(found, unions[kept], classes[kept], alternative)


def _shares(
    which: Int[np.ndarray, "d"],
    classes: Int[np.ndarray, "d"],
    scores: Float[np.ndarray, "d"],
    looks: Int[np.ndarray, "d"] | None,
    *,
    shape: tuple[int, int],
) -> Float[np.ndarray, "g c"]:
    """Returns the network's probability of each class of each group.

    Args:
        which: Group of each detection.
        classes: Its class, from 0.
        scores: Its probability.
        looks: See `count_groups`.
        shape: Number of groups and of classes.
    """
    if looks is None:
        shares = np.zeros(shape)
        np.maximum.at(shares, (which, classes), scores)
        return shares
    total = np.zeros(shape)
    for look in range(SYMMETRIES):
        own = looks == look
        total += _shares(which[own], classes[own], scores[own], None, shape=shape)
    return total / SYMMETRIES


def _second_best(
    members: Sequence[Sequence[int]], totals: Float[np.ndarray, "g"]
) -> Float[np.ndarray, "g"]:
    """Returns the probability of the best other group that shares an island.

    Args:
        members: Islands of each group.
        totals: Probability of each group.
    """
    found = np.zeros(len(members))
    if not len(members):
        return found
    rows = np.repeat(np.arange(len(members)), [len(group) for group in members])
    _, own = np.unique(np.concatenate(members), return_inverse=True)
    order = np.lexsort((-totals[rows], own))
    starts = np.flatnonzero(np.diff(own[order], prepend=-1))
    best = rows[order[starts]]
    others = np.append(totals[rows[order]], 0.0)[starts + 1]
    others[np.diff(starts, append=len(own)) == 1] = 0.0
    other = np.where(best[own] == rows, others[own], totals[best][own])
    np.maximum.at(found, rows, other)
    return found


def _counted(
    components: Int[np.ndarray, "g"],
    peaks: Int[np.ndarray, "g grids"],
    class_names: Sequence[str],
) -> Float[np.ndarray, "g c"]:
    """Returns the share of the grids in which each group has each class.

    The class follows from the numbers of its components and peaks.
    """
    number, grids = peaks.shape
    codes = map(
        class_code, np.repeat(components, grids).tolist(), peaks.ravel().tolist()
    )
    is_class = np.array(list(codes))[:, None] == np.array(class_names)
    return is_class.reshape(number, grids, -1).mean(axis=1)


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


def _components(code: str) -> int:
    """Returns the components of a class, 0 if its name does not say."""
    number = code.partition("_")[0]
    return int(number) if number.isdigit() else 0
