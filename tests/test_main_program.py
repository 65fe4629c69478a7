"""The command as a process: help, who reads its output."""

import os
import subprocess
import sys

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


def test_as_a_program(narrow_path, tmp_path, monkeypatch):
    """Also with settings of Matplotlib that would end its import."""
    (tmp_path / "settings").mkdir()
    text = "text.usetex: True\n# \u00e9t\u00e9\n"
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
