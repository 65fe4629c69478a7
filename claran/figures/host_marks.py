"""Marks of the host galaxies of sources, and of where they can be."""

import math
from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import skycoord_to_pixel
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import Normal, Stroke

__all__ = ["COLOR", "LIKELY", "draw_hosts"]

COLOR = "#d55e00"
"""Color of hosts, that of no class (Wong 2011)."""
OUTLINE = [Stroke(linewidth=2.6, foreground="white"), Normal()]
LIKELY = 0.5
"""Probability above which a host is marked."""
# A circle with 68.3% of a round Gaussian in it has so many of its errors as radius.
RADIUS = math.sqrt(-2 * math.log(1 - 0.683))


def draw_hosts(
    axes: Axes, table: Table, wcs: WCS | None, pixel_arcsec: float
) -> list[Artist]:
    """Draws the hosts of a table, if it has some; returns the legend of what was drawn.

    Args:
        axes: The axes, in pixels of the WCS.
        table: See `claran.Detector.detect`.
        wcs: Of the image.
        pixel_arcsec: Side of its pixels.
    """
    legend: list[Artist] = []
    if wcs is None:
        return legend
    if "place_ra" in table.colnames:
        x, y = _pixels(table, "place", wcs)
        radii = RADIUS * _numbers(table, "place_error", units.arcsec) / pixel_arcsec
        known = np.isfinite(x + y + radii)
        for place in zip(x[known], y[known], radii[known], strict=True):
            axes.add_patch(_circle(*map(float, place)))
        if known.any():
            name = "place of host, 68%"
            legend.append(Line2D([], [], color=COLOR, linestyle=":", label=name))
    if "host_ra" in table.colnames:
        x, y = _pixels(table, "host", wcs)
        likely = np.asarray(table["host_probability"], float) > LIKELY
        shown: dict[str, Any] = {
            "marker": "+", "markersize": 9, "color": COLOR, "linestyle": "",
            "markeredgewidth": 1.4, "path_effects": OUTLINE, "label": "host",
        }  # fmt: skip
        if likely.any():
            axes.plot(x[likely], y[likely], **shown, scalex=False, scaley=False)
            legend.append(Line2D([], [], **shown))
    return legend


def _circle(x: float, y: float, radius: float) -> Circle:
    return Circle(
        (x, y), radius, fill=False, edgecolor=COLOR, linestyle=":", linewidth=1.2,
        path_effects=OUTLINE,
    )  # fmt: skip


def _pixels(
    table: Table, name: str, wcs: WCS
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns pixels of the WCS; NaN where a position is unknown."""
    ra, dec = (_numbers(table, f"{name}_{axis}", units.deg) for axis in ("ra", "dec"))
    known = np.isfinite(ra + dec)
    x, y = np.full((2, len(ra)), np.nan)
    if known.any():
        sky = SkyCoord(ra[known], dec[known], unit="deg")
        x[known], y[known] = skycoord_to_pixel(sky, wcs, mode="wcs")
    return x, y


def _numbers(table: Table, name: str, unit: Any) -> Float[np.ndarray, "n"]:
    """Returns a column with a unit as numbers."""
    column: Any = table[name]
    return np.ma.filled(units.Quantity(column, unit).value, np.nan).astype(float)
