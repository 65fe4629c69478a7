"""The picture of a survey: each mosaic at a glance, with its sources."""

import collections
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float, Float32
from matplotlib import colormaps
from matplotlib.lines import Line2D

from claran.figures.isolation import IsolatedFigure, new_figure, one_line, own_style
from claran.figures.sky_marks import name_axes, sky_axes
from claran.figures.source_boxes import COLORS
from claran.io.atomic import replace_file
from claran.labels import RGZ_CLASSES, display_name

__all__ = ["MosaicView", "class_color", "draw_overview", "write_overview"]

MOST_PANELS = 12
INCHES = 10.0  # Longer side of the figure's images.
DARKEST, BRIGHTEST = 0.0, 50.0  # Signal-to-noise.
NAME = 70  # Characters of names, in a row of panels.


class MosaicView(NamedTuple):
    """A mosaic as the overview shows it.

    Attributes:
        name: Name of the mosaic.
        coarse: Largest signal-to-noise in blocks of pixels, y up; NaN is blank.
        block: Side of a block, pixels of the mosaic.
        wcs: Celestial WCS of the mosaic; None without.
        x: Position of each source, edges in pixels of the mosaic.
        y: The same.
        labels: Class of each source, such as "2_3".
    """

    name: str
    coarse: Float32[np.ndarray, "rows columns"]
    block: int
    wcs: WCS | None
    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    labels: Sequence[str]


def write_overview(views: Sequence[MosaicView], path: Path) -> None:
    """Writes the picture of a survey as PNG.

    Args:
        views: The mosaics; the first 12 are shown.
        path: The file.
    """
    figure = draw_overview(views)
    canvas: Any = figure.canvas

    def write(partial: Path) -> None:
        # `savefig` draws all twice, and the smallest file takes three times as long.
        with own_style():
            canvas.print_png(partial, metadata={}, pil_kwargs={"compress_level": 1})

    replace_file(path, write)


@own_style()
def draw_overview(views: Sequence[MosaicView]) -> IsolatedFigure:
    """Returns the figure of a survey: signal-to-noise in gray, sources in color.

    Args:
        views: The mosaics; the first 12 are shown.
    """
    shown = views[:MOST_PANELS]
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(INCHES + 2, INCHES * rows / columns + 1)
    for number, view in enumerate(shown):
        _draw_panel(figure, (rows, columns, number + 1), view)
    counts = collections.Counter(label for view in views for label in view.labels)
    if counts:
        figure.legend(
            handles=[
                Line2D(
                    [], [], linestyle="", marker="o", markerfacecolor="none",
                    markeredgecolor=class_color(label), markeredgewidth=1.5,
                    label=f"{display_name(label)}: {count:,}",
                )
                for label, count in sorted(counts.items())
            ],
            loc="outside right upper", facecolor="0.25", labelcolor="white",
            title="Sources", title_fontproperties={"weight": "bold"},
        )  # fmt: skip
    if len(views) > len(shown):
        figure.suptitle(f"The first {len(shown)} of {len(views)} mosaics")
    return figure


def _draw_panel(
    figure: IsolatedFigure, place: tuple[int, int, int], view: MosaicView
) -> None:
    step = slice(None, None, view.block)
    coarse: Any = None if view.wcs is None else view.wcs[step, step]
    projection: Any = coarse
    axes: Any = figure.add_subplot(*place, projection=projection)
    shades = np.arcsinh(np.clip(view.coarse, DARKEST, BRIGHTEST))
    cmap = colormaps["gray"].with_extremes(bad="#14305c")
    axes.imshow(
        shades, origin="lower", cmap=cmap, interpolation="nearest",
        vmin=np.arcsinh(DARKEST), vmax=np.arcsinh(BRIGHTEST),
    )  # fmt: skip
    labels = np.array(view.labels, dtype=str)
    size = max(8, 120 / place[1] / math.sqrt(1 + len(labels) / 200))
    for label in np.unique(labels).tolist():
        rows = labels == label
        axes.scatter(
            view.x[rows] / view.block - 0.5, view.y[rows] / view.block - 0.5, s=size,
            facecolors="none", edgecolors=class_color(label), linewidths=0.8,
        )  # fmt: skip
    ny, nx = view.coarse.shape
    axes.set_xlim(-0.5, nx - 0.5)
    axes.set_ylim(-0.5, ny - 0.5)
    count = f"{len(labels):,} source{'' if len(labels) == 1 else 's'}"
    axes.set_title(f"{one_line(view.name, NAME // place[1])}: {count}", fontsize=9)
    name_axes(
        axes, coarse, sky_axes(coarse, math.nan, (nx / 2, ny / 2)),
        unit=f"{view.block} pixels",
    )  # fmt: skip


def class_color(label: str) -> str:
    """Returns the color of a class, in the picture and in the regions.

    Args:
        label: The class, such as "2_3".
    """
    known = RGZ_CLASSES.index(label) if label in RGZ_CLASSES else -1
    return COLORS[known % len(COLORS)]
