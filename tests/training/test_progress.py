"""How far a training is, in a log file and in a terminal."""

import io
import re
import sys

import pytest

from claran.training import progress
from claran.training.group_training import GroupTraining
from claran.training.joint import LOSSES
from claran.training.progress import ProgressBar

LOGS = dict.fromkeys((*LOSSES, "loss"), 0.5) | {"learning_rate": 2e-4}


def test_a_line_for_each_checkpoint_without_a_terminal(capfd):
    told = []
    bar = ProgressBar(steps=10, start=4, batch_size=2, tell=told.append)
    bar.on_train_begin()
    for step in range(6):
        bar.on_train_batch_end(step, LOGS)
        if step % 3 == 2:
            bar.on_epoch_end(step, LOGS)
    bar.close()
    assert capfd.readouterr() == ("", "")
    assert len(told) == 2
    assert told[0].startswith("Step 7 of 10: loss 0.500, learning rate 2.0e-04, ")
    assert re.search(r" images/s, 0:00:00 left\.$", told[1])


@pytest.mark.parametrize("names", [LOSSES, GroupTraining.LOSSES])
def test_a_bar_with_the_losses_that_there_are(names, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "REFRESH", -1.0)
    bar = ProgressBar(steps=2, start=0, batch_size=2, tell=print)
    bar.on_train_begin()
    bar.on_train_batch_end(0, dict.fromkeys(names, 0.5) | {"learning_rate": 2e-4})
    bar.close()
    assert " ".join(f"{name}=0.500" for name in names) in terminal.getvalue()
