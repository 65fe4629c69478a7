"""The command as a process: help, interrupts, who reads its output."""

import os
import signal
import subprocess
import sys
import time

import pytest


def test_help_of_one_mode(tmp_path):
    done = run_module("--mode=convert", "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "--tf_checkpoint:" in done.stdout and "--radio:" not in done.stdout


def test_a_flag_of_another_mode_is_refused(tmp_path, assert_fails):
    done = run_module("--mode=demo", "--tf_checkpoint=x", folder=tmp_path)
    assert_fails(
        (done.returncode, "", done.stderr),
        "--tf_checkpoint is a flag of --mode=convert",
    )


def run_module(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "claran.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_a_reader_that_has_enough(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "claran.main", "--help"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


# What runs in the background of a script ignores interrupts, unless it says otherwise.
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('claran.main', run_name='__main__', alter_sys=True)"
)


def test_an_interrupt(tmp_path):
    command = ("--mode=simulate", "--num=100000", "--output=fields")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *command],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            while not list(tmp_path.glob("**/*.fits")):
                assert process.poll() is None
                time.sleep(0.1)
            # As a terminal does: to all processes.
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "claran: stopped."
    assert "Traceback" not in errors


def test_as_a_program(narrow_path, tmp_path, monkeypatch):
    """Also with settings of Matplotlib that would end its import."""
    (tmp_path / "settings").mkdir()
    text = "text.usetex: True\n# caf\u00e9\n"
    (tmp_path / "settings" / "matplotlibrc").write_text(text, encoding="latin-1")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "settings"))
    monkeypatch.setenv("MPLBACKEND", "none of its")
    done = run_module(
        "--mode=demo", f"--model={narrow_path}", "--output=out", folder=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert (tmp_path / "out" / "simulated_radio_pred.png").is_file()


def test_missing_accelerator(tmp_path, assert_fails):
    done = run_module("--mode=demo", "--accelerator=gpu", folder=tmp_path)
    if done.returncode == 0:
        pytest.skip("there is a GPU here")
    assert_fails((done.returncode, "", done.stderr), "JAX finds no GPU here")


def test_help_as_a_program(tmp_path):
    done = run_module("--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--rpn_nms_threshold" in done.stdout
