"""The command in odd surroundings: closed streams, no home, strict warnings."""

import os
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "claran.main"]
SIMULATE = ["--mode=simulate", "--num=1", "--output=sky"]  # Without JAX: it is quick.


def shell(script, folder, *arguments, **variables):
    """Runs the command by a shell, with `"$@"` in the script for it."""
    return subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, *arguments],
        capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | variables,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    done = shell(f'"$@" {closed}', tmp_path, *SIMULATE)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "sky/annotations.csv").is_file()


@pytest.mark.parametrize("arguments", [["--help"], SIMULATE])
def test_an_output_that_is_full(tmp_path, arguments):
    done = shell('"$@" > /dev/full', tmp_path, *arguments)
    assert done.returncode == 1 and done.stderr.count("claran: ") == 1
    assert "The standard output cannot be written to (No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_home(tmp_path, narrow_path):
    """Keras, matplotlib and JAX keep files at home; none of them complains."""
    unset = "unset XDG_CACHE_HOME JAX_COMPILATION_CACHE_DIR KERAS_HOME; "
    demo = ["--mode=demo", f"--model={narrow_path}", "--output=out"]
    done = shell(
        f'{unset}"$@"', tmp_path, *demo, HOME="/proc/none", TMPDIR=str(tmp_path)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_warnings_that_are_errors(tmp_path):
    done = shell('"$@"', tmp_path, *SIMULATE, PYTHONWARNINGS="error")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_that_knows_only_ascii(tmp_path):
    arguments = ["--mode=simulate", "--num=1", "--output=ciel_é"]
    done = shell('"$@"', tmp_path, *arguments, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"their sources: ciel_\u00e9" in done.stdout
    assert (tmp_path / "ciel_é/annotations.csv").is_file()


def test_a_folder_that_is_gone(tmp_path):
    (tmp_path / "gone").mkdir()
    done = shell('cd gone && rmdir ../gone && "$@"', tmp_path, *SIMULATE)
    assert done.returncode == 1
    assert done.stderr == "claran: The current folder was deleted; cd to another one.\n"


FAULTY = """
import sys
from claran import main
def fail():
    raise KeyError("x")
main._run_mode = fail
main.run()
"""


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_claran_is_one_line(tmp_path, debug):
    arguments = ["--mode=simulate", *(["--debug"] if debug else [])]
    done = subprocess.run(
        [sys.executable, "-c", FAULTY, *arguments],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    *trace, line = done.stderr.splitlines()
    assert line.startswith("claran: KeyError: 'x'. This is a fault of claran; please")
    assert bool(trace) == debug and ("Traceback" in done.stderr) == debug
