"""The results of an evaluation, as text for people and JSON for programs."""

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from claran.evaluation.association import MIN_COMPONENTS, Association
from claran.evaluation.bootstrap import Estimate
from claran.evaluation.host_shares import HostShares
from claran.evaluation.matches import Matches
from claran.evaluation.scores import Calibration, ScoreCurve
from claran.labels import display_name

__all__ = ["ClassResult", "Evaluation", "Subset"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassResult:
    """Results for one class.

    Attributes:
        name: Code of the class.
        sources: Number of sources to find.
        detections: Number of detections, with any score.
        ap: VOC's area under the precision-recall curve at an IoU of 0.5.
        ap_coco: COCO's AP, the mean over IoU 0.5 to 0.95.
        ap50: COCO's AP at an IoU of 0.5.
        ap75: COCO's AP at an IoU of 0.75.
        ar: COCO's average recall over IoU 0.5 to 0.95, for 100 detections per field.
    """

    name: str
    sources: int
    detections: int
    ap: Estimate
    ap_coco: float
    ap50: float
    ap75: float
    ar: float


class Subset(NamedTuple):
    """Results for a subset of the sources."""

    name: str
    sources: int
    classes: int  # Number of classes with a source in the subset.
    mean: Estimate  # Mean of VOC's AP over these classes.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """All metrics of a set of fields.

    Attributes:
        class_names: Names of the labels 1, 2 ...
        fields: Number of fields.
        options: Options of the evaluation.
        classes: Results for each class.
        mean: Mean of VOC's AP at an IoU of 0.5 over all classes with a source.
        mean_common: The same over classes with at least `min_sources` sources.
        coco: COCO's "AP", "AP50", "AP75" and "AR", means over the classes.
        voc: VOC's AP as computed by ClaRAN's own evaluation, by class and "mean":
            "area", "11_points", and each with "_rounded" as from its text files.
        subsets: Results by consensus, by extent, and in fields with several sources.
        association: Association of components for each source; None without radio
            images.
        associated: Fraction of sources with exactly their own components, for "all" and
            for those of "two or more components".
        matches: Matches of each class at an IoU of 0.5, by VOC's rule.
        curve: Completeness and reliability against score.
        calibration: Fraction of hits against score.
        confusion: See `claran.evaluation.scores.confusion`.
        hosts: Whether the hosts that were found are those of the labels; None without.
        files: Report, metrics and table of detections, if they were written.
    """

    class_names: tuple[str, ...]
    fields: int
    options: dict[str, Any]
    classes: tuple[ClassResult, ...]
    mean: Estimate
    mean_common: Estimate
    coco: dict[str, Estimate]
    voc: dict[str, dict[str, float]]
    subsets: tuple[Subset, ...]
    association: Association | None
    associated: dict[str, Estimate]
    matches: tuple[Matches, ...]
    curve: ScoreCurve
    calibration: Calibration
    confusion: Int[np.ndarray, "rows columns"]
    hosts: HostShares | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        sources = sum(one.sources for one in self.classes)
        return (
            f"<Evaluation: {self.fields} fields, {sources} sources, mean AP "
            f"{self.mean.value:.3f} at an IoU of 0.5>"
        )

    def table(self) -> str:
        """Returns the results as text for a terminal."""
        common = f"mean, >= {self.options['min_sources']} sources"
        rows = [
            (display_name(one.name), one.ap, str(one.sources)) for one in self.classes
        ]
        sources = str(sum(one.sources for one in self.classes))
        rows += [("mean", self.mean, sources), (common, self.mean_common, "")]
        original = Estimate(self.voc["area_rounded"]["mean"], math.nan, math.nan)
        rows.append(("mean, from ClaRAN's text files", original, ""))
        lines = [_line("AP at IoU 0.5", "AP", "95% interval", "sources")]
        lines += [_estimate_line(*row) for row in rows]
        lines += ["", _line("COCO, mean over classes", "", "95% interval", "")]
        names = {"AP": "AP, IoU 0.5 to 0.95", "AP50": "AP50", "AP75": "AP75"}
        names["AR"] = "AR, 100 detections"
        lines += [_estimate_line(names[name], self.coco[name], "") for name in names]
        lines += ["", _line("mean AP at IoU 0.5 of", "AP", "95% interval", "sources")]
        lines += [_estimate_line(s.name, s.mean, str(s.sources)) for s in self.subsets]
        threshold = self.options["score_threshold"]
        if self.association is not None:
            title = f"right components, probability > {threshold:g}"
            lines += ["", _line(title, "fraction", "95% interval", "sources")]
            components = self.association.components
            for name, least in MIN_COMPONENTS.items():
                count = int((components >= least).sum())
                lines.append(_estimate_line(name, self.associated[name], str(count)))
        error = self.calibration.error
        lines += ["", _line("expected calibration error", f"{error:.3f}", "", "")]
        lines += _host_lines(self.hosts)
        return "\n".join(line.rstrip() for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Returns the results as values for JSON; None for unknown ones."""
        share = None
        if self.association is not None:
            share = {name: one._asdict() for name, one in self.associated.items()}
        return _plain(
            {
                "fields": self.fields,
                "sources": sum(one.sources for one in self.classes),
                "options": self.options,
                "mean_ap": self.mean._asdict(),
                "mean_ap_common": self.mean_common._asdict(),
                "classes": {
                    one.name: vars(one) | {"ap": one.ap._asdict()}
                    for one in self.classes
                },
                "coco": {name: one._asdict() for name, one in self.coco.items()},
                "voc_as_claran": self.voc,
                "subsets": [
                    one._asdict() | {"mean": one.mean._asdict()} for one in self.subsets
                ],
                "right_components": share,
                "score_curve": self.curve._asdict(),
                "calibration": self.calibration._asdict(),
                "hosts": None if self.hosts is None else _host_values(self.hosts),
                "confusion": {
                    "rows": [*self.class_names, "false alarm"],
                    "columns": [*self.class_names, "missed"],
                    "counts": self.confusion,
                },
            }
        )


def _host_lines(hosts: HostShares | None) -> list[str]:
    """Returns the lines on hosts: all, then each class."""
    if hosts is None:
        return []
    head = _line("hosts within 3 arcsec", "right", "place  mean P", "sources")
    lines = ["", head]
    for name, count, place, right, chance in hosts.rows():
        named = name if name == "all" else display_name(name)
        both = f"{place:.3f}  {chance:.3f}"
        lines.append(_line(named, f"{right:.3f}", both, str(count)))
    error = f"{hosts.calibration_error:.3f}"
    return [*lines, _line("calibration error of the probability", error, "", "")]


def _host_values(hosts: HostShares) -> dict[str, Any]:
    names = ("name", "sources", "place_share", "right_share", "mean_probability")
    return {
        "classes": [dict(zip(names, row, strict=True)) for row in hosts.rows()],
        "calibration_error": hosts.calibration_error,
    }


def _line(*cells: str) -> str:
    name, value, spread, count = cells
    return f"{name:<36}{value:>7}  {spread:<16}{count:>8}"


def _estimate_line(name: str, estimate: Estimate, count: str) -> str:
    value, _, spread = str(estimate).partition("  ")
    return _line(name, value, spread, count)


def _plain(value: Any) -> Any:
    """Returns values that any JSON reader accepts: lists for arrays, None for NaN."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
