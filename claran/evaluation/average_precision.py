"""Average precision: VOC's two, COCO's, and their spread over resampled fields."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from claran.evaluation.matching import Matches

__all__ = [
    "COCO_IOU",
    "Metric",
    "average_precision",
    "curve",
    "max_recall",
]

COCO_IOU = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)  # Where COCO reads its curve.
CHUNK = 4_000_000  # Numbers in an array of resampled curves: 32 MB.

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
        weights = np.ones((1, len(matches.positives)), np.int64)
    counted = ~matches.ignored[threshold]
    hits, fields = matches.hits[threshold][counted], matches.fields[counted]
    used = (
        int(np.flatnonzero(hits)[-1]) + 1 if hits.any() else 0
    )  # No recall after that.
    hits, fields = hits[:used], fields[:used]
    results = [
        _read(hits, chunk[:, fields], chunk @ matches.positives, metric)
        for chunk in _chunks(weights, used)
    ]
    return np.concatenate(results)


def max_recall(matches: Matches) -> Float[np.ndarray, "t"]:
    """Returns the share of sources that were found at all, at each IoU threshold."""
    positives = matches.positives.sum()
    found = matches.hits.sum(axis=1)
    return found / positives if positives else np.full(len(found), np.nan)


def _chunks(
    weights: Int[np.ndarray, "r fields"], columns: int
) -> Iterator[Int[np.ndarray, "_ fields"]]:
    rows = max(1, CHUNK // max(columns, 1))
    for start in range(0, len(weights), rows):
        yield weights[start : start + rows]


def _read(
    hits: np.ndarray,
    weights: Int[np.ndarray, "r d"],
    positives: Int[np.ndarray, "r"],
    metric: Metric,
) -> Float[np.ndarray, "r"]:
    """Returns the average precision of curves whose detections have weights."""
    found = np.cumsum(weights * hits, axis=1)
    total = np.cumsum(weights, axis=1)
    # Fields that a resample lacks leave 0/0 ahead of its first detection.
    precision = np.divide(found, total, out=np.zeros(found.shape), where=total > 0)
    # From the right: the best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    if metric == "area":
        with np.errstate(invalid="ignore"):  # 0/0: no source, NaN.
            return (weights * hits * envelope).sum(axis=1) / positives
    steps = RECALLS if metric == "101_points" else np.arange(0.0, 1.1, 0.1)
    result = np.zeros(len(weights))
    for i in range(len(weights)):
        if not positives[i]:
            result[i] = np.nan if metric == "101_points" else 0.0
            continue
        at = np.searchsorted(found[i] / positives[i], steps, side="left")
        result[i] = np.append(envelope[i], 0.0)[at].sum() / len(steps)
    return result
