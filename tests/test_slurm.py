"""The scripts for SLURM, run by bash with an `srun` that only starts the command."""

import os
import subprocess
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from claran import main as claran_main

# Flags that are defined while a flagsaver holds the others go with it.
from claran.commands import evaluate, train  # noqa: F401

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts" / "slurm"


def run(folder, name, *arguments, **variables):
    """Returns the command that the script ends in, and what it says."""
    for program, text in {
        "srun": 'while [[ "$1" == --* ]]; do shift; done; exec "$@"',
        "interpreter": 'printf "%s\\n" "$@"',
    }.items():
        path = folder / program
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHON": str(folder / "interpreter"),
    }
    done = subprocess.run(
        ["bash", str(SCRIPTS / name), *arguments],
        check=False,
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines(), done.stderr


def parse(command):
    """Returns the flags of the command as claran reads them."""
    assert command[:2] == ["-m", "claran.main"]
    with flagsaver.flagsaver():
        flags.FLAGS.unparse_flags()
        claran_main.parse_flags(["claran", *command[2:]])
        return {name: flags.FLAGS[name].value for name in flags.FLAGS}


@pytest.mark.parametrize("name", ["train.sbatch", "train_nodes.sbatch"])
def test_train(tmp_path, name):
    command, _ = run(tmp_path, name, "out put", "--data=simulated", "--batch_size=64")
    found = parse(command)
    assert (found["mode"], found["accelerator"]) == ("train", "gpu")
    assert (found["output"], found["data"]) == ("out put", "simulated")
    assert found["batch_size"] == 64


def test_eval(tmp_path):
    command, _ = run(
        tmp_path, "eval.sbatch", "best.keras", "out", "--data=rgz/d4", "--split=test"
    )
    found = parse(command)
    assert (found["mode"], found["model"]) == ("eval", "best.keras")
    assert (found["output"], found["data"]) == ("out", "rgz/d4")


def test_each_model_on_a_node_of_its_own(tmp_path):
    models = ["runs/a/best.keras", "runs/b/best.keras"]
    for i, model in enumerate(models):
        command, _ = run(
            tmp_path, "eval_models.sbatch", "out", "--data=rgz/d4 --split=test",
            *models, SLURM_ARRAY_TASK_ID=str(i),
        )  # fmt: skip
        found = parse(command)
        assert (found["model"], found["output"]) == (model, f"out/{'ab'[i]}")
        assert found["split"] == "test"
    command, _ = run(
        tmp_path, "eval_models.sbatch", "out", "--data=x", "runs/a/last.keras",
        SLURM_ARRAY_TASK_ID="0",
    )  # fmt: skip
    assert parse(command)["output"] == "out/a_last"


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPTS.iterdir()))
def test_without_arguments_each_says_how(tmp_path, name):
    command, said = run(tmp_path, name)
    assert command == [] and "usage: sbatch " in said and name in said


def test_a_model_that_the_array_does_not_have(tmp_path):
    command, said = run(
        tmp_path, "eval_models.sbatch", "out", "--data=x", "a/b.keras",
        SLURM_ARRAY_TASK_ID="3",
    )  # fmt: skip
    assert command == [] and "no model of this number" in said
