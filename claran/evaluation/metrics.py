"""All metrics of a set of fields."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from claran.detection.detections import Detections
from claran.evaluation.association import associate
from claran.evaluation.average_precision import (
    COCO_IOU,
    average_precision,
    max_recall,
)
from claran.evaluation.bootstrap import Estimate, mean_over_classes, resamples
from claran.evaluation.catalogs import detected_catalog, true_catalog
from claran.evaluation.host_shares import judge_hosts
from claran.evaluation.matches import Matches, match_coco, match_voc, overlaps
from claran.evaluation.results import ClassResult, Evaluation
from claran.evaluation.scores import calibration, confusion, score_curve
from claran.evaluation.subsets import consensus_subsets, crowded_subset, extent_subsets
from claran.fields.field import Field

__all__ = [
    "CATALOG",
    "EvaluationOptions",
    "class_matches",
    "evaluate",
    "mean_average_precision",
    "settled_options",
]

CATALOG = 0.5
"""Probability above which the sources of an unknown detector are a catalog."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options of an evaluation.

    Attributes:
        score_threshold: Association and confusion are measured for the catalog of
            sources with a higher probability; None for that of the detector, 0.5 where
            it is not known.
        ignore_unlabelled: Whether detections that overlap no labelled source, not even
            an ignored one, are no false alarms; for fields in which not all sources are
            labelled.
        inclusive_boxes: Whether the upper edges of detected boxes are numbers of the
            last pixel inside, as ClaRAN's own evaluation takes those of its network;
            None for what the detector does, False where it is not known. This affects
            only `Evaluation.voc`, which reproduces that evaluation.
        min_sources: Classes with fewer sources are left out of `mean_common`.
        resample_count: Number of bootstrap resamples for the 95% intervals.
        seed: Seed of the resamples.

    Raises:
        ValueError: A value is out of range.
    """

    score_threshold: float | None = None
    ignore_unlabelled: bool = False
    inclusive_boxes: bool | None = None
    min_sources: int = 10
    resample_count: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        score = self.score_threshold
        if score is not None and not 0 <= score <= 1:
            raise ValueError(
                f"`score_threshold` must be in [0, 1], got {self.score_threshold}."
            )
        if not self.resample_count >= 1:
            raise ValueError(
                f"`resample_count` must be at least 1, got {self.resample_count}."
            )


def settled_options(
    options: EvaluationOptions | None,
    *,
    score_threshold: float | None = None,
    inclusive_boxes: bool | None = None,
) -> EvaluationOptions:
    """Returns options without None.

    Args:
        options: The given ones; None for all defaults.
        score_threshold: The detector's, where none is given; None if not known.
        inclusive_boxes: Likewise.
    """
    given = options or EvaluationOptions()
    own = CATALOG if score_threshold is None else score_threshold
    inclusive = given.inclusive_boxes
    return dataclasses.replace(
        given,
        score_threshold=own if given.score_threshold is None else given.score_threshold,
        inclusive_boxes=bool(inclusive_boxes) if inclusive is None else inclusive,
    )


def mean_average_precision(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_count: int,
) -> float:
    """Returns the mean of VOC's AP at an IoU of 0.5 over the classes with a source.

    NaN without a source. This is the score of validations during a training; it takes
    much less time than `evaluate`.

    Args:
        fields: The fields, labelled.
        detections: Detections in each field.
        class_count: Number of classes.
    """
    matches = class_matches(fields, detections, class_count)
    aps = [average_precision(one) for one in matches]
    return float(mean_over_classes(aps)[0])


def class_matches(
    fields: Sequence[Field], detections: Sequence[Detections], class_count: int
) -> list[Matches]:
    """Returns the matches of each class at an IoU of 0.5, by VOC's rule.

    Args:
        fields: The fields, labelled.
        detections: Detections in each field.
        class_count: Number of classes.
    """
    true, found = true_catalog(fields), detected_catalog(detections)
    return [
        match_voc(true, found, label, field_count=len(fields))
        for label in range(1, class_count + 1)
    ]


def evaluate(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    *,
    options: EvaluationOptions = EvaluationOptions(),
) -> Evaluation:
    """Returns all metrics.

    Args:
        fields: The fields, labelled.
        detections: Detections in each field, in the same order.
        class_names: Names of the labels 1, 2 ...
        options: See `EvaluationOptions`.

    Raises:
        ValueError: There are no fields, or the numbers of `fields` and `detections`
            differ, or a label is not that of a class.
    """
    options = settled_options(options)
    threshold = options.score_threshold or 0.0
    true, found = _catalogs(fields, detections, len(class_names))
    if options.ignore_unlabelled:
        found = found.with_columns(ignored=_untouched(true, found))
    weights = resamples(len(fields), count=options.resample_count, seed=options.seed)
    labels = range(1, len(class_names) + 1)
    count = len(fields)
    voc = [match_voc(true, found, label, field_count=count) for label in labels]
    coco = [
        match_coco(true, found, label, field_count=count, iou_thresholds=COCO_IOU)
        for label in labels
    ]
    spread = [average_precision(one, weights=weights) for one in voc]
    values = [average_precision(one) for one in voc]
    common = [
        i for i, one in enumerate(voc) if one.positives.sum() >= options.min_sources
    ]
    association = associate(fields, detections, score_threshold=threshold)
    return Evaluation(
        class_names=tuple(class_names),
        fields=count,
        options=dataclasses.asdict(options),
        classes=tuple(
            _class_result(name, voc[i], coco[i], Estimate.of(values[i][0], spread[i]))
            for i, name in enumerate(class_names)
        ),
        mean=Estimate.mean(values, spread),
        mean_common=Estimate.mean(
            [values[i] for i in common], [spread[i] for i in common]
        ),
        coco=_coco(coco, weights),
        voc=_voc_variants(
            true,
            _inclusive(found) if options.inclusive_boxes else found,
            class_names,
            count,
        ),
        subsets=(
            *consensus_subsets(fields, true, found, weights),
            *extent_subsets(fields, true, found, weights),
            crowded_subset(true, found, weights),
        ),
        association=association,
        associated={} if association is None else association.estimates(weights),
        matches=tuple(voc),
        curve=score_curve(voc),
        calibration=calibration(voc),
        confusion=confusion(
            true,
            found.catalog(threshold),
            class_count=len(class_names),
        ),
        hosts=judge_hosts(fields, detections, class_names, threshold),
    )


def _catalogs(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_count: int,
) -> tuple[Detections, Detections]:
    if not fields or len(fields) != len(detections):
        raise ValueError(
            "`fields` and `detections` must have the same length, at least 1, got "
            f"{len(fields)} and {len(detections)}."
        )
    true, found = true_catalog(fields), detected_catalog(detections)
    lost = (true.labels < 1) & ~true["ignored"] | (true.labels > class_count)
    wrong = np.concatenate([true.labels[lost], found.labels[found.labels < 1]])
    wrong = np.concatenate([wrong, found.labels[found.labels > class_count]])
    if len(wrong):
        raise ValueError(f"Labels must be from 1 to {class_count}, got {wrong[0]}.")
    return true, found


def _class_result(name: str, voc: Matches, coco: Matches, ap: Estimate) -> ClassResult:
    aps = [
        average_precision(coco, metric="101_points", threshold=t)
        for t in range(len(COCO_IOU))
    ]
    return ClassResult(
        name=name,
        sources=int(voc.positives.sum()),
        detections=len(voc.scores),
        ap=ap,
        ap_coco=float(np.mean(aps)),
        ap50=float(aps[0][0]),
        ap75=float(aps[5][0]),
        ar=float(max_recall(coco).mean()),
    )


def _coco(
    matches: Sequence[Matches], weights: Int[np.ndarray, "r fields"]
) -> dict[str, Estimate]:
    """Returns COCO's summary over the classes."""

    def ap(threshold: int, drawn: Int[np.ndarray, "r fields"] | None) -> np.ndarray:
        return mean_over_classes(
            [
                average_precision(
                    one, metric="101_points", threshold=threshold, weights=drawn
                )
                for one in matches
            ]
        )

    values = [ap(t, None) for t in range(len(COCO_IOU))]
    spread = [ap(t, weights) for t in range(len(COCO_IOU))]
    recall = mean_over_classes([max_recall(one).mean(keepdims=True) for one in matches])
    return {
        "AP": Estimate.of(float(np.mean(values)), np.mean(spread, axis=0)),
        "AP50": Estimate.of(values[0][0], spread[0]),
        "AP75": Estimate.of(values[5][0], spread[5]),
        "AR": Estimate(float(recall[0]), np.nan, np.nan),
    }


def _voc_variants(
    true: Detections, found: Detections, class_names: Sequence[str], count: int
) -> dict[str, dict[str, float]]:
    """Returns the results of ClaRAN's own evaluation.

    A class without a detection has -1 there, which enters the mean. Unlike there,
    classes without a source are not in the mean. In the variants "_rounded", scores and
    boxes are rounded as in text files.
    """
    rounded = dataclasses.replace(
        found, scores=found.scores.round(3), boxes=found.boxes.round(1)
    )
    results = {}
    for suffix, detected in (("", found), ("_rounded", rounded)):
        matches = [
            match_voc(true, detected, i, field_count=count, as_original=True)
            for i in range(1, len(class_names) + 1)
        ]
        for metric in ("area", "11_points"):
            row = {}
            for name, one in zip(class_names, matches, strict=True):
                ap = float(average_precision(one, metric=metric)[0])
                row[name] = ap if len(one.scores) else -1.0
            known = [
                row[name]
                for name, one in zip(class_names, matches, strict=True)
                if one.positives.any()
            ]
            results[metric + suffix] = row | {
                "mean": float(np.mean(known)) if known else np.nan
            }
    return results


def _inclusive(found: Detections) -> Detections:
    """Returns boxes extended by the last pixel inside; y is up."""
    return dataclasses.replace(found, boxes=found.boxes + np.array([0, -1, 1, 0]))


def _untouched(true: Detections, found: Detections) -> Bool[np.ndarray, "n"]:
    """Returns which detections overlap no source."""
    pairs = overlaps(true, found)
    untouched = np.ones(len(found), bool)
    untouched[pairs.found[pairs.iou > 0]] = False
    return untouched
