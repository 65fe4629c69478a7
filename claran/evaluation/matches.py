"""Matching of detections to sources, by VOC's rule and by COCO's.

Everingham et al. 2010, IJCV 88, 303; Lin et al. 2014, arXiv:1405.0312.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.detection.detections import Detections
from claran.sky.box_arrays import area, intersection, iou

__all__ = [
    "Matches",
    "Pairs",
    "by_score",
    "match_coco",
    "match_voc",
    "overlaps",
]

MAX_DETECTIONS = 100  # Of COCO, for each field and class.


class Pairs(NamedTuple):
    """All pairs of a detection and a source of its field."""

    found: Int[np.ndarray, "p"]  # Row of the detection.
    true: Int[np.ndarray, "p"]  # Row of the source.
    iou: Float[np.ndarray, "p"]


class Matches(NamedTuple):
    """Detections of one class by falling score, at each of `t` IoU thresholds.

    An ignored detection counts neither as a hit nor as a false alarm.
    """

    scores: Float[np.ndarray, "d"]
    fields: Int[np.ndarray, "d"]
    hits: Bool[np.ndarray, "t d"]
    ignored: Bool[np.ndarray, "t d"]
    positives: Int[np.ndarray, "fields"]  # Sources to find in each field.


def overlaps(true: Detections, found: Detections) -> Pairs:
    """Returns the pairs of a detection and a source in the same field, by detection.

    Boxes are edges. If VOC's inclusive pixels are converted to edges, this IoU is the
    one that VOC computes with its "+1".

    Args:
        true: Sources, by field; see `claran.evaluation.catalogs.true_catalog`.
        found: Detections.
    """
    first = np.searchsorted(true["field"], found["field"], side="left")
    count = np.searchsorted(true["field"], found["field"], side="right") - first
    rows = np.repeat(np.arange(len(found)), count)
    start = np.repeat(np.cumsum(count) - count, count)
    others = np.arange(len(rows)) - start + np.repeat(first, count)
    return Pairs(rows, others, iou(found.boxes[rows], true.boxes[others]))


def by_score(
    scores: Float[np.ndarray, "d"], *, as_original: bool = False
) -> Int[np.ndarray, "d"]:
    """Returns the order of falling scores; equal scores keep their order.

    Args:
        scores: Scores.
        as_original: Whether equal scores have the order of `np.argsort` without vector
            instructions, as in ClaRAN's results. There are many, as its text files have
            three decimals.
    """
    if as_original:
        # For float64, NumPy uses vector instructions where there are any, and equal
        # values have another order. For this type it never does.
        return np.argsort(-scores.astype(np.longdouble))
    return np.argsort(-scores, kind="stable")


def match_voc(
    true: Detections,
    found: Detections,
    label: int,
    *,
    field_count: int,
    iou_threshold: float = 0.5,
    as_original: bool = False,
) -> Matches:
    """Returns the matches of one class by VOC's rule.

    A detection is compared with the source that it overlaps most, and no other. It is a
    hit if the IoU is above the threshold and no better detection has hit the source.

    Args:
        true: Sources.
        found: Detections.
        label: The class.
        field_count: Number of fields.
        iou_threshold: The threshold.
        as_original: See `by_score`.
    """
    found = found[found.labels == label]
    true = _of_class(true, label)
    order = by_score(found.scores, as_original=as_original)
    pairs = overlaps(true, found)
    best = _best(pairs, len(found))
    tried = np.where(best >= 0, pairs.iou[best] if len(pairs.iou) else 0, 0)
    over = tried > iou_threshold
    source = np.where(over, pairs.true[best] if len(pairs.true) else -1, -1)[order]
    ignored = (source >= 0) & _at(true["ignored"], source)
    claims = np.flatnonzero((source >= 0) & ~ignored)
    _, first = np.unique(source[claims], return_index=True)
    hits = np.zeros(len(found), bool)
    hits[claims[first]] = True
    ignored |= found["ignored"][order] & ~hits
    return Matches(
        scores=found.scores[order],
        fields=found["field"][order],
        hits=hits[None],
        ignored=ignored[None],
        positives=np.bincount(true["field"][~true["ignored"]], minlength=field_count),
    )


def match_coco(
    true: Detections,
    found: Detections,
    label: int,
    *,
    field_count: int,
    iou_thresholds: Float[np.ndarray, "t"],
) -> Matches:
    """Returns the matches of one class by COCO's rule.

    By falling score, a detection is assigned to the source that it overlaps most among
    those without a detection, if the IoU reaches the threshold. Ignored sources are
    COCO's crowds: any number of detections may lie on one, and the overlap is then the
    fraction of the detection's area inside.

    Args:
        true: Sources.
        found: Detections; the best 100 in a field are used.
        label: The class.
        field_count: Number of fields.
        iou_thresholds: The thresholds.
    """
    found = found[found.labels == label]
    true = _of_class(true, label)
    found = found[_rank(found) < MAX_DETECTIONS]
    pairs = overlaps(true, found)
    inside = _covered(found.boxes[pairs.found], true.boxes[pairs.true])
    overlap = np.where(_at(true["ignored"], pairs.true), inside, pairs.iou)
    thresholds = np.minimum(iou_thresholds, 1 - 1e-10)
    hits = np.zeros((len(thresholds), len(found)), bool)
    ignored = np.zeros_like(hits)
    taken = np.zeros((len(thresholds), len(true)), bool)
    start = np.searchsorted(pairs.found, np.arange(len(found) + 1))
    order = by_score(found.scores)
    for i in order[(start[1:] > start[:-1])[order]]:
        own = slice(start[i], start[i + 1])
        sources, reached = pairs.true[own], overlap[own] >= thresholds[:, None]
        crowd = true["ignored"][sources]
        free = reached & ~crowd & ~taken[:, sources]
        # Of equal overlaps COCO takes the last.
        last = len(sources) - 1
        choice = last - np.where(free, overlap[own], -1)[:, ::-1].argmax(axis=1)
        hits[:, i] = free.any(axis=1)
        ignored[:, i] = ~hits[:, i] & (reached & crowd).any(axis=1)
        at = np.flatnonzero(hits[:, i])
        taken[at, sources[choice[at]]] = True
    ignored |= found["ignored"] & ~hits
    return Matches(
        scores=found.scores[order],
        fields=found["field"][order],
        hits=hits[:, order],
        ignored=ignored[:, order],
        positives=np.bincount(true["field"][~true["ignored"]], minlength=field_count),
    )


def _covered(
    a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, "n"]:
    """Returns the fraction of the area of `a` inside `b`; 0 without any area."""
    common, whole = intersection(a, b), area(a)
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def _of_class(true: Detections, label: int) -> Detections:
    """Returns the sources of a class, and ignored sources of unknown class."""
    return true[(true.labels == label) | (true["ignored"] & (true.labels == 0))]


def _best(pairs: Pairs, count: int) -> Int[np.ndarray, "count"]:
    """Returns each detection's pair of largest IoU, or -1; the first if equal."""
    # The sort is stable: of equal IoU, the pair that comes first.
    order = np.lexsort((-pairs.iou, pairs.found))
    owner, first = np.unique(pairs.found[order], return_index=True)
    best = np.full(count, -1)
    best[owner] = order[first]
    return best


def _rank(found: Detections) -> Int[np.ndarray, "n"]:
    """Returns the rank of each detection in its field, from 0."""
    order = np.lexsort((-found.scores, found["field"]))
    rank = np.empty(len(found), int)
    rank[order] = np.arange(len(found)) - np.searchsorted(
        found["field"], found["field"]
    )
    return rank


def _at(values: np.ndarray, rows: Int[np.ndarray, "n"]) -> np.ndarray:
    """Returns `values[rows]`; zeros if there are no values."""
    return values[rows] if len(values) else np.zeros(len(rows), values.dtype)
