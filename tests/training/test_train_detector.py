"""A whole training from Python, without the command line."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from claran.detection.loading import load_model
from claran.fields.augmentation import AddNoise, Move
from claran.training import session as sessions
from claran.training.journal import read_log
from claran.training.run_record import TrainingError
from claran.training.session import TrainingSession, train_detector


@pytest.fixture(scope="module")
def small(d1_path):
    """Makes a session that fine-tunes a narrow detector in a moment."""

    def session(output, **options):
        given = {
            "model": str(d1_path),
            "steps": 4,  # The same for all, as the step is compiled anew for others.
            "batch_size": 2,
            "save_every": 2,
            "validate_every": 1,
            "workers": 0,
        }
        return TrainingSession(output=output, **(given | options))

    return session


def run_record(folder):
    return json.loads((folder / "run.json").read_text())


def trained(session, source, validation=None):
    """Trains; returns the result and the messages."""
    told = []
    settings = {"data": "fields"}
    result = train_detector(
        session, source, validation, settings=settings, tell=told.append
    )
    # Where standard error is no terminal, there is a line for each checkpoint too.
    return result, [line for line in told if not line.startswith("Step ")]


@pytest.fixture(scope="module")
def whole(small, labelled, tmp_path_factory):
    """A training of four steps that nothing disturbed."""
    session = small(tmp_path_factory.mktemp("whole") / "run", seed=5)
    return session, *trained(session, labelled, labelled.fields)


class TestResuming:
    def test_what_it_leaves_behind(self, whole):
        session, result, told = whole
        assert result["step"] == 4 and 0 <= result["best"]["validation_map"] <= 1
        assert told == []
        rows = read_log(session.output / "log.csv")
        assert [row["step"] for row in rows] == [2, 4]
        record = run_record(session.output)["settings"]
        assert record["data"] == "fields" and record["model"] == session.model
        assert record["fields"] == record["validation_fields"] == 5
        assert record["fingerprint"] == "of a test" and record["size"] == [64, 64]
        assert record["start"] == "pretrained" and record["learning_rate"] == 2e-4
        assert record["augment"] == [repr(Move(shift=8)), repr(AddNoise())]

    def test_killed_after_the_first_checkpoint(self, whole, labelled, tmp_path):
        session, result, _ = whole
        killed = dataclasses.replace(session, output=tmp_path / "killed")
        shutil.copytree(session.output, killed.output)
        for name in ("last.keras", "best.keras"):
            (killed.output / name).unlink()
        shutil.rmtree(killed.output / "checkpoints" / "step-000000004")
        text = json.dumps(run_record(killed.output) | {"result": None})
        (killed.output / "run.json").write_text(text)

        again, told = trained(killed, labelled, labelled.fields)
        assert told == [f"{killed.output}: resumes from step 2 of 4."]
        for name in ("step", "best"):
            assert again[name] == result[name]
        whole_weights, weights = (
            load_model(one.output / "last.keras").get_weights()
            for one in (session, killed)
        )
        for a, b in zip(whole_weights, weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_a_finished_training(self, whole, labelled):
        session, result, _ = whole
        again, (line,) = trained(session, labelled, labelled.fields)
        assert again == result and "this training has ended" in line

    def test_other_settings(self, whole, labelled):
        changed = dataclasses.replace(whole[0], rpn_nms_threshold=0.6)
        message = "other settings: rpn_nms_threshold was 0.7, now 0.6"
        with pytest.raises(TrainingError, match=message):
            trained(changed, labelled, labelled.fields)


def test_scores_are_made_probabilities(small, labelled, d1_path, tmp_path, monkeypatch):
    """Anew: those of the model that it began with hold no more."""
    monkeypatch.setattr(sessions, "CALIBRATED", 5)
    calibrated = load_model(d1_path)
    calibrated.network.decoder.temperature = 2.0
    calibrated.save(tmp_path / "calibrated.keras")
    for count in (4, 5):
        session = small(tmp_path / str(count), model=str(tmp_path / "calibrated.keras"))
        _, told = trained(session, labelled, labelled.fields[:count])
        model = load_model(session.output / "best.keras")
        temperature = model.network.decoder.temperature
        if count == 4:  # Too few fields.
            assert temperature == 1 and told == []
        else:
            assert temperature not in (1, 2)
            expected = f"Calibrated scores: a temperature of {temperature}."
            assert told == [expected]


def test_the_seed_decides_the_first_weights(narrow, labelled, tmp_path, monkeypatch):
    begun = []
    note = lambda model, *_, **__: begun.append(model.get_weights())
    monkeypatch.setattr(sessions, "train", note)  # Its steps are of no interest here.
    monkeypatch.setitem(sessions.PRESETS, "claran_v1", narrow)
    for seed in (3, 3, 4):
        session = TrainingSession(output=tmp_path, seed=seed, batch_size=2, workers=0)
        trained(session, labelled)
    for one, again in zip(*begun[:2], strict=True):
        np.testing.assert_array_equal(one, again)
    assert (begun[0][0] != begun[2][0]).any()


def test_in_64_bits_it_is_the_same(small, labelled, tmp_path):
    """JAX_ENABLE_X64 is for other programs of the user."""
    weights = []
    for wide in (False, True):
        session = small(tmp_path / str(wide), seed=5)
        jax.config.update("jax_enable_x64", wide)
        try:
            trained(session, labelled, labelled.fields)
        finally:
            jax.config.update("jax_enable_x64", False)
        weights.append(load_model(session.output / "best.keras").get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
