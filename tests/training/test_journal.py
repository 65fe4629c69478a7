import pytest

from claran.training.journal import COLUMNS, Journal, read_log


def row(step, **more):
    losses = dict.fromkeys(COLUMNS[1:-1], step / 8)
    return {"step": step, **losses, **more}


def test_rows_and_curves(tmp_path):
    journal = Journal(tmp_path, 0)
    rows = [row(4), row(8, validation_map=0.25)]
    for one in rows:
        journal.add(one)
    journal.close()
    assert read_log(tmp_path / "log.csv") == rows
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {
        "log.csv", "curves.png", "tensorboard",
    }  # fmt: skip


def test_rows_of_repeated_steps_are_removed(tmp_path):
    for start, steps in ((0, (4, 8, 12)), (8, (12, 16))):
        journal = Journal(tmp_path, start)
        for step in steps:
            journal.add(row(step, loss=float(start)))
        journal.close()
    found = read_log(tmp_path / "log.csv")
    assert [(r["step"], r["loss"]) for r in found] == [(4, 0), (8, 0), (12, 8), (16, 8)]


def test_tensorboard_reads_it(tmp_path):
    tensorflow = pytest.importorskip(
        "tensorflow", reason="needs TensorFlow (extra tf1)"
    )
    loader = tensorflow.compat.v1.train.summary_iterator
    journal = Journal(tmp_path, 0)
    journal.add(row(4, validation_map=0.5))
    journal.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = {
        value.tag: value.simple_value
        for event in loader(str(path))
        for value in event.summary.value
    }
    assert found == dict.fromkeys(COLUMNS[1:-1], 0.5) | {"validation_map": 0.5}


def test_settings_of_the_user_do_not_change_the_curves(tmp_path, hostile_settings):
    def draw(folder):
        journal = Journal(folder, 0)
        journal.add(row(4))
        journal.add(row(800, validation_map=0.25))
        journal.close()
        return (folder / "curves.png").read_bytes()

    for name in "ab":
        (tmp_path / name).mkdir()
    expected = draw(tmp_path / "a")
    with hostile_settings():
        assert draw(tmp_path / "b") == expected
