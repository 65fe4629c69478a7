"""Association: whether the right islands of emission were grouped into one source.

The box of a labeled source contains the islands that belong to it, and so does the box
of a detection. This is a sharper test than the IoU, which may be high although an
island of a neighbor is included.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from claran.detection.detections import Detections
from claran.evaluation.bootstrap import Estimate
from claran.fields.field import Field
from claran.fields.outlines import owners
from claran.sky.box_arrays import pairwise_iou

__all__ = ["MIN_COMPONENTS", "Association", "associate"]

MIN_COMPONENTS = {"all": 1, "two or more components": 2}

MIN_IOU = 0.5


class Association(NamedTuple):
    """The result for each source that is not ignored and has its own islands."""

    fields: Int[np.ndarray, "n"]
    sources: Int[np.ndarray, "n"]  # Index within the field.
    components: Int[np.ndarray, "n"]  # Number of islands.
    right: Bool[np.ndarray, "n"]

    def share(
        self, *, least: int = 1, weights: Int[np.ndarray, "r fields"] | None = None
    ) -> Float[np.ndarray, "r"]:
        """Returns the fraction of sources that are right; NaN without sources.

        Args:
            least: Smallest number of components of the sources to include.
            weights: How often each field occurs in each resample. None means once, and
                a single value.
        """
        chosen = self.components >= least
        fields, right = self.fields[chosen], self.right[chosen]
        if weights is None:
            weights = np.ones((1, int(fields.max(initial=0)) + 1), np.int64)
        times = weights[:, fields]
        with np.errstate(invalid="ignore"):  # 0/0: no source, NaN.
            return (times * right).sum(axis=1) / times.sum(axis=1)

    def estimates(self, weights: Int[np.ndarray, "r fields"]) -> dict[str, Estimate]:
        """Returns the fractions with their intervals, by the keys of `MIN_COMPONENTS`.

        Args:
            weights: How often each field occurs in each resample.
        """
        return {
            name: Estimate.of(
                self.share(least=least)[0], self.share(least=least, weights=weights)
            )
            for name, least in MIN_COMPONENTS.items()
        }


def associate(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    *,
    score_threshold: float,
) -> Association | None:
    """Returns which sources have a detection with exactly their own islands.

    An island belongs to the smallest box that contains it. A source is right if the
    detection with the highest IoU, of any class, has an IoU above 0.5 and the same
    islands. Only the catalog is used (`Detections.catalog`). If two of its rows have an
    IoU above 0.5, the less probable one is dropped.

    Args:
        fields: The fields, labelled.
        detections: In each of these fields.
        score_threshold: Probability above which sources are in the catalog.

    Returns:
        The result for each source; None if no field has a radio image.
    """
    rows: list[tuple[int, int, int, bool]] = []
    known = False
    for number, (field, found) in enumerate(zip(fields, detections, strict=True)):
        if not field.has_radio:
            continue
        known = True
        islands, objects = field.islands.boxes.astype(np.float64), field.objects
        if not len(islands) or not len(objects):
            continue
        boxes = _distinct(found.catalog(score_threshold))
        wanted = owners(islands, objects.boxes)
        given = owners(islands, boxes)
        best = _best(objects.boxes, boxes)
        for i in np.flatnonzero(~objects.ignored):
            own = wanted == i
            if own.any():
                right = best[i] >= 0 and bool(((given == best[i]) == own).all())
                rows.append((number, int(i), int(own.sum()), right))
    if not known:
        return None
    table = np.array(rows, int).reshape(-1, 4)
    return Association(table[:, 0], table[:, 1], table[:, 2], table[:, 3] == 1)


def _distinct(found: Detections) -> Float[np.ndarray, "k 4"]:
    """Returns the boxes by falling probability, one for each place."""
    boxes = found.boxes[np.argsort(-found.probability, kind="stable")]
    kept: list[int] = []
    iou = pairwise_iou(boxes, boxes)
    for i in range(len(boxes)):
        if not (iou[i, kept] > MIN_IOU).any():
            kept.append(i)
    return boxes[kept]


def _best(
    true: Float[np.ndarray, "n 4"], boxes: Float[np.ndarray, "k 4"]
) -> Int[np.ndarray, "n"]:
    """Returns the index of the best box for each source; -1 without IoU above 0.5."""
    if not len(boxes):
        return np.full(len(true), -1)
    iou = pairwise_iou(true, boxes)
    return np.where(iou.max(axis=1) > MIN_IOU, iou.argmax(axis=1), -1)
