"""Average precision: VOC's two, COCO's, and their spread over resampled fields."""

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
RECALLS = np.linspace(0, 1, 101)  # Where COCO reads its curve.

Metric = Literal["area", "11_points", "101_points"]
"""VOC 2010's area under the curve, VOC 2007's mean of 11, and COCO's mean of 101."""


def curve(
    matches: Matches, *, threshold: int = 0
) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d"]]:
    """Returns recall and precision down to each detection that counts.

    Args:
        matches: Of one class.
        threshold: Which of its IoU thresholds.
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

    NaN where there is no source to find, but for 11 points, which VOC's rule makes 0;
    0 where nothing was found.

    Args:
        matches: Of the class.
        metric: See `Metric`.
        threshold: Which of the IoU thresholds of the matches.
        weights: How often each field is in each resample; None for all fields once,
            and one number.
    """
    if weights is None:
        weights = np.ones((1, len(matches.positives)), np.int32)
    counted = ~matches.ignored[threshold]
    hits, fields = matches.hits[threshold][counted], matches.fields[counted]
    # Precision falls from a hit to the next: only those decide, and how many
    # detections, of which fields, came since the one before.
    places = np.flatnonzero(hits)
    step = np.searchsorted(places, np.arange(len(hits)))
    before = step < len(places)
    steps = coo_array(
        (np.ones(before.sum(), np.int32), (step[before], fields[before])),
        shape=(len(places), len(matches.positives)),
    ).tocsr()
    total = np.cumsum(steps @ weights.T, axis=0).T
    return _read(weights[:, fields[places]], total, weights @ matches.positives, metric)


def max_recall(matches: Matches) -> Float[np.ndarray, "t"]:
    """Returns the share of sources that were found at all, at each IoU threshold."""
    positives = matches.positives.sum()
    found = matches.hits.sum(axis=1)
    return found / positives if positives else np.full(len(found), np.nan)


def _read(
    hits: Int[np.ndarray, "r h"],
    total: Int[np.ndarray, "r h"],
    positives: Int[np.ndarray, "r"],
    metric: Metric,
) -> Float[np.ndarray, "r"]:
    """Returns the average precision of curves given at their hits.

    Args:
        hits: How often each counts.
        total: Detections down to each, as often as they count.
        positives: Sources to find.
        metric: See `Metric`.
    """
    found = np.cumsum(hits, axis=1)
    # Fields that a resample lacks leave 0/0 ahead of its first detection.
    precision = np.divide(found, total, out=np.zeros(found.shape), where=total > 0)
    # From the right: the best precision at this recall or a higher one.
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
