import functools
import json

import keras
import numpy as np
import pytest
import small_training
from small_training_process import kill_after_first_checkpoint, start

from claran.detection.loading import load_model
from claran.fields.framing import Picture
from claran.training import trainer
from claran.training.journal import read_log
from claran.training.run_record import TrainingError
from claran.training.trainer import TrainingOptions


def weights(path):
    return load_model(path).get_weights()


def assert_same_training(found, expected):
    """Asserts that two folders hold the same training to the last bit."""
    for name in ("last.keras", "best.keras"):
        for a, b in zip(weights(found / name), weights(expected / name), strict=True):
            np.testing.assert_array_equal(a, b)
    logs = [read_log(folder / "log.csv") for folder in (found, expected)]
    for row in (*logs[0], *logs[1]):
        row.pop("images_per_second")
    assert logs[0] == logs[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing disturbed; its best model is not the last."""
    folder = tmp_path_factory.mktemp("whole")
    result = small_training.run(folder, validate=small_training.falling_score)
    return folder, result


def test_what_it_leaves_behind(whole):
    folder, result = whole
    assert result["step"] == 12 and result["best"]["step"] == 4
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "best.keras", "last.keras", "log.csv", "curves.png", "run.json", "tensorboard",
        "checkpoints",
    }  # fmt: skip
    record = json.loads((folder / "run.json").read_text())
    assert record["result"] == result
    assert record["settings"]["seed"] == 7 and record["settings"]["steps"] == 12
    assert record["versions"]["keras"] == keras.__version__
    rows = read_log(folder / "log.csv")
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert rows[2]["loss"] < rows[0]["loss"]
    assert any(
        (a != b).any()
        for a, b in zip(
            weights(folder / "best.keras"), weights(folder / "last.keras"), strict=True
        )
    )


def test_the_same_again(whole, tmp_path):
    small_training.run(
        tmp_path, validate=small_training.falling_score, keep_models=True
    )
    assert_same_training(tmp_path, whole[0])
    kept = sorted(path.name for path in tmp_path.glob("step-*.keras"))
    assert kept == [f"step-{step:06d}.keras" for step in (4, 8, 12)]
    for name, step in (("best.keras", 4), ("last.keras", 12)):
        same = weights(tmp_path / f"step-{step:06d}.keras")
        for a, b in zip(weights(tmp_path / name), same, strict=True):
            assert (a == b).all()


def test_another_seed_is_another_training(whole, tmp_path):
    small_training.run(tmp_path, seed=8, validate=small_training.falling_score)
    with pytest.raises(AssertionError):
        assert_same_training(tmp_path, whole[0])


def test_a_finished_training_is_left_alone(whole):
    folder, result = whole
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    told = []
    again = small_training.run(
        folder, validate=small_training.falling_score, tell=told.append
    )
    assert again == result and "this training has ended" in told[0]
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_other_settings_in_its_folder(whole):
    with pytest.raises(TrainingError, match=r"other settings: seed was 7, now 8\. "):
        small_training.run(whole[0], seed=8)


def test_killed_at_any_moment_it_ends_the_same(whole, tmp_path):
    """A process is killed (SIGKILL) after its first checkpoint; the next resumes."""
    kill_after_first_checkpoint(tmp_path, start("run", tmp_path))
    assert not (tmp_path / "last.keras").exists()
    told = []
    small_training.run(
        tmp_path, validate=small_training.falling_score, tell=told.append
    )
    assert "resumes from step" in told[0]
    assert_same_training(tmp_path, whole[0])


def test_killed_after_its_last_step_it_trains_no_further(tmp_path, monkeypatch):
    # The steps are not a multiple of it: Keras would begin a new epoch.
    run = functools.partial(
        small_training.run, save_every=8, validate=small_training.falling_score
    )
    run(tmp_path / "whole")

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "finish_run", kill)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
    (tmp_path / "killed" / "last.keras").unlink()
    run(tmp_path / "killed")
    assert_same_training(tmp_path / "killed", tmp_path / "whole")


class Spoiled(Picture):
    """The picture of one field has no finite pixel."""

    def __call__(self, field):
        scene = super().__call__(field)
        if field.name == "SIM0000_000000003":
            scene.image[:] = np.nan
        return scene


def test_a_loss_that_is_no_number_names_the_batch(tmp_path):
    model = small_training.make_model()
    model.preprocessor = Spoiled(method="D1", image_size=64)
    with pytest.raises(TrainingError, match=r"diverged at step .*bad_batch\.json"):
        small_training.run(tmp_path, model=model)
    bad = json.loads((tmp_path / "bad_batch.json").read_text())
    assert "SIM0000_000000003" in bad["names"] and len(bad["names"]) == 2
    # The field is in one batch of the first five fields, so in one of the first three.
    assert bad["step"] < 3 and bad["gradient_norm"] == "nan"
    assert not list(tmp_path.glob("checkpoints/*"))


@pytest.mark.parametrize("name", ["save_every", "validate_every"])
def test_nonsense(name, tmp_path):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        TrainingOptions(output=tmp_path, **{name: 0})
