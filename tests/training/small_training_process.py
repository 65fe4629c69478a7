"""Trainings in separate processes, which can be killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path(__file__).with_name("small_training.py")


def start(what, folder, **variables):
    """Starts one of the trainings of `small_training.py`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), what, str(folder)], env=environment
    )


def kill_after_first_checkpoint(folder, process):
    deadline = time.monotonic() + 200
    while not list(folder.glob("checkpoints/step-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
