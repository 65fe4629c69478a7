"""Figures look the same whatever the settings of the user are."""

import copy
import pickle
import threading

import matplotlib
import pytest
from matplotlib.text import Text

from claran.figures.isolation import new_figure, one_line, own_style


def test_settings_are_back_afterwards():
    with matplotlib.rc_context({"text.usetex": True, "font.size": 31}):
        before = copy.copy(dict(matplotlib.rcParams))
        with own_style():
            assert not matplotlib.rcParams["text.usetex"]
            assert matplotlib.rcParams["font.size"] == 10
        with pytest.raises(ZeroDivisionError), own_style():
            _ = 1 / 0
        assert dict(matplotlib.rcParams) == before


def test_settings_are_back_after_many_threads():
    """Of two that overlap, the last to leave must not restore claran's settings."""
    inside, leave = threading.Barrier(2, timeout=0.2), []

    def draw():
        with own_style():
            try:
                inside.wait()  # Nobody else gets in, so that this breaks.
                leave.append("together")
            except threading.BrokenBarrierError:
                leave.append("alone")

    with matplotlib.rc_context({"font.size": 31}):
        threads = [threading.Thread(target=draw) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert matplotlib.rcParams["font.size"] == 31
    assert leave == ["alone", "alone"]


def test_a_figure_is_drawn_later_in_its_own_style(tmp_path):
    """Also texts that only drawing makes, such as ticks, are plain."""
    with own_style():
        figure = new_figure(2, 2)
        axes = figure.add_subplot()
        axes.set_title("$x_1$ 星")
    with matplotlib.rc_context({"text.usetex": True, "savefig.format": "pdf"}):
        figure.get_tightbbox()
        figure.savefig(tmp_path / "x.png")
        axes.set_xlim(0, 1e9)
        figure.canvas.draw()
        shown = [text for text in figure.findobj(Text) if text.get_text()]
        assert len(shown) > 8
        assert not any(one.get_usetex() or one.get_parse_math() for one in shown)
    assert pickle.loads(pickle.dumps(figure)).axes[0].get_title() == "$x_1$ 星"


@pytest.mark.parametrize(
    "text, most, shown",
    [
        ("plain.fits", 0, "plain.fits"),
        ("a\r\n\x1b[31m\u202e", 0, r"a\r\n\x1b[31m\u202e"),
        ("\ud800", 0, r"\ud800"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc…fg"),
        ("abcdefg", 1, "…"),
        ("星系", 0, "星系"),
        ("", 5, ""),
    ],
)
def test_names_are_one_line(text, most, shown):
    assert one_line(text, most) == shown
