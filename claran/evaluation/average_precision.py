"""Average precision by the rules of VOC and COCO, also for resampled fields."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array

from claran.evaluation.matches import Matches

__all__ = [
    "COCO_IOU",
    "Metric",
    "average_precision",
    "curve",
    "max_recall",
]

COCO_IOU = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)  # Where COCO samples the curve.

Metric = Literal["area", "11_points", "101_points"]
"""Area under the curve (VOC 2010), or mean at 11 (VOC 2007) or 101 recalls (COCO)."""


def curve(
    matches: Matches, *, threshold: int = 0
) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d"]]:
    """Returns recall and precision at each detection that is not ignored.

    Args:
        matches: Matches of one class.
        threshold: Index of the IoU threshold.
    """
    hits = matches.hits[threshold][~matches.ignored[threshold]]
    found = np.cumsum(hits)
    positives = matches.positives.sum()
    recall = found / positives if positives else np.full(len(hits), np.nan)
    return recall, found / np.arange(1, len(hits) + 1)


def average_precision(
    matches: Matches,
    *,
    metric: Metric = "area",
    threshold: int = 0,
    weights: Int[np.ndarray, "r fields"] | None = None,
) -> Float[np.ndarray, "r"]:
    """Returns the average precision of one class for each resample of the fields.

    It is 0 if nothing was found. Without sources it is NaN, except for 11 points, where
    VOC's rule gives 0.

    Args:
        matches: Matches of the class.
        metric: See `Metric`.
        threshold: Index of the IoU threshold.
        weights: How often each field occurs in each resample. None means once, and a
            single value.
    """
    if weights is None:
        weights = np.ones((1, len(matches.positives)), np.int32)
    counted = ~matches.ignored[threshold]
    hits, fields = matches.hits[threshold][counted], matches.fields[counted]
    # Between two hits precision can only fall. Only its values at the hits matter, and
    # for them the number of detections of each field since the previous hit.
    ranks = np.flatnonzero(hits)
    step = np.searchsorted(ranks, np.arange(len(hits)))
    before = step < len(ranks)
    steps = coo_array(
        (np.ones(before.sum(), np.int32), (step[before], fields[before])),
        shape=(len(ranks), len(matches.positives)),
    ).tocsr()
    total = np.cumsum(steps @ weights.T, axis=0).T
    positives = weights @ matches.positives
    return _average(weights[:, fields[ranks]], total, positives, metric)


def max_recall(matches: Matches) -> Float[np.ndarray, "t"]:
    """Returns the fraction of sources that were found, at each IoU threshold."""
    positives = matches.positives.sum()
    found = matches.hits.sum(axis=1)
    return found / positives if positives else np.full(len(found), np.nan)


def _average(
    hits: Int[np.ndarray, "r h"],
    total: Int[np.ndarray, "r h"],
    positives: Int[np.ndarray, "r"],
    metric: Metric,
) -> Float[np.ndarray, "r"]:
    """Returns the average precision of each resample, from its curve at the hits.

    Args:
        hits: How often each hit occurs.
        total: Number of detections down to each hit, that hit included.
        positives: Number of sources.
        metric: See `Metric`.
    """
    found = np.cumsum(hits, axis=1)
    # A resample may lack the fields of the first hits, which gives 0/0.
    precision = np.divide(found, total, out=np.zeros(found.shape), where=total > 0)
    # The highest precision at this recall or any higher one.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    if metric == "area":
        with np.errstate(invalid="ignore"):  # 0/0: no source, NaN.
            return (hits * envelope).sum(axis=1) / positives
    steps = RECALLS if metric == "101_points" else np.arange(0.0, 1.1, 0.1)
    result = np.zeros(len(hits))
    for i in range(len(hits)):
        if not positives[i]:
            result[i] = np.nan if metric == "101_points" else 0.0
            continue
        at = np.searchsorted(found[i] / positives[i], steps, side="left")
        result[i] = np.append(envelope[i], 0.0)[at].sum() / len(steps)
    return result
