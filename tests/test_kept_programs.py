"""Traced programs are kept, and made again wherever a kept one cannot be used."""

import gzip

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran import kept_programs
from claran.kept_programs import open_program

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)
ABOUT = {"settings": [0.3, 0.7]}


class Scaled:
    """A function that counts how often it is traced."""

    traced = 0

    def __call__(self, weights, batch):
        self.traced += 1
        return {"sum": (weights[0] * batch["rows"]).sum(axis=1), "rows": batch["rows"]}


@pytest.fixture
def run(program_folder):
    """Opens a program as a new process does; returns how often it was traced."""

    def run(rows=ROWS, about=ABOUT):
        function = Scaled()
        arguments = [jnp.float32(3)], {"rows": rows}
        found = open_program(function, arguments, about)(*arguments)
        np.testing.assert_array_equal(found["sum"], 3 * rows.sum(axis=1))
        np.testing.assert_array_equal(found["rows"], rows)
        return function.traced

    return run


def files(program_folder):
    return sorted((program_folder / "traced").iterdir())


def test_a_program_is_traced_once(run, program_folder):
    assert run() == 1
    (path,) = files(program_folder)
    changed = path.stat().st_mtime_ns
    assert run() == 0
    assert path.stat().st_mtime_ns == changed


@pytest.mark.parametrize(
    "other", [{"rows": ROWS[:1]}, {"rows": ROWS.astype("f8")}, {"about": {}}]
)
def test_what_decides_on_a_program_has_its_own(run, program_folder, other):
    with jax.enable_x64(True):
        assert [run(), run(**other), run(), run(**other)] == [1, 1, 0, 0]
    assert len(files(program_folder)) == 2


@pytest.mark.parametrize("what", ["jax", "_code"])
def test_other_versions_have_their_own(run, monkeypatch, what):
    assert run() == 1
    if what == "_code":
        monkeypatch.setattr(kept_programs, "_code", lambda: "another claran")
    else:
        monkeypatch.setattr(kept_programs, "version", lambda name: f"{name} 9")
    assert run() == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut off"),
        pytest.param(lambda content: content[:-40] + bytes(40), id="other bytes"),
        pytest.param(lambda content: b"no archive", id="no archive"),
        pytest.param(lambda content: gzip.compress(b"of another\0ab"), id="foreign"),
        pytest.param(
            lambda content: gzip.compress(
                gzip.decompress(content).partition(b"\0")[0] + b"\0nothing"
            ),
            id="no program",
        ),
    ],
)
def test_a_damaged_file_is_made_again(run, program_folder, damage):
    run()
    (path,) = files(program_folder)
    path.write_bytes(damage(path.read_bytes()))
    assert [run(), run()] == [1, 0]


def test_without_a_folder_all_works(run, program_folder):
    program_folder.write_text("a file is in its place")
    assert [run(), run()] == [1, 1]
    jax.config.update("jax_compilation_cache_dir", "gs://bucket/jax")
    assert run() == 1
    jax.config.update("jax_compilation_cache_dir", None)
    assert run() == 1


def test_a_switched_off_cache_keeps_nothing(run, program_folder):
    jax.config.update("jax_enable_compilation_cache", False)
    assert run() == 1
    assert not program_folder.exists()


def test_of_very_many_the_oldest_go(run, program_folder, monkeypatch):
    monkeypatch.setattr(kept_programs, "MOST", 2)
    for number in range(4):
        run(about={"number": number})
    assert len(files(program_folder)) == 2
    assert run(about={"number": 3}) == 0


def test_what_cannot_be_exported_runs(program_folder):
    def function(x):
        return jax.pure_callback(np.sin, x, x)

    arguments = (jnp.float32(1),)
    assert open_program(function, arguments, {})(*arguments) == np.sin(np.float32(1))
