"""Mean AP for subsets of the sources: by consensus, by size, and in crowded fields."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from claran.detection.detections import Detections
from claran.evaluation.average_precision import average_precision
from claran.evaluation.bootstrap import Estimate
from claran.evaluation.matches import match_voc
from claran.evaluation.results import Subset
from claran.fields.field import Field

__all__ = ["consensus_subsets", "crowded_subset", "extent_subsets"]

CONSENSUS = (0.6, 0.7, 0.8, 0.9, 1.0)
EXTENTS = (0.0, 15.0, 30.0, 60.0, np.inf)  # Arcsec; RGZ's quartiles are 13, 21 and 36.

Weights = Int[np.ndarray, "r fields"]


def consensus_subsets(
    fields: Sequence[Field], true: Detections, found: Detections, weights: Weights
) -> list[Subset]:
    """Returns results for sources at or above each consensus level of the volunteers.

    A level with the same sources as the previous one is left out.

    Args:
        fields: The fields; without a consensus there is no result.
        true: Their sources.
        found: Their detections.
        weights: How often each field is in each resample.
    """
    nothing = [np.full(len(field.objects), np.nan) for field in fields]
    levels = np.concatenate(
        [
            empty if field.objects.consensus is None else field.objects.consensus
            for field, empty in zip(fields, nothing, strict=True)
        ]
    )
    results = []
    previous = np.isfinite(levels)
    for level in CONSENSUS if previous.any() else ():
        # Consensus is float32 in files, where 0.6 is not exactly the 0.6 here.
        wanted = levels >= level - 1e-6
        if not results or (wanted != previous).any():
            name = f"consensus >= {level:g}"
            results.append(_subset(name, true, found, weights, wanted))
        previous = wanted
    return results


def extent_subsets(
    fields: Sequence[Field], true: Detections, found: Detections, weights: Weights
) -> list[Subset]:
    """Returns results for ranges of the angular size, the diagonal of the box.

    As in COCO's ranges of area, unmatched detections of another size do not count as
    false alarms.

    Args:
        fields: The fields; where no pixel size is known there is no result.
        true: See `consensus_subsets`.
        found: See `consensus_subsets`.
        weights: See `consensus_subsets`.
    """
    pixels = np.array([field.pixel_arcsec for field in fields])
    sizes, found_sizes = (
        np.hypot(*(one.boxes[:, 2:] - one.boxes[:, :2]).T) * pixels[one["field"]]
        for one in (true, found)
    )
    if not np.isfinite(sizes).any():
        return []
    results = []
    for low, high in itertools.pairwise(EXTENTS):
        name = f"extent {low:g} to {high:g} arcsec"
        if high == np.inf:
            name = f"extent above {low:g} arcsec"
        outside = ~((found_sizes > low) & (found_sizes <= high))
        wanted = (sizes > low) & (sizes <= high)
        excused = found.with_columns(ignored=found["ignored"] | outside)
        results.append(_subset(name, true, excused, weights, wanted))
    return results


def crowded_subset(true: Detections, found: Detections, weights: Weights) -> Subset:
    """Returns results in fields with two or more labelled sources.

    Args:
        true: See `consensus_subsets`.
        found: See `consensus_subsets`.
        weights: See `consensus_subsets`.
    """
    sources = np.bincount(true["field"][~true["ignored"]], minlength=weights.shape[1])
    many = sources >= 2
    true, found = true[many[true["field"]]], found[many[found["field"]]]
    everything = np.ones(len(true), bool)
    return _subset("fields with two or more sources", true, found, weights, everything)


def _subset(
    name: str,
    true: Detections,
    found: Detections,
    weights: Weights,
    wanted: Bool[np.ndarray, "n"],
) -> Subset:
    """Returns results for some of the sources; the others are ignored."""
    true = true.with_columns(ignored=true["ignored"] | ~wanted)
    labels = np.unique(true.labels[~true["ignored"]])
    matches = [
        match_voc(true, found, int(label), field_count=weights.shape[1])
        for label in labels
    ]
    return Subset(
        name=name,
        sources=int((~true["ignored"]).sum()),
        classes=len(labels),
        mean=Estimate.mean(
            [average_precision(one) for one in matches],
            [average_precision(one, weights=weights) for one in matches],
        ),
    )
