"""An interpreter detects for each forked process, and ends with it."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import time
import warnings

import numpy as np
import psutil
import pytest

from claran import accelerator
from claran.detection import forked_engine
from claran.detection.forked_engine import detect_in_fork
from claran.errors import ImageError
from claran.evaluation.running import evaluate_detector

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def gone(pid, seconds=60):
    """Waits until a process has ended; returns whether it has."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
                continue
        return True
    return False


def interpreter():
    """The number of the interpreter that detects for this process."""
    return forked_engine._interpreter()._process.pid


@contextlib.contextmanager
def fork_pool(size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX's, that a fork may hang.
        with multiprocessing.get_context("fork").Pool(size) as pool:
            yield pool


held = {}


def detect_held(name):
    """Detects as a forked process does that has the detector from its parent."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        table = held["detector"].detect(held[name], score_threshold=0.0)
        held["detector"].detect(held[name])
    time.sleep(1)  # The other worker shall have work too.
    return table, [str(one.message) for one in told], os.getpid(), interpreter()


def assert_same_tables(found, expected):
    assert len(found) == len(expected) > 0 and found.meta == expected.meta
    for name in expected.colnames:
        np.testing.assert_array_equal(found[name], expected[name])


def test_two_forked_processes(channels_detector, sky_fields):
    fields = {one.name: one for one in sky_fields if one.name in "ad"}
    held.update(fields, detector=channels_detector)
    with fork_pool(2) as pool:
        results = pool.map_async(detect_held, fields, chunksize=1).get(45)
        workers = {number for *_, number, _ in results}
        interpreters = {number for *_, number in results}
        assert len(workers) == len(interpreters) == 2
    for (table, told, *_), field in zip(results, fields.values(), strict=True):
        wanted = channels_detector.detect(field, score_threshold=0.0)
        assert_same_tables(table, wanted)
        assert sum("get_context('spawn')" in line for line in told) == 1
    assert all(map(gone, [*workers, *interpreters]))


def test_a_detector_that_is_sent_to_a_forked_process(channels_detector, sky_fields):
    """Its copies are not opened there, and share one interpreter."""
    with fork_pool(1) as pool:
        tables = pool.map_async(channels_detector.detect, sky_fields[:2] * 2, 1).get(30)
        (worker,) = (psutil.Process(one.pid) for one in pool._pool)
        assert len(worker.children()) == 1
    for table, field in zip(tables, sky_fields[:2] * 2, strict=True):
        assert_same_tables(table, channels_detector.detect(field))


@pytest.fixture
def copied(channels_detector, monkeypatch):
    """A copy that is not opened, in a process that takes itself for a forked one."""
    packed = pickle.dumps(channels_detector)
    monkeypatch.setattr(accelerator, "_users", [os.getpid() + 1])
    return pickle.loads(packed)


def test_a_copy_that_is_not_opened_is_evaluated(
    copied, channels_detector, sky_fields, list_source, monkeypatch, tmp_path
):
    source = list_source(sky_fields[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The news that an interpreter starts.
        found = evaluate_detector(copied.engine, source, tmp_path / "a").to_json()
    monkeypatch.undo()
    expected = evaluate_detector(channels_detector.engine, source, tmp_path / "b")
    assert found == expected.to_json()
    assert copied.model.model_hash() == channels_detector.model.model_hash()
    copied.model.set_thresholds(nms_threshold=0.1, rpn_nms_threshold=None)
    assert copied.model.model_hash() != channels_detector.model.model_hash()


def test_a_copy_that_is_not_opened_says_what_it_cannot_do(copied, tmp_path):
    for use in (lambda: copied.save(tmp_path / "x.keras"), lambda: copied.model.layers):
        with pytest.raises(accelerator.AcceleratorError, match="was forked from one"):
            use()
    assert not list(tmp_path.iterdir())
    assert not hasattr(copied.model, "_repr_html_")


def stay(pipe):
    pipe.send(interpreter())
    time.sleep(60)


def test_it_ends_with_a_process_that_is_killed():
    ours, theirs = multiprocessing.Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process = multiprocessing.get_context("fork").Process(
            target=stay, args=(theirs,)
        )
        process.start()
    assert ours.poll(20)
    pid = ours.recv()
    assert psutil.pid_exists(pid)
    process.kill()
    process.join()
    assert gone(pid)


@pytest.fixture
def detect():
    """What a forked process does, in this one."""

    def run(detector, items, load=None, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(detect_in_fork(detector.engine, items, load, **options))

    return run


def test_measurements_and_fields_are_kept(detect, channels_detector, sky_fields):
    field = sky_fields[0].replace(name="other")
    (found,) = detect(channels_detector, [field], score_threshold=0.0)
    assert found.item is found.field is field
    assert {"signal_to_noise", "islands", "peaks"} <= set(vars(field))


def test_a_change_of_the_model_holds(detect, tiny_channels, sky_fields):
    from claran.detection.detector import Detector  # noqa: PLC0415

    detector = Detector(tiny_channels())
    options = {"score_threshold": 0.0}
    for threshold in (0.3, 0.05, 0.3):
        detector.model.set_thresholds(nms_threshold=threshold, rpn_nms_threshold=None)
        (found,) = detect(detector, sky_fields[:1], **options)
        (wanted,) = detector.engine.detect(sky_fields[:1], **options)
        np.testing.assert_array_equal(found.detections.boxes, wanted.detections.boxes)
    detector.model.set_weights([2 * one for one in detector.model.get_weights()])
    (found,) = detect(detector, sky_fields[:1], **options)
    (other,) = detector.engine.detect(sky_fields[:1], **options)
    np.testing.assert_array_equal(found.detections.scores, other.detections.scores)
    assert not np.array_equal(other.detections.scores, wanted.detections.scores)


def test_errors_travel_as_they_are(detect, channels_detector, sky_fields):
    values = np.zeros((40, 40), np.float32)
    values[20, 20] = np.nan
    flat = sky_fields[0].image
    flat = type(flat)(values=values, pixel_arcsec=1.8)
    bad = sky_fields[0].replace(name="flat", image=flat)
    with pytest.raises(ImageError) as wanted:
        list(channels_detector.engine.detect([bad], score_threshold=0.5))
    with pytest.raises(ImageError) as found:
        detect(channels_detector, [bad], score_threshold=0.5)
    assert str(found.value) == str(wanted.value)

    def load(number):
        if number == 1:
            raise KeyError("x")
        return [bad, None, sky_fields[0]][number]

    first, second, third = detect(
        channels_detector, range(3), load, score_threshold=0.5, skip_unusable=True
    )
    assert str(first.error) == str(wanted.value) and first.field is None
    assert "KeyError" in str(second.error) and second.item == 1
    assert third.error is None and third.field is sky_fields[0]


def test_an_interpreter_that_was_killed(detect, channels_detector, sky_fields):
    detect(channels_detector, sky_fields[:1], score_threshold=0.5)
    os.kill(interpreter(), signal.SIGKILL)
    with pytest.raises(accelerator.AcceleratorError, match=r"has ended \(status -9\)"):
        detect(channels_detector, sky_fields[:1], score_threshold=0.5)
    assert detect(channels_detector, sky_fields[:1], score_threshold=0.5)


def test_another_device_cannot_be_shared(channels_detector, sky_fields, monkeypatch):
    monkeypatch.setattr(channels_detector.engine.compiled, "on_cpu", False)
    monkeypatch.setattr(accelerator, "_users", [os.getpid() + 1])
    with pytest.raises(accelerator.AcceleratorError, match="give all fields to one"):
        channels_detector.detect(sky_fields[0])
