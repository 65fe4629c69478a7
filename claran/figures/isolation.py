"""Figures that look the same for everybody, whatever a `matplotlibrc` says.

A user's settings may ask for LaTeX where there is none, turn images upside down, or
read `$` in a file name as mathematics. Here figures are built, drawn and saved with
Matplotlib's own settings, and the user's are back afterwards.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from claran.io.silencing import without_warnings

__all__ = ["IsolatedFigure", "figure_of", "new_figure", "one_line", "own_style"]

DPI = 120
# Without the backend, whose look-up would import pyplot and open a display.
STYLE: dict[Any, Any] = {
    name: matplotlib.rcParamsDefault[name]
    for name in matplotlib.rcParamsDefault
    if not name.startswith("backend")
} | {"text.parse_math": False, "font.family": "DejaVu Sans"}  # It comes with Matplotlib

_lock = threading.RLock()


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Context, or decorator of a function, that builds a figure in claran's style.

    Matplotlib's settings belong to the process. So threads that draw wait for each
    other; else the last one to leave would restore the settings of the first. Warnings,
    such as of characters that no font has, are silenced: these are empty boxes.
    """
    with _lock, without_warnings(), matplotlib.rc_context(STYLE):
        yield


class IsolatedFigure(Figure):
    """A figure that is drawn and saved in claran's style, also later by its user."""

    @property
    def renderer(self) -> RendererBase:
        """What measures texts, for the figure's resolution."""
        canvas = self.canvas
        assert isinstance(canvas, FigureCanvasAgg)  # noqa: S101 - by `new_figure`.
        return canvas.get_renderer()

    def fix_layout(self) -> None:
        """Arranges the axes for good, so that labels can be placed in them."""
        self.draw_without_rendering()
        self.set_layout_engine("none")

    def draw(self, renderer: RendererBase) -> None:
        """Draws the figure, see `matplotlib.figure.Figure.draw`."""
        with own_style():
            super().draw(renderer)

    def get_tightbbox(self, *args: Any, **kwargs: Any) -> Bbox:
        """Returns the box about all that is drawn; notebooks cut figures to it."""
        with own_style():
            return super().get_tightbbox(*args, **kwargs)

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Saves the figure, see `matplotlib.figure.Figure.savefig`."""
        with own_style():
            super().savefig(*args, **kwargs)


def new_figure(width: float, height: float) -> IsolatedFigure:
    """Returns an empty figure; build its contents in `own_style` too.

    It is made without pyplot, which needs a display and keeps a list of all figures.

    Args:
        width: Width in inches.
        height: Height in inches.
    """
    with own_style():
        figure = IsolatedFigure((width, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
    return figure


def figure_of(axes: Axes) -> IsolatedFigure:
    """Returns the figure that axes are in."""
    figure = axes.get_figure()
    assert isinstance(figure, IsolatedFigure)  # noqa: S101 - all of ours are.
    return figure


def one_line(text: str, most: int = 0) -> str:
    r"""Returns a name as one line of characters that can be drawn.

    Args:
        text: Any text, such as a file name.
        most: Number of characters above which the middle is left out; 0 for any.

    >>> one_line("a\nb\udce4")
    'a\\nb\\udce4'
    >>> one_line("a_long_name.fits", 9)
    'a_lo…fits'
    """
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text
    )
    if not 0 < most < len(shown):
        return shown
    half = (most - 1) // 2
    return f"{shown[: most - 1 - half]}…{shown[-half:] if half else ''}"
