"""Plots of an evaluation."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from claran.evaluation.average_precision import curve
from claran.evaluation.results import Evaluation
from claran.figures.isolation import IsolatedFigure, new_figure, one_line, own_style
from claran.labels import display_name

__all__ = ["plots"]

COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
"""From Wong 2011 (Nature Methods 8, 441), also distinct to color-blind readers."""
NAME = 30  # Characters of a class name.
LINES = ("-", "--", ":")


@own_style()
def plots(evaluation: Evaluation) -> dict[str, IsolatedFigure]:
    """Returns all figures by name; each has a title.

    Args:
        evaluation: The results.
    """
    return {
        "precision_recall": _precision_recall(evaluation),
        "score": _score(evaluation),
        "reliability": _reliability(evaluation),
        "confusion": _confusion(evaluation),
    }


def _precision_recall(evaluation: Evaluation) -> IsolatedFigure:
    figure, axes = _figure("Precision and recall, IoU above 0.5")
    for i, (matches, one) in enumerate(
        zip(evaluation.matches, evaluation.classes, strict=True)
    ):
        if not one.sources:
            continue
        recall, precision = curve(matches)
        axes.plot(
            np.append(0, recall),
            np.append(precision[:1], precision) if len(precision) else [0.0],
            color=COLORS[i % len(COLORS)],
            linestyle=LINES[i // len(COLORS) % len(LINES)],
            label=f"{one_line(display_name(one.name), NAME)}: AP {one.ap.value:.3f}",
        )
    _unit_square(axes, "Recall", "Precision")
    _legend(axes, "lower left")
    return figure


def _score(evaluation: Evaluation) -> IsolatedFigure:
    figure, axes = _figure("Catalog of detections at or above a score")
    shown = evaluation.curve
    axes.plot(shown.scores, shown.completeness, color=COLORS[0], label="completeness")
    axes.plot(
        shown.scores, shown.reliability, color=COLORS[3], linestyle="--",
        label="reliability",
    )  # fmt: skip
    threshold = evaluation.options["score_threshold"]
    axes.axvline(threshold, color="gray", linestyle=":", label=f"score {threshold:g}")
    _unit_square(axes, "Lowest score", "Fraction, of the right class")
    _legend(axes, "lower left")
    return figure


def _reliability(evaluation: Evaluation) -> IsolatedFigure:
    shown = evaluation.calibration
    figure, axes = _figure(
        f"Calibration: expected error {shown.error:.3f}, with numbers of detections"
    )
    width = np.diff(shown.edges)
    axes.bar(
        shown.edges[:-1], np.nan_to_num(shown.hit_rate), width, align="edge",
        color=COLORS[5], edgecolor="white", label="fraction that is right",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", label="calibrated")
    axes.plot(
        shown.mean_score, shown.hit_rate, "o", color=COLORS[0], label="mean score"
    )
    for left, step, count in zip(shown.edges[:-1], width, shown.counts, strict=True):
        axes.annotate(f"{count}", (left + step / 2, 0.02), ha="center", fontsize=7)
    _unit_square(axes, "Score", "Fraction that is right")
    _legend(axes, "upper left")
    return figure


def _confusion(evaluation: Evaluation) -> IsolatedFigure:
    threshold = evaluation.options["score_threshold"]
    figure, axes = _figure(
        f"Confusion of sources above {threshold:g}, colored by fraction of the row"
    )
    counts = evaluation.confusion
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, origin="upper")
    names = [one_line(display_name(name), NAME) for name in evaluation.class_names]
    places = range(len(names) + 1)
    small = 9 if len(names) < 9 else 6
    axes.set_xticks(places, [*names, "missed"], rotation=45, ha="right", fontsize=small)
    axes.set_yticks(places, [*names, "false alarm"], fontsize=small)
    axes.set_xlabel("Detected as")
    axes.set_ylabel("Labeled")
    last = len(names)
    for row, column in np.ndindex(counts.shape):
        if (row, column) != (last, last):  # "False alarm" and "missed" exclude another.
            axes.annotate(
                f"{counts[row, column]}", (column, row), ha="center", va="center",
                fontsize=small, color="white" if share[row, column] > 0.5 else "black",
            )  # fmt: skip
    return figure


def _figure(title: str) -> tuple[IsolatedFigure, Axes]:
    figure = new_figure(5.6, 4.6)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    return figure, axes


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)


def _legend(axes: Axes, place: Literal["lower left", "upper left"]) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=place, fontsize=8, framealpha=0.9)
