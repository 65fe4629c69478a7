import json
import os
import resource

import keras
import numpy as np
import pytest

from claran.io.atomic import replace_file
from claran.training.checkpoints import Checkpoints, write_json


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(optimizer=keras.optimizers.SGD(momentum=0.9), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def set_all(model, value):
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])


@pytest.fixture
def saved(model, tmp_path):
    """Three checkpoints whose weights equal their step, and the messages."""
    told = []
    checkpoints = Checkpoints(tmp_path / "checkpoints", tell=told.append)
    for step in (1, 2, 10):
        set_all(model, step)
        checkpoints.save(model, {"step": step, "best": None})
    return checkpoints, told


def test_the_latest_two_are_kept(saved):
    checkpoints, _ = saved
    names = [path.name for path in checkpoints.folder.iterdir()]
    assert sorted(names) == ["step-000000002", "step-000000010"]
    assert checkpoints.found()[0].name == "step-000000010"


def test_restored(saved, model):
    checkpoints, told = saved
    set_all(model, 0)
    assert checkpoints.restore(model) == {"step": 10, "best": None}
    assert (np.concatenate([w.ravel() for w in model.get_weights()]) == 10).all()
    assert told == []


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage, message",
    [
        pytest.param(
            lambda path: truncate(path / "training.weights.h5"),
            "does not match its checksum",
            id="weights-truncated",
        ),
        pytest.param(
            lambda path: (path / "training.weights.h5").unlink(),
            "No such file",
            id="weights-gone",
        ),
        pytest.param(
            lambda path: truncate(path / "state.json"), "damaged", id="state-truncated"
        ),
        pytest.param(
            lambda path: (path / "state.json").write_text("{}"),
            "has no checksum",
            id="state-empty",
        ),
    ],
)
def test_a_damaged_checkpoint_is_skipped(saved, model, damage, message):
    checkpoints, told = saved
    damage(checkpoints.found()[0])
    state = checkpoints.restore(model)
    assert state is not None and state["step"] == 2
    assert (model.get_weights()[0] == 2).all()
    (line,) = told
    assert "step-000000010" in line and message in line
    assert line.endswith("trying the previous checkpoint.")


def test_intact_checkpoints_are_kept_beside_damaged_ones_of_later_steps(saved, model):
    checkpoints, _ = saved
    for path in checkpoints.found():
        truncate(path / "training.weights.h5")
    assert checkpoints.restore(model) is None
    checkpoints.save(model, {"step": 1})
    state = checkpoints.restore(model)
    assert state is not None and state["step"] == 1


def test_nothing_to_restore(model, tmp_path):
    assert Checkpoints(tmp_path / "none").restore(model) is None


def test_killed_while_saving(saved, model):
    """A partial checkpoint is not loaded, and is deleted by a later one."""
    checkpoints, _ = saved
    half = checkpoints.folder / ".step-000000011.0123456789abcdef.partial"
    half.mkdir()
    (half / "training.weights.h5").write_bytes(b"half")
    os.utime(half, (0, 0))
    state = checkpoints.restore(model)
    assert state is not None and state["step"] == 10
    checkpoints.save(model, {"step": 11})
    assert not half.exists() and checkpoints.found()[0].name == "step-000000011"


def test_only_its_own_files_are_removed(saved, model):
    checkpoints, _ = saved
    note = checkpoints.found()[-1] / "note.txt"
    other = checkpoints.folder / "step-notes"
    note.write_text("mine")
    other.mkdir()
    for step in (11, 12, 13):
        checkpoints.save(model, {"step": step})
    assert note.exists() and other.is_dir()
    assert [path.name for path in checkpoints.found()[:2]] == [
        "step-000000013", "step-000000012",
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_disk_is_said_before_hdf5_writes(saved, model):
    """HDF5 itself crashes Python at its end."""
    checkpoints, _ = saved
    before = checkpoints.found()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large.*step-000000012"):
            checkpoints.save(model, {"step": 12})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoints.found() == before
    assert not list(checkpoints.folder.glob(".*"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})

    def fail(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"result.json: cannot be written \(disk full"):
        replace_file(path, fail)
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
