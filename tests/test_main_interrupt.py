"""Ctrl-C and SIGTERM: one line, the shell's status, no process left."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

# What runs in the background of a script ignores interrupts, unless it says otherwise.
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('claran.main', run_name='__main__', alter_sys=True)"
)
TRAIN = (
    "--mode=train", "--data=simulated/balanced", "--output=run", "--batch_size=2",
    "--steps=1000", "--validation_fields=0", "--workers=2",
)  # fmt: skip
SIMULATE = ("--mode=simulate", "--num=100000", "--output=fields")


@pytest.fixture
def stop(tmp_path):
    """Starts the command, stops it when `ready`; returns status, errors, children."""

    def run(arguments, ready, signals, *, alone=False):
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *arguments],
            stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                while not ready(process):
                    assert process.poll() is None
                    time.sleep(0.05)
                children = psutil.Process(process.pid).children(recursive=True)
                for number in signals:  # As a terminal does: to all processes.
                    (os.kill if alone else os.killpg)(process.pid, number)
                _, errors = process.communicate(timeout=30)
            finally:
                process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        left = [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
        return process.returncode, errors, left

    return run


def has_children(process):
    """Whether the workers run; one that is starting reads from its parent."""
    children = psutil.Process(process.pid).children(recursive=True)
    return len(children) >= 3 and all(map(has_begun, children))


def has_begun(child):
    try:
        # Python, NumPy and what makes batches; an interpreter alone has 10 MB.
        return child.memory_info().rss > 2**26 or "resource_tracker" in "".join(
            child.cmdline()
        )
    except psutil.Error:
        return False


def has_imported_jax(process):
    maps = psutil.Process(process.pid).memory_maps()
    return any("jaxlib" in one.path for one in maps)


def test_at_the_start(stop):
    status, errors, _ = stop(TRAIN, has_imported_jax, [signal.SIGINT])
    assert status == 130
    assert errors == (
        "claran: stopped. The same command resumes from the last checkpoint.\n"
    )


def test_twice_while_files_are_written(stop, tmp_path):
    status, errors, _ = stop(
        SIMULATE, lambda _: list(tmp_path.glob("fields/*.fits")), [signal.SIGINT] * 2
    )
    assert (status, errors) == (130, "claran: stopped.\n")


def test_a_batch_system_ends_it(stop, tmp_path):
    status, errors, _ = stop(
        SIMULATE, lambda _: list(tmp_path.glob("fields/*.fits")), [signal.SIGTERM]
    )
    assert (status, errors) == (143, "claran: stopped.\n")


@pytest.mark.slow
def test_workers_of_a_training_end_in_silence(stop):
    status, errors, left = stop(TRAIN, has_children, [signal.SIGINT])
    assert status == 130 and left == []
    assert errors.splitlines() == [
        "claran: stopped. The same command resumes from the last checkpoint."
    ]


@pytest.mark.slow
def test_workers_of_a_training_end_with_a_killed_parent(stop):
    status, errors, left = stop(TRAIN, has_children, [signal.SIGKILL], alone=True)
    assert status == -signal.SIGKILL and left == [] and "Traceback" not in errors
