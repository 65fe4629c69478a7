"""The progress of a survey: area, speed and time left, also after an interruption."""

import io
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from claran.survey import tile_progress


class Terminal(io.StringIO):
    """A terminal that keeps what is shown."""

    progress: Callable[..., Any]

    def isatty(self):
        return True

    def last(self):
        return self.getvalue().split("\r")[-1].strip()


@pytest.fixture
def terminal(monkeypatch):
    shown = Terminal()

    def progress(*arguments):  # Pytest sets the stream again after the set-up.
        monkeypatch.setattr(sys, "stderr", shown)
        return tile_progress.progress(*arguments)

    shown.progress = progress
    return shown


def test_area_and_speed_are_shown(terminal):
    with terminal.progress("measure", [False] * 4, np.full(4, 0.25), "deg2") as advance:
        assert "measure:   0%" in terminal.last() and "| 0/1 deg2 [" in terminal.last()
        for _ in range(4):
            advance(False)
    assert "measure: 100%" in terminal.last()
    assert "| 1/1 deg2 [" in terminal.last() and terminal.last().endswith("deg2/h]")


def test_what_was_there_before_counts_as_done_but_not_as_fast(terminal):
    made = [True, True, True, False]
    with terminal.progress("measure", made, [3.0, 1.0, 1.0, 5.0], "deg2") as advance:
        assert "measure:  50%" in terminal.last() and "| 5/10 deg2" in terminal.last()
        for there in made[:3]:
            advance(there)
        assert "| 5/10 deg2" in terminal.last()
        assert terminal.last().endswith((", ? deg2/h]", ", 0 deg2/h]"))
        advance(False)
    assert "| 10/10 deg2" in terminal.last()


def test_parts_without_areas_are_counted(terminal):
    with terminal.progress("noise", [True, False], None, "deg2") as advance:
        assert "noise:  50%" in terminal.last() and " 1/2 [" in terminal.last()
        advance(True)
        advance(False)
    assert "2/2" in terminal.last() and "part" in terminal.last()


def test_nothing_is_shown_where_there_is_no_terminal(capsys):
    with tile_progress.progress("noise", [False], [1.0], "deg2") as advance:
        advance(False)
    assert capsys.readouterr() == ("", "")
