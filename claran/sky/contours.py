"""Stretch and contours of a radio image, as in Radio Galaxy Zoo and ClaRAN.

Positions are pixels of the FITS array frame, y up, where pixel `i` covers `[i, i + 1]`
(the convention of `claran.ops.boxes`): the center of the first pixel is (0.5, 0.5).
"""

import dataclasses

import contourpy
import numpy as np
from jaxtyping import Float

__all__ = [
    "Component",
    "contour_levels",
    "contours",
    "log_minmax",
]

LOG_EXPONENT = 1000.0  # SAOImage DS9's default.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Component:
    """An island of emission: its outline and the contours of higher levels inside.

    Attributes:
        lines: float64, `(n, 2)` each: `(x, y)` of the points, x along columns, y along
            rows, see the top of this module. A closed line repeats its first point at
            the end. A line that ends at the edge or at a blank pixel is open. The first
            line is the outline.
        levels: Index of the level of each line; 0 for the outline.
        bbox: `(x0, y0, x1, y1)` of the outline.
    """

    lines: tuple[Float[np.ndarray, "_ 2"], ...]
    levels: tuple[int, ...]
    bbox: tuple[float, float, float, float]


def log_minmax(values: Float[np.ndarray, "ny nx"]) -> Float[np.ndarray, "ny nx"]:
    """Returns the image on DS9's scale "log" between its extremes, from 0 to 1.

    It is `log(1000 x + 1) / log(1001)` with `x = (v - min) / (max - min)`, the stretch
    of ClaRAN's D1 pictures. Non-finite pixels become NaN; a constant image becomes 0.

    Args:
        values: The image, in any unit.
    """
    finite = np.isfinite(values)
    scaled = np.where(finite, values, np.nan)
    if not finite.any():
        return scaled
    low, high = values[finite].min(), values[finite].max()
    span = high - low if high > low else np.ones_like(low)
    return np.log1p(LOG_EXPONENT * ((scaled - low) / span)) / np.log1p(LOG_EXPONENT)


def contour_levels(
    sigma: float, *, start: float = 5.0, ratio: float = 2.0, count: int = 14
) -> Float[np.ndarray, "{count}"]:
    """Returns the levels `sigma * start * ratio**k`, in the unit of `sigma`.

    They are absolute: the median of the image is not added. The defaults are those of
    ClaRAN's D3 and D4. Radio Galaxy Zoo's levels start at `9 / sqrt(3)` with the ratio
    `sqrt(3)`.

    Args:
        sigma: Noise of the image.
        start: Lowest level, in units of the noise.
        ratio: Ratio of neighboring levels.
        count: Number of levels.

    Raises:
        ValueError: The levels would not be positive and increasing.
    """
    if not (sigma > 0 and start > 0 and ratio > 1):
        raise ValueError(
            "`sigma` and `start` must be above 0 and `ratio` above 1, got "
            f"{sigma}, {start} and {ratio}."
        )
    return sigma * start * ratio ** np.arange(count, dtype=float)


def contours(
    values: Float[np.ndarray, "ny nx"],
    levels: Float[np.ndarray, "k"],
    *,
    min_extent: float = 0.0,
) -> tuple[Component, ...]:
    """Returns the components above the first level, each with its contours.

    The lines are those of Radio Galaxy Zoo: a cell between four pixel centers is
    divided into four triangles that meet in its center. In cells with a blank pixel
    there are no lines, so that lines that reach one are open. Each line of the first
    level is the outline of a component, also around a hole in an island. A line of a
    higher level belongs to each component with the start of the line strictly inside
    its bbox. An open line starts at an edge, so that a component at the edge of the
    image may have no higher ones.

    Args:
        values: The image; NaN and infinity are blank.
        levels: Increasing levels, in the unit of `values`.
        min_extent: Components are left out if the diagonal of their bbox is at most as
            long, in pixels. 0 keeps all, as in the pictures that ClaRAN was trained on.
            Radio Galaxy Zoo drops those up to 4.8 arcsec, and with them point sources
            below 7 sigma.

    Raises:
        ValueError: The levels do not increase.
    """
    if not (np.diff(levels) > 0).all():
        raise ValueError(f"`levels` must increase, got {levels.tolist()}.")
    ny, nx = values.shape
    finite = np.isfinite(values)
    if min(ny, nx) < 2 or not finite.any():
        return ()
    generator = contourpy.contour_generator(
        x=np.arange(nx) + 0.5,
        y=np.arange(ny) + 0.5,
        z=np.ma.array(values, mask=~finite),
        name="serial",
        line_type=contourpy.LineType.Separate,
        corner_mask=False,
        quad_as_tri=True,
    )
    lines = [
        (k, np.asarray(line))
        for k, level in enumerate(levels[levels <= values[finite].max()])
        for line in generator.lines(level)
    ]
    outlines = [line for k, line in lines if k == 0]
    inner = [(k, line) for k, line in lines if k > 0]
    starts = np.array([_start(line) for _, line in inner]).reshape(-1, 2)
    components = []
    for outline in outlines:
        low, high = outline.min(axis=0), outline.max(axis=0)
        if not np.hypot(*(high - low)) > min_extent:
            continue
        inside = ((low < starts) & (starts < high)).all(axis=1).nonzero()[0]
        components.append(
            Component(
                lines=(outline, *(inner[i][1] for i in inside)),
                levels=(0, *(inner[i][0] for i in inside)),
                bbox=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
            )
        )
    return tuple(components)


def _start(line: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2"]:
    """Returns the first point of an open line, the leftmost of a closed one."""
    closed = (line[0] == line[-1]).all()
    return line[line[:, 0].argmin()] if closed else line[0]
