"""Figures of fields with their detections."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from jaxtyping import Float, UInt8
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from claran.errors import ImageError
from claran.fields.field import Field
from claran.figures.brightness import brightness_unit, draw_brightness
from claran.figures.host_marks import draw_hosts
from claran.figures.isolation import (
    IsolatedFigure,
    figure_of,
    new_figure,
    one_line,
    own_style,
)
from claran.figures.sky_marks import (
    bar_length,
    beam_outline,
    beam_text,
    draw_bar,
    draw_beam,
    free_corners,
    name_axes,
    sky_axes,
)
from claran.figures.source_boxes import MOST_LABELS, Sources, draw_boxes, draw_labels
from claran.sky.contours import contour_levels, contours
from claran.sky.images import SkyImage
from claran.sky.islands import LEVEL_RATIO, THRESHOLD
from claran.sky.surveys import FIRST

__all__ = ["plot_field", "plot_picture"]

INCHES = 6.0  # Longer side of the image in the figure.
NARROW = 5  # Images that are more times as long as wide are stretched.
MARGIN, LEGEND_GAP = 0.1, 0.05  # Inches.
TITLE, NOTE = 11, 15  # Characters to an inch.
CLASS_INCHES = 0.95  # Width of a class in the legend.
CONTOURS = {True: ("White", "white"), False: ("Cyan", "#00e5ff")}  # On the radio image?
LEVEL_COUNT = 20  # Up to 5.196 * sqrt(3)^19 = 177,000 sigma.
LARGEST_BEAM = 0.3  # Of the field's width or height.
Offsets = Float[np.ndarray, "2 2"]
Extent = tuple[float, float, float, float]


@own_style()
def plot_field(field: Field, table: Table) -> IsolatedFigure:
    """Returns a figure of a field: its image, radio contours, and boxes.

    The background is the infrared picture if there is one, else the radio image. The
    contours are those that islands come from: they start at 5.196 sigma of the local
    noise and rise by factors of sqrt(3). The axes are on the sky if the image has a
    WCS, and in pixels of the FITS array otherwise. Up to 25 boxes have class and score
    beside them; if there are more, each has the number of its row in the table. If the
    table has hosts, those with a probability above 0.5 have a cross, and the place by
    the radio image alone a circle with 68% of the probability in it.

    Args:
        field: The field. One that is only a picture is shown as by `plot_picture`.
        table: Detections in it (see `claran.catalog.tables.detection_table`).
    """
    if field.image is None:
        assert field.picture is not None  # noqa: S101 - `Field` checks it.
        return plot_picture(field.picture, table, name=field.name)
    axes = _axes(field.shape, wcs=field.wcs)
    ny, nx = field.shape
    pixel = sky_axes(field.wcs, field.pixel_arcsec, (nx / 2 - 0.5, ny / 2 - 0.5))
    measured = _is_measurable(field)
    _draw_background(axes, field, field.image, measured=measured)
    name_axes(axes, field.wcs, pixel)
    sources = Sources.from_table(table, shift=-0.5)
    classes: list[Artist] = [*draw_boxes(axes, sources)]
    classes += draw_hosts(axes, table, field.wcs, field.pixel_arcsec)
    notes, emission = [], np.zeros((0, 4))
    if measured:
        notes = [_draw_contours(axes, field, field.image)]
        emission = field.islands.boxes.astype(float) - 0.5
    marks = _draw_marks(
        axes, field, field.image, pixel, np.concatenate([sources.boxes, emission])
    )
    _finish(axes, sources, classes, notes, name=field.name)
    draw_labels(
        axes, sources.texts, fontsize=sources.fontsize, marks=marks, emission=emission
    )
    return figure_of(axes)


@own_style()
def plot_picture(
    picture: UInt8[np.ndarray, "h w 3"], table: Table, *, name: str = ""
) -> IsolatedFigure:
    """Returns a figure of a picture with boxes.

    Args:
        picture: BGR, row 0 on top.
        table: Detections, with boxes in pixels of the picture, y down.
        name: Name of the picture, for the title.
    """
    height, width = picture.shape[:2]
    axes = _axes((height, width))
    _show(axes, picture[..., ::-1], origin="upper", extent=(0, width, height, 0))
    name_axes(axes, None, None)
    sources = Sources.from_table(table, shift=0.0)
    _finish(axes, sources, draw_boxes(axes, sources), [], name=name)
    draw_labels(axes, sources.texts, fontsize=sources.fontsize)
    return figure_of(axes)


def _axes(shape: tuple[int, ...], *, wcs: WCS | None = None) -> Axes:
    """Returns axes of fixed size in a figure, whose own size `_finish` sets."""
    height, width = (INCHES * max(side / max(shape), 1 / NARROW) for side in shape)
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    projection: Any = wcs
    axes = figure.add_axes((0, 0, 1, 1), projection=projection)
    axes.set_aspect("auto" if max(shape) > NARROW * min(shape) else "equal")
    return axes


def _show(axes: Axes, picture: UInt8[np.ndarray, "h w 3"], **options: Any) -> None:
    axes.imshow(picture, aspect=axes.get_aspect(), **options)


def _is_measurable(field: Field) -> bool:
    """Whether the noise can be measured; a model, or a blank image, has none."""
    try:
        field.measure()
    except ImageError:
        return False
    return True


def _draw_background(
    axes: Axes, field: Field, image: SkyImage, *, measured: bool
) -> None:
    ny, nx = field.shape
    # Matplotlib, like a WCS, counts from the center of the first pixel.
    extent = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    if field.picture is not None:
        rgb = field.picture[::-1, :, ::-1]
        _show(axes, rgb, origin="lower", extent=extent)
    else:
        noise = field.noise if measured else math.nan
        draw_brightness(axes, image.values, extent, noise=noise, unit=image.unit)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])


def _draw_contours(axes: Axes, field: Field, image: SkyImage) -> str:
    """Draws the contours of the signal-to-noise; returns what the legend says."""
    levels = contour_levels(1.0, start=THRESHOLD, ratio=LEVEL_RATIO, count=LEVEL_COUNT)
    found = contours(field.signal_to_noise, levels)
    lines = [line - 0.5 for component in found for line in component.lines]
    # Thinner where a beam is but a few pixels of the screen.
    width = float(np.clip(150 / max(field.shape), 0.3, 0.8))
    name, color = CONTOURS[field.picture is None]
    drawn = LineCollection(lines, colors=color, linewidths=width)
    axes.add_collection(drawn, autolim=False)
    factor, unit = brightness_unit(image.unit, field.noise)
    shown = ", ".join(f"{level:.3g}" for level in levels[:3])
    return (
        f"{name} contours: {shown} … σ (σ: local noise; over the whole field "
        f"{factor * field.noise:.2g} {unit})"
    )


def _draw_marks(
    axes: Axes,
    field: Field,
    image: SkyImage,
    pixel: Offsets | None,
    clutter: Float[np.ndarray, "n 4"],
) -> list[Artist]:
    """Draws beam and scale bar where they cover least; returns what was drawn."""
    ny, nx = field.shape
    first, second, *_ = free_corners(clutter, (*axes.get_xlim(), *axes.get_ylim()))
    if pixel is None:
        width = field.beam_pixels
        outline = beam_outline((width, width, 0.0), np.eye(2))
        text = f"{width:g} pixels"
    else:
        beam = image.beam or (field.survey or FIRST).beam
        outline, text = beam_outline(beam, pixel), beam_text(beam)
    large = (np.ptp(outline, axis=0) > LARGEST_BEAM * np.array([nx, ny])).any()
    drawn: list[Artist] = [
        draw_beam(
            axes, None if large else outline, text, assumed=bool(field.assumptions),
            corner=first,
        )
    ]  # fmt: skip
    if pixel is not None:
        side = float(np.hypot(*pixel[:, 0]))
        length, text = bar_length(nx * side)
        drawn.append(draw_bar(axes, length / side, text, corner=second))
    return drawn


def _finish(
    axes: Axes,
    sources: Sources,
    classes: Sequence[Artist],
    notes: Sequence[str],
    *,
    name: str,
) -> None:
    """Adds title and legend, and makes the figure as large as all that is in it.

    Not by a layout engine, which cuts what is beside axes of a fixed aspect.
    """
    figure = figure_of(axes)
    width, height = figure.get_size_inches()
    count = f"{len(sources)} source{'' if len(sources) == 1 else 's'}"
    shown = one_line(name, max(1, int(TITLE * width) - len(count)))
    axes.set_title(f"{shown}: {count}" if name else count, fontsize=10)
    if sources.are_numbered:
        few = f", the first {MOST_LABELS}" if len(sources) > MOST_LABELS else ""
        notes = [*notes, f"Numbers: rows of the table, counted from 1{few}"]
    lines = [textwrap.fill(note, int(NOTE * width)) for note in notes]
    below = _inches_around(axes)[1] - LEGEND_GAP
    legend = axes.legend(
        handles=classes, title="\n".join(lines), fontsize=8, title_fontsize=8,
        loc="upper center", frameon=False, ncols=max(1, int(width / CLASS_INCHES)),
    )  # fmt: skip
    legend.set_bbox_to_anchor((width / 2, below), figure.dpi_scale_trans)
    x0, y0, x1, y1 = _inches_around(axes) + MARGIN * np.array([-1, -1, 1, 1])
    figure.set_size_inches(x1 - x0, y1 - y0)
    across, up = x1 - x0, y1 - y0
    axes.set_position((-x0 / across, -y0 / up, width / across, height / up))
    legend.set_bbox_to_anchor((width / 2 - x0, below - y0), figure.dpi_scale_trans)


def _inches_around(axes: Axes) -> Float[np.ndarray, "4"]:
    """Returns the box about the axes and all that belongs to them, in inches."""
    figure = figure_of(axes)
    bounds = axes.get_tightbbox(figure.renderer)
    assert bounds is not None  # noqa: S101 - the axes are visible.
    return np.asarray(bounds.extents) / figure.dpi
