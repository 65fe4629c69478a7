"""Traced programs are kept, and made again wherever a kept one cannot be used."""

import gzip

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from claran import kept_programs
from claran.detection.detector import Detector
from claran.detection.loading import load_model, save_model
from claran.detection.network_calls import CompiledNetwork
from claran.kept_programs import open_program

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)
ABOUT = {"settings": [0.3, 0.7]}


@pytest.fixture
def folder(tmp_path):
    """The folder in which JAX keeps programs."""
    names = "jax_compilation_cache_dir", "jax_enable_compilation_cache"
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "jax"))
    yield tmp_path / "jax"
    for name, value in before.items():
        jax.config.update(name, value)


class Scaled:
    """A function that counts how often it is traced."""

    traced = 0

    def __call__(self, weights, batch):
        self.traced += 1
        return {"sum": (weights[0] * batch["rows"]).sum(axis=1), "rows": batch["rows"]}


@pytest.fixture
def run(folder):
    """Opens a program as a new process does; returns how often it was traced."""

    def run(rows=ROWS, about=ABOUT):
        function = Scaled()
        arguments = [jnp.float32(3)], {"rows": rows}
        found = open_program(function, arguments, about)(*arguments)
        np.testing.assert_array_equal(found["sum"], 3 * rows.sum(axis=1))
        np.testing.assert_array_equal(found["rows"], rows)
        return function.traced

    return run


def files(folder):
    return sorted((folder / "traced").iterdir())


def test_a_program_is_traced_once(run, folder):
    assert run() == 1
    (path,) = files(folder)
    changed = path.stat().st_mtime_ns
    assert run() == 0
    assert path.stat().st_mtime_ns == changed


@pytest.mark.parametrize(
    "other", [{"rows": ROWS[:1]}, {"rows": ROWS.astype("f8")}, {"about": {}}]
)
def test_what_decides_on_a_program_has_its_own(run, folder, other):
    with jax.enable_x64(True):
        assert [run(), run(**other), run(), run(**other)] == [1, 1, 0, 0]
    assert len(files(folder)) == 2


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
def test_a_damaged_file_is_made_again(run, folder, damage):
    run()
    (path,) = files(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert [run(), run()] == [1, 0]


def test_without_a_folder_all_works(run, folder):
    folder.write_text("a file is in its place")
    assert [run(), run()] == [1, 1]
    jax.config.update("jax_compilation_cache_dir", "gs://bucket/jax")
    assert run() == 1
    jax.config.update("jax_compilation_cache_dir", None)
    assert run() == 1


def test_a_switched_off_cache_keeps_nothing(run, folder):
    jax.config.update("jax_enable_compilation_cache", False)
    assert run() == 1
    assert not folder.exists()


def test_of_very_many_the_oldest_go(run, folder, monkeypatch):
    monkeypatch.setattr(kept_programs, "MOST", 2)
    for number in range(4):
        run(about={"number": number})
    assert len(files(folder)) == 2
    assert run(about={"number": 3}) == 0


def test_what_cannot_be_exported_runs(folder):
    def function(x):
        return jax.pure_callback(np.sin, x, x)

    arguments = (jnp.float32(1),)
    assert open_program(function, arguments, {})(*arguments) == np.sin(np.float32(1))


@pytest.fixture
def loaded(tiny_channels, tmp_path):
    """A model that was loaded from a file."""
    keras.utils.set_random_seed(1)  # With some weights thresholds change nothing.
    save_model(tiny_channels(), tmp_path / "model.keras")
    return load_model(tmp_path / "model.keras")


def test_a_detector_finds_the_same_with_kept_programs(
    loaded, folder, sky_fields, monkeypatch
):
    def detect(model):
        """Returns what is found with three thresholds, the last as the first."""
        detector, found = Detector(model), []
        for threshold in (0.3, 0.05, 0.3):
            model.set_thresholds(nms_threshold=threshold, rpn_nms_threshold=None)
            table = detector.detect(sky_fields[0], score_threshold=0.0)
            found.append([table[name].tolist() for name in ("score", "x0", "y1")])
        assert found[0] == found[2]
        return found

    traced = detect(loaded.with_network(loaded.network))  # No file describes it.
    assert traced[0] != traced[1] and not folder.exists()
    assert detect(loaded) == traced
    assert len(files(folder)) == 2
    monkeypatch.setattr(CompiledNetwork, "_detect", None)  # It is not traced again.
    assert detect(loaded) == traced


def test_a_change_of_a_loaded_model_counts(loaded):
    before = loaded.traits()
    assert before == loaded.traits()
    loaded.network.proposals.max_outputs += 1
    changed = loaded.traits()
    assert changed not in (before, None)
    loaded.set_thresholds(nms_threshold=0.123, rpn_nms_threshold=None)
    assert loaded.traits() not in (before, changed, None)


def test_models_that_no_file_describes_have_no_traits(loaded, tiny_channels):
    class Foreign(keras.layers.Layer):
        """Its code is not claran's, so that it may change unseen."""

    assert tiny_channels().traits() is None
    assert loaded.with_network(loaded.network).traits() is None
    loaded.network.head = Foreign()
    assert loaded.traits() is None
