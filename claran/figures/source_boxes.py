"""The boxes of sources, in the colors of their classes, and their labels."""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.text import Annotation

from claran.figures.isolation import figure_of, one_line
from claran.figures.label_places import place_labels
from claran.labels import RGZ_CLASSES, display_name

__all__ = ["MOST_LABELS", "Label", "Sources", "draw_boxes", "draw_labels"]

# Of the classes: colors of Wong 2011 (Nature Methods 8, 441), which color-blind readers
# tell apart too, and white. Further classes have other lines.
COLORS = ("#56b4e9", "#f0e442", "#cc79a7", "#e69f00", "#009e73", "#ffffff")
LINES = ("-", "--", ":")
MOST_TEXTS = 25  # Sources that are labeled with class and score; more have numbers.
LEGIBLE = 100  # Labels at the size of other text.
MOST_LABELS = 400  # There is no room for many more.
NAME = 30  # Characters of a class.
PAD = 1.0  # Points about a label.
LEADER = 0.8  # Heights of a label: lines to labels farther away.
OUTLINE = [Stroke(linewidth=2.8, foreground="black", alpha=0.8), Normal()]


class Label(NamedTuple):
    """The text of a box."""

    box: Float[np.ndarray, "4"]  # `(x0, y0, x1, y1)` in the coordinates of the axes.
    text: str
    color: str


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """Detections as a figure shows them.

    Attributes:
        boxes: `(x0, y0, x1, y1)` in the coordinates of the axes.
        labels: Class of each, such as "2_3".
        scores: Score of each.
    """

    boxes: Float[np.ndarray, "n 4"]
    labels: list[str]
    scores: list[float]

    @classmethod
    def from_table(cls, table: Table, *, shift: float) -> "Sources":
        """Returns the sources of a table (`claran.catalog.tables.detection_table`).

        Args:
            table: The table.
            shift: What the axes add to its pixels.
        """
        edges = [np.asarray(table[name], float) for name in ("x0", "y0", "x1", "y1")]
        return cls(
            boxes=np.stack(edges, axis=1) + shift,
            labels=[str(label) for label in table["label"]],
            scores=np.asarray(table["score"], float).tolist(),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def are_numbered(self) -> bool:
        """Whether labels are numbers of rows, as there are so many."""
        return len(self) > MOST_TEXTS

    @functools.cached_property
    def styles(self) -> dict[str, tuple[str, Any]]:
        """Color and line of each class; those of Radio Galaxy Zoo are always the same.

        >>> Sources(np.zeros((2, 4)), ["1_2", "FR-I"], [1, 1]).styles["1_2"]
        ('#f0e442', '-')
        """
        there = set(self.labels)
        known = RGZ_CLASSES if there & set(RGZ_CLASSES) else ()
        return {
            name: (COLORS[i % len(COLORS)], LINES[i // len(COLORS) % len(LINES)])
            for i, name in enumerate([*known, *sorted(there - set(known))])
            if name in there
        }

    @property
    def texts(self) -> list[Label]:
        """The label of each: class and score, or its number."""
        names = [
            f"{one_line(display_name(label), NAME)} {score:.2f}"
            for label, score in zip(self.labels, self.scores, strict=True)
        ]
        if self.are_numbered:
            names = [str(row + 1) for row in range(len(self))]
        colors = [self.styles[label][0] for label in self.labels]
        return [Label(*one) for one in zip(self.boxes, names, colors, strict=True)]

    @property
    def fontsize(self) -> float:
        """Size of the labels, points."""
        return 8.0 if len(self) <= LEGIBLE else 6.0


def draw_boxes(axes: Axes, sources: Sources) -> list[Patch]:
    """Draws the boxes; returns the legend of the classes.

    Args:
        axes: The axes.
        sources: The sources.
    """
    for (x0, y0, x1, y1), label in zip(sources.boxes, sources.labels, strict=True):
        color, line = sources.styles[label]
        axes.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=color, linestyle=line,
                linewidth=1.4, path_effects=OUTLINE,
            )
        )  # fmt: skip
    counts = collections.Counter(sources.labels)
    return [
        Patch(
            facecolor=color, edgecolor="black", linestyle=line,
            label=f"{one_line(display_name(label), NAME)} ({counts[label]})",
        )
        for label, (color, line) in sources.styles.items()
    ]  # fmt: skip


def draw_labels(
    axes: Axes,
    labels: Sequence[Label],
    *,
    fontsize: float,
    marks: Sequence[Artist] = (),
    emission: Float[np.ndarray, "e 4"] | None = None,
) -> None:
    """Writes labels beside their boxes, where they cover least.

    Args:
        axes: The axes, at their final place in the figure.
        labels: The labels.
        fontsize: Their size, points.
        marks: What is drawn in the corners of the axes.
        emission: Boxes of the islands, which labels should not cover.
    """
    labels = [one for one in labels if np.isfinite(one.box).all()][:MOST_LABELS]
    if not labels:
        return
    figure = figure_of(axes)
    renderer, pixels = figure.renderer, figure.dpi / 72  # In a point.
    texts = [_annotate(axes, label, fontsize) for label in labels]
    sizes = np.array([text.get_window_extent(renderer).size for text in texts])
    area = np.asarray(axes.get_window_extent(renderer).extents)
    low, high = np.tile(area[:2], 2), np.tile(area[2:], 2)
    boxes = _on_screen(axes, np.array([label.box for label in labels])).clip(low, high)
    taken = [np.asarray(mark.get_window_extent(renderer).extents) for mark in marks]
    pad = PAD * pixels
    places = pad + place_labels(
        boxes, sizes + 2 * pad, area, taken=np.array(taken).reshape(-1, 4),
        emission=_on_screen(axes, np.zeros((0, 4)) if emission is None else emission),
    )  # fmt: skip
    for text, box, place, size in zip(texts, boxes, places, sizes, strict=True):
        _move(axes, text, box, np.concatenate([place, place + size]))


def _annotate(axes: Axes, label: Label, fontsize: float) -> Annotation:
    """Writes a label in the middle of the axes; its place follows from its size."""
    return axes.annotate(
        label.text, (0.5, 0.5), (0, 0), xycoords="axes fraction",
        textcoords="offset points", va="bottom", ha="left", in_layout=False,
        fontsize=fontsize, bbox={
            "facecolor": label.color, "alpha": 0.95, "edgecolor": "none", "pad": PAD,
        },
    )  # fmt: skip


def _move(
    axes: Axes, text: Annotation, box: Float[np.ndarray, "4"], to: np.ndarray
) -> None:
    """Moves a label, with a line to its box if they are apart; drops it if NaN.

    Args:
        axes: The axes.
        text: The label.
        box: Its box on the screen.
        to: Its own new box on the screen.
    """
    if np.isnan(to).any():
        text.remove()
        return
    # It is tied to the nearest point of the box, for other resolutions.
    near = ((to[:2] + to[2:]) / 2).clip(box[:2], box[2:])
    end = near.clip(to[:2], to[2:])
    points = axes.transData.inverted().transform([near, end])
    text.xy, text.xycoords = (float(points[0, 0]), float(points[0, 1])), "data"
    x, y = (to[:2] - near) * 72 / figure_of(axes).dpi
    text.set_position((x, y))
    if np.hypot(*(end - near)) > LEADER * (to[3] - to[1]):
        patch: Any = text.get_bbox_patch()
        color = patch.get_facecolor()[:3]
        axes.add_line(
            Line2D(*points.T, color=color, linewidth=1.0, path_effects=OUTLINE)
        )


def _on_screen(axes: Axes, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Returns boxes in pixels of the screen, y up."""
    ends = axes.transData.transform(boxes.reshape(-1, 2)).reshape(-1, 2, 2)
    return np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1)
