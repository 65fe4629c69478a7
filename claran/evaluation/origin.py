"""What a table of detections says of the detector that made it.

The keys are those of `claran.Detector.metadata`. A CSV file has no metadata, and tables
of other tools have others.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from claran.evaluation.metrics import EvaluationOptions

__all__ = ["Origin", "origin_metadata"]


class Origin(NamedTuple):
    """What is known of the detector; None for what is not."""

    class_names: tuple[str, ...] | None = None
    catalog_score: float | None = None  # Above it are the rows of a catalog.
    inclusive_boxes: bool | None = None  # See `EvaluationOptions`.
    lowest_score: float | None = None  # Above it are all rows.
    is_catalog: bool | None = None

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> "Origin":
        """Returns what the metadata of a table say."""
        about = {key.upper(): str(value) for key, value in meta.items()}
        rows, names = about.get("ROWS"), about.get("CLASSES")
        return cls(
            class_names=tuple(names.split(",")) if names else None,
            catalog_score=_number(about.get("CATSCORE")),
            inclusive_boxes=about["INCLBOX"] == "True" if "INCLBOX" in about else None,
            lowest_score=_number(about.get("MINSCORE")),
            is_catalog=None if rows is None else rows == "catalog",
        )


def origin_metadata(options: EvaluationOptions) -> dict[str, Any]:
    """Returns the metadata of the detections of an evaluation with these options."""
    inclusive = {"INCLBOX": True} if options.inclusive_boxes else {}
    return {"CATSCORE": options.score_threshold} | inclusive


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:  # Another tool's.
        return None
