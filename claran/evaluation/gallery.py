"""Galleries of the worst misses and false alarms."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from claran.detection.detections import Detections
from claran.evaluation.catalogs import detected_catalog, true_catalog
from claran.evaluation.matches import by_score, overlaps
from claran.fields.batches import Source
from claran.fields.field import Field
from claran.fields.preprocessing import Preprocessor
from claran.fields.preview import field_picture, to_picture
from claran.figures.isolation import IsolatedFigure, new_figure, one_line, own_style
from claran.figures.source_boxes import Label, draw_labels
from claran.labels import display_name
from claran.sky.pictures import array_to_picture

__all__ = ["Case", "Shown", "false_alarms", "misses", "plot_cases"]

INCHES = 2.9  # Side of one field.
TITLE = 0.42  # Height of the text above it.
COLUMNS = 4
NAME = 48  # Characters of a name that fit above a field.
TRUE, FOUND, CHOSEN = "#56b4e9", "#e69f00", "white"  # Also for the color-blind.
BGR = "BGR"


class Case(NamedTuple):
    """A missed source or false alarm in one field."""

    field: int  # Index of the field.
    box: np.ndarray  # Box of the source or false alarm, (4,), in pixels of the array.
    reason: str  # Shown above the picture.


class Shown(NamedTuple):
    """Fields with their sources and detections, for a gallery."""

    source: Source
    preprocessor: Preprocessor | None  # Of the network; None if none looked.
    fields: Sequence[Field]  # Measured, without pixels.
    detections: Sequence[Detections]
    class_names: Sequence[str]


def misses(shown: Shown, *, count: int = 12, iou_threshold: float = 0.5) -> list[Case]:
    """Returns the sources that were missed or found with low scores, the worst first.

    Sources are sorted by the highest score of a detection of their class with an IoU
    above the threshold. Those without such a detection come first, sorted by their
    highest IoU with any detection. Ignored sources are left out.

    Args:
        shown: The fields.
        count: Largest number of cases.
        iou_threshold: See above.
    """
    true = true_catalog(shown.fields)
    found = detected_catalog(shown.detections)
    pairs = overlaps(true, found)
    right = found.labels[pairs.found] == true.labels[pairs.true]
    hit = right & (pairs.iou > iou_threshold)
    score, iou = np.zeros(len(true)), np.zeros(len(true))
    np.maximum.at(score, pairs.true[hit], found.scores[pairs.found[hit]])
    np.maximum.at(iou, pairs.true, pairs.iou)
    order = np.lexsort((iou, score))
    cases = []
    for i in order[~true["ignored"][order]][:count]:
        name = display_name(shown.class_names[int(true.labels[i]) - 1])
        best = "no detection overlaps"
        if score[i]:
            best = f"found with a score of {score[i]:.2f}"
        elif iou[i]:
            best = f"highest IoU {iou[i]:.2f}"
        cases.append(Case(int(true["field"][i]), true.boxes[i], f"{name}: {best}"))
    return cases


def false_alarms(
    shown: Shown,
    *,
    count: int = 12,
    iou_threshold: float = 0.5,
    ignore_unlabelled: bool = False,
) -> list[Case]:
    """Returns the false alarms with the highest scores.

    A detection is a false alarm if no source of its class, and no ignored source of any
    class, has an IoU above the threshold.

    Args:
        shown: The fields.
        count: Largest number of cases.
        iou_threshold: See above.
        ignore_unlabelled: Whether to leave out detections that overlap no source.
    """
    true = true_catalog(shown.fields)
    found = detected_catalog(shown.detections)
    pairs = overlaps(true, found)
    right = found.labels[pairs.found] == true.labels[pairs.true]
    right |= true["ignored"][pairs.true]
    wrong = np.ones(len(found), bool)
    wrong[pairs.found[right & (pairs.iou > iou_threshold)]] = False
    if ignore_unlabelled:
        wrong[~np.isin(np.arange(len(found)), pairs.found[pairs.iou > 0])] = False
    order = by_score(found.scores)
    return [
        Case(
            int(found["field"][i]),
            found.boxes[i],
            f"{display_name(shown.class_names[int(found.labels[i]) - 1])}: "
            f"score {found.scores[i]:.2f}",
        )
        for i in order[wrong[order]][:count]
    ]


@own_style()
def plot_cases(
    cases: Sequence[Case], shown: Shown, *, score_threshold: float
) -> IsolatedFigure:
    """Returns a figure of fields as the network sees them.

    Sources are blue, dashed if ignored. Those of the catalog above the threshold are
    orange and dotted. The source or false alarm in question has a white frame.

    Args:
        cases: The cases to show.
        shown: The fields.
        score_threshold: Sources with a higher probability are shown.
    """
    rows = max(1, math.ceil(len(cases) / COLUMNS))
    columns = min(COLUMNS, max(1, len(cases)))
    figure = new_figure(INCHES * columns, (INCHES + TITLE) * rows)
    frames = []
    for place, case in enumerate(cases, start=1):
        axes = figure.add_subplot(rows, columns, place)
        field = shown.fields[case.field]
        picture = _picture(shown, case.field)
        height, width = picture.shape[:2]
        axes.imshow(picture, origin="upper", extent=(0, width, height, 0))
        frame = _Frame(axes, field.shape, (height, width), [])
        frames.append(frame)
        _draw_objects(frame, case.field, shown, score_threshold)
        frame.draw(case.box, CHOSEN, "--", margin=2.5)
        reason = one_line(case.reason, NAME)
        axes.set_title(f"{one_line(field.name, NAME)}\n{reason}", fontsize=7)
        axes.set_axis_off()
    figure.fix_layout()
    for frame in frames:
        draw_labels(frame.axes, frame.labels, fontsize=6)
    return figure


def _picture(shown: Shown, number: int) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a field as the network saw it, RGB; the noise is not measured again."""
    field, measured = shown.source[number], shown.fields[number]
    if measured.has_radio:
        field = field.replace(noise=measured.noise)
    seen = shown.preprocessor
    if seen is not None and seen.channels == len(BGR):
        return to_picture(seen(field).view().image)
    return field_picture(field)


def _draw_objects(
    frame: "_Frame", number: int, shown: Shown, score_threshold: float
) -> None:
    objects = shown.fields[number].objects
    found = shown.detections[number].catalog(score_threshold)
    names = ["", *(one_line(display_name(name)) for name in shown.class_names)]
    for box, label, ignored in zip(
        objects.boxes, objects.labels, objects.ignored, strict=True
    ):
        frame.draw(box, TRUE, "--" if ignored else "-", names[int(label)])
    for i in range(len(found)):
        text = f"{names[int(found.labels[i])]} {found.scores[i]:.2f}"
        frame.draw(found.boxes[i], FOUND, ":", text)


class _Frame(NamedTuple):
    """The axes of one field, and the scale of its picture."""

    axes: Axes
    shape: tuple[int, int]  # Height and width of the array.
    seen: tuple[int, int]  # Height and width of the picture.
    labels: list[Label]  # Of the boxes that were drawn.

    def draw(
        self,
        box: np.ndarray,
        color: str,
        line: str,
        text: str = "",
        *,
        margin: float = 0.0,
    ) -> None:
        """Draws a box given in pixels of the array, and keeps its text.

        Args:
            box: (4,) edges in pixels of the array.
            color: Color of box and text.
            line: Matplotlib's line style.
            text: Text beside the box.
            margin: Margin around the box, in percent of the picture's longer side.
        """
        turned = array_to_picture(
            np.asarray(box, np.float64)[None], self.shape, self.seen
        )[0]
        height, width = self.seen
        grown = turned + margin * max(height, width) / 100 * np.array([-1, -1, 1, 1])
        x0, y0, x1, y1 = (float(edge) for edge in grown)
        self.axes.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=color, linestyle=line
            )
        )
        if text:
            self.labels.append(Label(grown, text, color))
