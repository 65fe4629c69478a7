"""Partial results of a long run, which are there again after an interruption."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from claran.io import resuming
from claran.io.resuming import PartialResults, code_fingerprint, settings_differ

SETTINGS = {"model": "m", "beam": None}


def pack(results):
    return {
        "numbers": np.concatenate([[], *results]),
        "counts": np.array([len(one) for one in results]),
    }


def unpack(arrays):
    ends = np.cumsum(arrays["counts"])
    return np.split(arrays["numbers"], ends[:-1])


def reopen(folder, settings=SETTINGS):
    told = []
    partial = PartialResults(
        folder, settings, pack=pack, unpack=unpack, tell=told.append
    )
    return partial, told


def parts(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def every_result(monkeypatch):
    """Every result is written as soon as it is there."""
    monkeypatch.setattr(resuming, "SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path, every_result):
    """Four parts of 2, 0, 1 and 3 numbers."""
    partial, told = reopen(tmp_path / "x")
    assert told == [] and partial.results == []
    for numbers in ([0.5, 0.25], [], [4.0], [1.0, 2.0, 3.0]):
        partial.add(np.array(numbers))
    return tmp_path / "x"


def assert_holds(partial, *expected):
    assert [one.tolist() for one in partial.results] == [list(one) for one in expected]


def test_a_run_resumes(folder):
    partial, told = reopen(folder)
    assert told == []
    assert_holds(partial, [0.5, 0.25], [], [4], [1, 2, 3])
    partial.add(np.array([7.0]))
    assert parts(folder) == [f"part-{number:06d}.npz" for number in range(5)]
    again, _ = reopen(folder)
    assert_holds(again, [0.5, 0.25], [], [4], [1, 2, 3], [7])
    again.remove()
    assert not folder.exists()
    again.remove()  # Of none: in vain.


def test_only_its_own_files_are_removed(folder):
    (folder / "notes.txt").write_text("mine")
    partial, _ = reopen(folder)
    partial.remove()
    assert parts(folder) == ["notes.txt"]


def test_parts_are_few(tmp_path):
    partial, _ = reopen(tmp_path / "x")
    partial.add(np.ones(1))
    assert not (tmp_path / "x").exists() and len(partial.results) == 1
    partial.write()
    partial.add(np.ones(2))
    partial.add(np.ones(3))
    partial.write()
    partial.write()  # Nothing is new.
    assert parts(tmp_path / "x") == ["part-000000.npz", "part-000001.npz"]
    again, _ = reopen(tmp_path / "x")
    assert_holds(again, [1], [1, 1], [1, 1, 1])


def test_other_settings_start_afresh_and_are_named(folder):
    partial, (message,) = reopen(folder, {"beam": 5.4, "model": "m", "device": "c"})
    assert message == f"{folder}: made with another beam, device; starting again."
    assert partial.results == [] and partial.seconds == 0
    assert parts(folder) == []
    assert reopen(folder)[1] == []  # They have gone.


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text", "no settings"])
def test_damage_costs_the_parts_from_there_on(folder, damage):
    second = folder / "part-000001.npz"
    content = bytearray(second.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "no settings":
        np.savez(second, numbers=np.ones(1), counts=np.ones(1, int))
        content = second.read_bytes()
    else:
        content = {"cut": content[:-30], "empty": b"", "text": b"{"}[damage]
    second.write_bytes(content)
    partial, (message,) = reopen(folder)
    assert message.startswith(f"{second}: damaged (")
    assert message.endswith("resuming before it.")
    assert_holds(partial, [0.5, 0.25])
    assert parts(folder) == ["part-000000.npz"]
    partial.add(np.array([9.0]))
    assert_holds(reopen(folder)[0], [0.5, 0.25], [9])


def test_a_part_that_is_gone_costs_those_after_it(folder):
    (folder / "part-000002.npz").unlink()
    partial, told = reopen(folder)
    assert_holds(partial, [0.5, 0.25], [])
    assert told == [] and parts(folder) == ["part-000000.npz", "part-000001.npz"]


def test_objects_of_python_are_not_loaded(folder):
    about = np.array(json.dumps({"settings": SETTINGS, "seconds": 0.0}))
    objects = np.array([{}], object)
    np.savez(folder / "part-000000.npz", about=about, numbers=objects, counts=[1])
    partial, (message,) = reopen(folder)
    assert partial.results == [] and "damaged (Object arrays cannot" in message


def test_the_time_is_that_of_all_runs(tmp_path, every_result, monkeypatch):
    for before, now in ((0, 7.0), (2, 12.0)):
        # Opened at 0; each result comes at `now` and is written then.
        clock = iter([0.0, now, now, now, now])
        monkeypatch.setattr(resuming, "time", SimpleNamespace(monotonic=clock.__next__))
        partial, _ = reopen(tmp_path / "x")
        assert len(partial.results) == before
        partial.add(np.ones(1))
        partial.add(np.ones(1))
    assert partial.seconds == 19.0


def test_settings_differ_says_which(tmp_path):
    told = []
    assert not settings_differ(tmp_path, {"a": 1}, {"a": 1}, told.append)
    assert not settings_differ(tmp_path, {"a": None}, {}, told.append)
    assert told == []
    assert settings_differ(tmp_path, {"b": 1, "c": 2}, {"a": 1, "c": 2}, told.append)
    assert told == [f"{tmp_path}: made with another a, b; starting again."]


def test_code_is_what_its_files_hold(tmp_path):
    assert code_fingerprint() == code_fingerprint() != code_fingerprint(tmp_path)
    module = tmp_path / "a.py"
    found = set()
    for content in ("one", "other"):
        module.write_text(content)
        found.add(code_fingerprint(tmp_path))
    module.rename(tmp_path / "b.py")
    found.add(code_fingerprint(tmp_path))
    (tmp_path / "cache").write_text("")
    found.add(code_fingerprint(tmp_path))
    assert len(found) == 3
