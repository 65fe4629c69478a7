import json
import subprocess
from pathlib import Path

import pytest

from claran.training.run_record import TrainingError, finish_run, open_run


def test_record_of_a_finished_training(tmp_path):
    folder = tmp_path / "new" / "run"
    record = open_run(folder, {"seed": 1, "classes": ("a", "b")}, write=True)
    assert json.loads((folder / "run.json").read_text()) == record
    assert record["result"] is None and record["settings"]["classes"] == ["a", "b"]
    assert {"python", "jax", "keras", "claran"} <= set(record["versions"])
    assert record["hardware"]["devices"] and record["hardware"]["processes"] == 1
    finish_run(folder, record, {"step": 3})
    again = open_run(folder, {"seed": 1, "classes": ("a", "b")}, write=True)
    assert again["result"] == {"step": 3} and again["started"] == record["started"]


def test_another_process_writes_nothing(tmp_path):
    open_run(tmp_path / "run", {"seed": 1}, write=False)
    assert not (tmp_path / "run").exists()


def test_the_commit(tmp_path):
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root), "rev-parse", "HEAD"]
    done = subprocess.run(git, capture_output=True, text=True, check=True)
    record = open_run(tmp_path, {}, write=False)
    assert record["git"]["commit"] == done.stdout.strip()


def test_other_settings(tmp_path):
    open_run(tmp_path, {"seed": 1, "steps": 5}, write=True)
    with pytest.raises(
        TrainingError, match=r"other settings: new was None, now 2; steps was 5, now 6"
    ):
        open_run(tmp_path, {"seed": 1, "steps": 6, "new": 2}, write=True)


@pytest.mark.parametrize("text", ["half a {", "[1]"])
def test_not_a_record(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(TrainingError, match="not the record of a training; give anoth"):
        open_run(tmp_path, {}, write=True)
