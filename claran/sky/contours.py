"""Stretch and contours of a radio image, as Radio Galaxy Zoo and ClaRAN do.

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
    """An island of emission: its outline and the contours of higher levels in it.

    Attributes:
        lines: float64, (n, 2) each: `(x, y)` of the points, x along columns, y along
            rows, see the top of this module. A closed line repeats its first point at
            the end; one that meets the image's edge or a blank pixel is open. The
            first line is the outline.
        levels: For each line the index of its level; 0 is the outline's.
        bbox: `(x0, y0, x1, y1)` of the outline.
    """

    lines: tuple[Float[np.ndarray, "_ 2"], ...]
    levels: tuple[int, ...]
    bbox: tuple[float, float, float, float]


def log_minmax(values: Float[np.ndarray, "ny nx"]) -> Float[np.ndarray, "ny nx"]:
    """Returns the image on DS9's scale "log" between its extremes: 0 to 1.

    `log(1000 x + 1) / log(1001)` of `x = (v - min) / (max - min)`, the stretch of
    ClaRAN's D1 pictures. Non-finite pixels become NaN; a constant image becomes 0.
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

    They are absolute, the median of the image is not added. The defaults are those of
    ClaRAN's D3 and D4; Radio Galaxy Zoo's own start at `9 / sqrt(3)`, with the ratio
    `sqrt(3)`.

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

    The lines are those of Radio Galaxy Zoo: a cell between four pixel centers is cut
    into four triangles that meet in its middle. There are none in cells with a blank
    pixel, so that lines which meet one stay open. Every line at the first level is
    the outline of a component (a hole in an island is one too). A line of a higher
    level belongs to each component whose bbox holds its start strictly inside. An open
    line starts on an edge: a component that the image's edge cuts has no higher ones.

    Args:
        values: The image; NaN and infinity are blank.
        levels: Increasing, in the unit of `values`.
        min_extent: Components whose bbox has a diagonal of up to this many pixels are
            left out. 0 keeps all, as the pictures ClaRAN was trained on (Radio Galaxy
            Zoo means to drop those up to 4.8 arcsec, which costs point sources below
            7 sigma).

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
    """Returns an end of an open line, the leftmost point of a closed one."""
    closed = (line[0] == line[-1]).all()
    return line[line[:, 0].argmin()] if closed else line[0]
