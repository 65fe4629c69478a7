"""Figures of fields with their detections."""

import numpy as np
from astropy.table import Table
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from claran.labels import display_name
from claran.sky import contours as radio_image
from claran.sky.images import SkyImage
from claran.sky.noise import noise as measure_noise

__all__ = ["plot_field", "plot_picture"]

COLORS = ("cyan", "yellow", "magenta")
BLUE = "#3d8bff"  # Stands out on the infrared's black, red and white.
HEADROOM = 0.06  # Fraction of the height for a name above a box.
INCHES = 6.0  # Longer side of the image in the figure.
COLUMNS = ("label", "score", "x0", "y0", "x1", "y1")


def plot_field(
    radio: SkyImage,
    table: Table,
    *,
    background: UInt8[np.ndarray, "h w 3"] | None = None,
    sigma_level: float = 4.0,
) -> Figure:
    """Returns a figure of contours and boxes on the radio or another image.

    The axes are on the sky if the image has a WCS, and in pixels of the FITS array
    otherwise.

    Args:
        radio: The radio image.
        table: Detections in it (see `claran.catalog.tables.detection_table`).
        background: BGR picture of the same field, row 0 on top, such as the infrared
            image; None for the radio image.
        sigma_level: Level of the lowest contour, in units of the noise. The next levels
            are higher by factors of two.
    """
    figure, axes = _figure(radio.values.shape, wcs=radio.wcs)
    ny, nx = radio.values.shape
    # Matplotlib, like a WCS, counts from the center of the first pixel.
    extent = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    line_color = "white" if background is None else BLUE
    if background is None:
        shade = radio_image.log_minmax(radio.values)
        axes.imshow(shade, cmap="inferno", origin="lower", extent=extent)
    else:
        axes.imshow(background[::-1, :, ::-1], origin="lower", extent=extent)
    sigma = measure_noise(radio.values)
    if sigma > 0:
        levels = radio_image.contour_levels(sigma, start=sigma_level)
        for component in radio_image.contours(radio.values, levels):
            for line in component.lines:
                axes.plot(*(line.T - 0.5), color=line_color, linewidth=0.8)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    _draw_boxes(axes, table, shift=-0.5, top="y1")
    axes.set_title(f"{radio.name}: {_count(len(table))}", fontsize=10)
    axes.set_xlabel("x [pixel]" if radio.wcs is None else "Right ascension")
    axes.set_ylabel("y [pixel]" if radio.wcs is None else "Declination")
    return figure


def plot_picture(picture: UInt8[np.ndarray, "h w 3"], table: Table) -> Figure:
    """Returns a figure of a picture with boxes.

    Args:
        picture: BGR, row 0 on top.
        table: Detections, with boxes in pixels of the picture, y down.
    """
    figure, axes = _figure(picture.shape[:2])
    height, width = picture.shape[:2]
    axes.imshow(picture[..., ::-1], extent=(0, width, height, 0))
    _draw_boxes(axes, table, shift=0.0, top="y0")
    axes.set_title(_count(len(table)), fontsize=10)
    axes.set_xlabel("x [pixel]")
    axes.set_ylabel("y [pixel]")
    return figure


def _figure(shape: tuple[int, ...], *, wcs: object = None) -> tuple[Figure, Axes]:
    # Without pyplot, which needs a display and keeps a global list of figures.
    height, width = shape
    scale = INCHES / max(height, width)
    figure = Figure((width * scale + 1, height * scale + 1), dpi=120)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    return figure, figure.add_subplot(projection=wcs)


def _draw_boxes(axes: Axes, table: Table, *, shift: float, top: str) -> None:
    columns = {name: np.asarray(table[name]) for name in COLUMNS}
    for i in range(len(table)):
        x0, y0, x1, y1 = (columns[name][i] + shift for name in ("x0", "y0", "x1", "y1"))
        color = COLORS[i % len(COLORS)]
        box = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=color)
        axes.add_patch(box)
        edge = columns[top][i] + shift
        _, place = axes.transLimits.transform((x0, edge))
        above = place < 1 - HEADROOM
        axes.annotate(
            f"{display_name(str(columns['label'][i]))} {columns['score'][i]:.2f}",
            (x0, edge),
            xytext=(2, 3 if above else -4),
            textcoords="offset points",
            verticalalignment="bottom" if above else "top",
            bbox={"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1},
            color=color,
            fontsize=9,
            annotation_clip=True,
        )


def _count(number: int) -> str:
    return f"{number} source{'' if number == 1 else 's'}"
