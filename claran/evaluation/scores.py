"""Completeness, reliability and calibration against score, and confusion of classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from claran.detection.detections import Detections
from claran.evaluation.matches import Matches, by_score, overlaps

__all__ = [
    "Calibration",
    "ScoreCurve",
    "calibration",
    "confusion",
    "pooled",
    "score_curve",
]


class ScoreCurve(NamedTuple):
    """Completeness and reliability of a catalog cut at each score."""

    scores: Float[np.ndarray, "t"]
    completeness: Float[np.ndarray, "t"]  # Fraction of the sources that were found.
    reliability: Float[np.ndarray, "t"]  # Fraction of the detections that are sources.


class Calibration(NamedTuple):
    """Fraction of hits in bins of score, which a calibrated score equals."""

    edges: Float[np.ndarray, "edges"]
    mean_score: Float[np.ndarray, "b"]  # NaN in an empty bin.
    hit_rate: Float[np.ndarray, "b"]  # NaN in an empty bin.
    counts: Int[np.ndarray, "b"]  # Number of detections.
    error: float  # Expected calibration error; NaN without detections.


def score_curve(
    matches: Sequence[Matches], *, points: int = 101, threshold: int = 0
) -> ScoreCurve:
    """Returns completeness and reliability of detections at or above each score.

    Args:
        matches: Matches of every class.
        points: Number of scores, from 0 to 1.
        threshold: Index of the IoU threshold.
    """
    scores, hits = pooled(matches, threshold)
    cuts = np.linspace(0, 1, points)
    order = np.argsort(scores)
    first = np.searchsorted(scores[order], cuts, side="left")
    above = len(scores) - first
    found = np.append(np.cumsum(hits[order][::-1])[::-1], 0)[first]
    positives = sum(int(one.positives.sum()) for one in matches)
    nothing = np.full(points, np.nan)
    return ScoreCurve(
        scores=cuts,
        completeness=found / positives if positives else nothing,
        reliability=np.divide(found, above, out=nothing.copy(), where=above > 0),
    )


def calibration(
    matches: Sequence[Matches], *, bins: int = 10, threshold: int = 0
) -> Calibration:
    """Returns the fraction of hits in score bins of equal width.

    The expected calibration error is the mean absolute difference between mean score
    and hit rate over the bins, weighted by their numbers of detections (Guo et al.
    2017, arXiv:1706.04599).

    Args:
        matches: Matches of every class.
        bins: Number of bins, from 0 to 1.
        threshold: Index of the IoU threshold.
    """
    scores, hits = pooled(matches, threshold)
    place = np.clip(scores * bins, 0, bins - 1).astype(int)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0/0: an empty bin, NaN.
        mean_score = np.bincount(place, scores, bins) / counts
        hit_rate = np.bincount(place, hits, bins) / counts
    gaps = np.abs(mean_score - hit_rate)[counts > 0]
    error = (gaps * counts[counts > 0]).sum() / len(scores) if len(scores) else np.nan
    return Calibration(
        np.linspace(0, 1, bins + 1), mean_score, hit_rate, counts, float(error)
    )


def confusion(
    true: Detections,
    found: Detections,
    *,
    class_count: int,
    iou_threshold: float = 0.5,
) -> Int[np.ndarray, "rows columns"]:
    """Returns how often a source of each class was detected as each class.

    By descending score, each detection is matched to the free source of any class with
    the highest IoU, if that is above the threshold. A detection that overlaps only an
    ignored source is not counted.

    Args:
        true: Sources.
        found: Detections.
        class_count: Number of classes.
        iou_threshold: IoU above which a detection can be matched.

    Returns:
        Counts. Rows are the true class, the last one for false alarms. Columns are the
        class of the detection, the last one for missed sources.
    """
    pairs = overlaps(true, found)
    near = pairs.iou > iou_threshold
    pairs = type(pairs)(*(column[near] for column in pairs))
    start = np.searchsorted(pairs.found, np.arange(len(found) + 1))
    taken = np.zeros(len(true), bool)
    table = np.zeros((class_count + 1, class_count + 1), int)
    for i in by_score(found.scores):
        sources = pairs.true[start[i] : start[i + 1]]
        free = ~taken[sources] & ~true["ignored"][sources]
        label = found.labels[i] - 1
        if free.any():
            iou = pairs.iou[start[i] : start[i + 1]]
            chosen = sources[np.where(free, iou, -1).argmax()]
            taken[chosen] = True
            table[true.labels[chosen] - 1, label] += 1
        elif not (found["ignored"][i] or true["ignored"][sources].any()):
            table[-1, label] += 1
    missed = true.labels[~taken & ~true["ignored"]] - 1
    table[:, -1] += np.bincount(missed, minlength=class_count + 1)
    return table


def pooled(
    matches: Sequence[Matches], threshold: int = 0
) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d"]]:
    """Returns scores and hits of the detections of all classes, without ignored ones.

    Args:
        matches: Matches of every class.
        threshold: Index of the IoU threshold.
    """
    kept = [~one.ignored[threshold] for one in matches]
    scores = [one.scores[rows] for one, rows in zip(matches, kept, strict=True)]
    hits = [one.hits[threshold][rows] for one, rows in zip(matches, kept, strict=True)]
    return np.concatenate([[], *scores]), np.concatenate([[], *hits])
