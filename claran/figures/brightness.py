"""The radio image in gray, and the bar that says what its shades mean."""

import math
import re

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from claran.figures.isolation import one_line

__all__ = ["brightness_unit", "draw_brightness"]

JANSKY = re.compile(r"\s*jy\s*[/ ]?\s*(beam|bm)(\s*(\^|\*\*)?-1)?\s*", re.IGNORECASE)
PREFIXES = ((1.0, ""), (1e3, "m"), (1e6, "µ"), (1e9, "n"))
LINEAR = 3.0  # Sigma up to which the shades are linear.
FAINT, LEAST = -3.0, 10.0  # Sigma of black; white is at least so bright.
CLOSEST = 0.07  # Distance of two ticks, as a fraction of the bar.
DECADES = 5
# Not up to white, so that white contours are seen on bright sources.
GRAY = LinearSegmentedColormap.from_list("claran", ["black", "0.6"]).with_extremes(
    bad="#14305c"
)
BAR = (1.02, 0.0, 0.035, 1.0)  # Of the axes: left, bottom, width, height.


def brightness_unit(unit: str, noise: float) -> tuple[float, str]:
    """Returns a factor and the unit that brightness has with it.

    Args:
        unit: Unit of an image. Jy/beam gets the prefix that suits the noise.
        noise: Noise in that unit.

    >>> brightness_unit("JY/BEAM", 1.5e-4), brightness_unit("K", 0.1)
    ((1000.0, 'mJy/beam'), (1.0, 'K'))
    """
    if not JANSKY.fullmatch(unit):
        return 1.0, one_line(unit, 20) or "unknown unit"
    fitting = [one for one in PREFIXES if noise * one[0] >= 0.01]
    factor, prefix = fitting[0] if fitting and noise > 0 else PREFIXES[0]
    return factor, f"{prefix}Jy/beam"


def draw_brightness(
    axes: Axes,
    values: Float32[np.ndarray, "ny nx"],
    extent: tuple[float, float, float, float],
    *,
    noise: float,
    unit: str,
) -> None:
    """Draws a radio image with a color bar beside it.

    Args:
        axes: The axes.
        values: The image, row 0 at the bottom; NaN is shown blue.
        extent: `(x0, x1, y0, y1)` of the image.
        noise: Its noise; NaN if it is unknown, so that the shades are linear.
        unit: Its unit.
    """
    factor, unit = brightness_unit(unit, noise)
    finite = values[np.isfinite(values)] * factor
    shades = _Shades(finite if len(finite) else np.zeros(1), noise * factor)
    shown = axes.imshow(
        shades(values * np.float32(factor)), origin="lower", extent=extent,
        aspect=axes.get_aspect(), vmin=float(shades(shades.low)),
        vmax=float(shades(shades.high)), cmap=GRAY,
    )  # fmt: skip
    figure = axes.get_figure()
    assert figure is not None  # noqa: S101 - these axes have one.
    bar = figure.colorbar(shown, cax=axes.inset_axes(BAR))
    ticks = shades.ticks()
    bar.set_ticks([float(shades(tick)) for tick in ticks], labels=_numbers(ticks))
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=8)
    bar.set_label(f"Brightness [{unit}]; scale: {shades.name}", fontsize=9)


class _Shades:
    """The stretch of an image: asinh about its median, or linear without noise."""

    def __init__(self, finite: Float[np.ndarray, "n"], noise: float) -> None:
        self.low, self.high = float(finite.min()), float(finite.max())
        self.width = LINEAR * noise if noise > 0 else math.nan
        self.middle = float(np.median(finite))
        self.name = "linear"
        if noise > 0:
            self.low = self.middle + FAINT * noise
            self.high = max(self.high, self.middle + LEAST * noise)
            self.name = f"asinh, linear within {LINEAR:g} σ = {self.width:.2g}"
        elif self.high == self.low:
            self.high = self.low + 1

    def __call__(self, values: Float[np.ndarray, "..."] | float) -> np.ndarray:
        """Returns the shades of values."""
        if math.isnan(self.width):
            return np.asarray(values)
        return np.arcsinh((np.asarray(values) - self.middle) / self.width)

    def ticks(self) -> list[float]:
        """Returns round numbers, not too close on the bar, zero if it is in range."""
        top = math.floor(math.log10(max(abs(self.low), abs(self.high))))
        decades = range(top, top - DECADES, -1)
        sizes = [step * 10.0**decade for decade in decades for step in (5, 2, 1)]
        closest = CLOSEST * float(self(self.high) - self(self.low))
        chosen: list[float] = []
        for value in (0.0, *sizes, *(-size for size in sizes)):
            distances = np.abs(self(np.array(chosen)) - self(value))
            if self.low <= value <= self.high and (distances > closest).all():
                chosen.append(value)
        if len(chosen) < 3:  # Such as a narrow range far from zero.
            chosen = [*MaxNLocator(5).tick_values(self.low, self.high)]
        return sorted(float(tick) for tick in chosen if self.low <= tick <= self.high)


def _numbers(ticks: list[float]) -> list[str]:
    return [f"{tick:.6g}".replace("-", "−") for tick in ticks]
