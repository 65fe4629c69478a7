"""Directions and scales in a field, and what shows them: beam and scale bar."""

import math
from typing import Any, Literal

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.offsetbox import (
    AnchoredOffsetbox,
    AuxTransformBox,
    HPacker,
    OffsetBox,
    TextArea,
    VPacker,
)
from matplotlib.patches import Polygon

from claran.sky.beams import Beam

__all__ = [
    "bar_length",
    "beam_outline",
    "beam_text",
    "draw_bar",
    "draw_beam",
    "free_corners",
    "name_axes",
    "sky_axes",
]

Corner = Literal["lower left", "lower right", "upper left", "upper right"]
CORNERS: tuple[Corner, ...] = (
    "lower left", "lower right", "upper left", "upper right"
)  # fmt: skip
SIZE = 0.28, 0.07  # Fraction of the axes that a mark covers, about.
INK = "black"

# Lengths of scale bars in arcsec, and how they are written.
UNITS = ((1e-6, " µas"), (1e-3, " mas"), (1.0, "″"), (60.0, "′"), (3600.0, "°"))
STEPS = (1, 2, 5, 10, 20, 30)
MOST = 0.25  # Of the width.


def sky_axes(
    wcs: WCS | None, pixel_arcsec: float, center: tuple[float, float]
) -> Float[np.ndarray, "2 2"] | None:
    """Returns the offsets on the sky of a step of one pixel, in arcsec.

    Args:
        wcs: Celestial WCS; None for north up and east left.
        pixel_arcsec: Side of a pixel, for an image without a WCS; NaN if unknown.
        center: `(x, y)` where the offsets are taken, from the center of the first
            pixel.

    Returns:
        Rows: to the east, to the north; columns: along x, along y. None if unknown.
    """
    if wcs is None:
        return np.diag([-pixel_arcsec, pixel_arcsec]) if pixel_arcsec > 0 else None
    x, y = center
    sky = wcs.pixel_to_world([x, x + 1, x], [y, y, y + 1])
    offsets = sky[0].spherical_offsets_to(sky[1:])
    axes = np.array([offset.to_value("arcsec") for offset in offsets])
    usable = np.isfinite(axes).all() and abs(np.linalg.det(axes)) > 0
    return axes if usable else sky_axes(None, pixel_arcsec, center)


def name_axes(
    axes: Axes,
    wcs: WCS | None,
    pixel: Float[np.ndarray, "2 2"] | None,
    *,
    unit: str = "pixel",
) -> None:
    """Names the axes of an image.

    Args:
        axes: The axes, in the projection of `wcs` if there is one.
        wcs: Celestial WCS of the image; None without.
        pixel: From `sky_axes`.
        unit: Unit of the axes without a WCS.
    """
    if wcs is None or pixel is None:
        axes.set_xlabel(f"x [{unit}]")
        axes.set_ylabel(f"y [{unit}]")
        return
    names = "Right ascension", "Declination"
    if wcs.wcs.lngtyp == "GLON":
        names = "Galactic longitude", "Galactic latitude"
    # Longitude is along the side where it changes most, and not beside the color bar.
    sides = "bl" if abs(pixel[0, 0]) >= abs(pixel[0, 1]) else "lb"
    coordinates: Any = getattr(axes, "coords")  # noqa: B009 - Astropy's axes have it.
    for number, name, side in zip(
        (wcs.wcs.lng, wcs.wcs.lat), names, sides, strict=True
    ):
        coordinates[number].set_axislabel(name)
        # On a narrow figure.
        coordinates[number].set_ticklabel(exclude_overlapping=True)
        coordinates[number].set_axislabel_position(side)
        coordinates[number].set_ticklabel_position(side)
    if wcs.wcs.lngtyp == "RA":
        # Astropy's own separators are mathtext, as in 8^h25^m.
        coordinates[wcs.wcs.lng].set_separator(("h", "m", "s"))


def beam_outline(
    beam: Beam, axes: Float[np.ndarray, "2 2"]
) -> Float[np.ndarray, "72 2"]:
    """Returns the ellipse at half maximum about (0, 0), `(x, y)` in pixels.

    Args:
        beam: Widths in arcsec, and position angle from north through east.
        axes: From `sky_axes`.
    """
    major, minor, angle = beam
    turn = math.radians(angle)
    along = major / 2 * np.array([math.sin(turn), math.cos(turn)])  # East, north.
    across = minor / 2 * np.array([math.cos(turn), -math.sin(turn)])
    phase = np.linspace(0, 2 * np.pi, 72, endpoint=False)[:, None]
    sky = np.cos(phase) * along + np.sin(phase) * across
    return np.linalg.solve(axes, sky.T).T


def beam_text(beam: Beam) -> str:
    """Returns widths and position angle in words.

    >>> beam_text((5.4, 5.4, 0.0)), beam_text((6.0, 5.4, 12.0))
    ('5.4″', '6″ × 5.4″, PA 12°')
    """
    major, minor, angle = beam
    if math.isclose(major, minor, rel_tol=1e-3):
        return f"{major:.3g}″"
    return f"{major:.3g}″ × {minor:.3g}″, PA {angle:.0f}°"


def bar_length(width: float) -> tuple[float, str]:
    """Returns a round length of up to a quarter of the field's width, and its text.

    Args:
        width: Width of the field, arcsec.

    >>> bar_length(180), bar_length(3000), bar_length(0.05)
    ((30.0, '30″'), (600.0, '10′'), (0.01, '10 mas'))
    """
    lengths = [
        (step * unit, f"{step}{name}")
        for unit, name in UNITS
        for step in (*STEPS, *((50, 100, 200, 500) if unit < 1 else ()))
    ]
    fitting = [length for length in lengths if length[0] <= MOST * width]
    return fitting[-1] if fitting else (MOST * width, f"{MOST * width:.2g}″")


def free_corners(
    boxes: Float[np.ndarray, "n 4"], area: tuple[float, float, float, float]
) -> list[Corner]:
    """Returns the corners of an area, those with the least in them first.

    Args:
        boxes: `(x0, y0, x1, y1)` of what should not be covered, y up.
        area: `(x0, x1, y0, y1)`, the extent of the axes.
    """
    x0, x1, y0, y1 = area
    width, height = SIZE[0] * (x1 - x0), SIZE[1] * (y1 - y0)

    def covered(corner: Corner) -> float:
        left = x0 if "left" in corner else x1 - width
        low = y0 if "lower" in corner else y1 - height
        across = np.minimum(boxes[:, 2], left + width) - np.maximum(boxes[:, 0], left)
        up = np.minimum(boxes[:, 3], low + height) - np.maximum(boxes[:, 1], low)
        return float((across.clip(0) * up.clip(0)).sum())

    return sorted(CORNERS, key=covered)


def draw_beam(
    axes: Axes,
    outline: Float[np.ndarray, "k 2"] | None,
    text: str,
    *,
    assumed: bool,
    corner: Corner,
) -> AnchoredOffsetbox:
    """Draws the beam in a corner of the axes, dashed and said if it is assumed.

    Args:
        axes: The axes, in pixels.
        outline: From `beam_outline`; None if it is too large to be drawn.
        text: From `beam_text`.
        assumed: Whether the beam is assumed.
        corner: The corner.
    """
    parts: list[Artist] = []
    if outline is not None:
        ellipse = AuxTransformBox(axes.transData)
        ellipse.add_artist(
            Polygon(
                outline, facecolor="0.75", edgecolor=INK,
                linestyle="--" if assumed else "-",
            )
        )  # fmt: skip
        parts.append(ellipse)
    parts.append(_text(f"beam {text}{', assumed' if assumed else ''}"))
    return _anchor(axes, HPacker(children=parts, align="center", pad=0, sep=5), corner)


def draw_bar(
    axes: Axes, length: float, text: str, *, corner: Corner
) -> AnchoredOffsetbox:
    """Draws a scale bar in a corner of the axes.

    Args:
        axes: The axes, in pixels.
        length: Length in pixels.
        text: Length on the sky.
        corner: The corner.
    """
    bar = AuxTransformBox(axes.transData)
    bar.add_artist(Line2D([0, length], [0, 0], color=INK, linewidth=1.5))
    return _anchor(
        axes, VPacker(children=[bar, _text(text)], align="center", pad=0, sep=2), corner
    )


def _text(text: str) -> TextArea:
    return TextArea(text, textprops={"color": INK, "fontsize": 8})


def _anchor(axes: Axes, content: OffsetBox, corner: Corner) -> AnchoredOffsetbox:
    box = AnchoredOffsetbox(corner, child=content, pad=0.3, borderpad=0.4)
    box.patch.set(facecolor="white", alpha=0.8, edgecolor="none")
    axes.add_artist(box)
    return box
