"""Detections that are kept while an evaluation runs."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from claran.evaluation import resuming_evaluation as unfinished
from claran.evaluation.resuming_evaluation import Unfinished
from claran.io.resuming import code_fingerprint
from claran.models.weights import model_fingerprint

ABOUT = {"model": "a", "batch size": 2}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A part is written as soon as it may be."""
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)


@pytest.fixture
def keep(tmp_path):
    """Keeps some of the detections, as an evaluation that is killed then."""

    def cut_short(found, *, until, about=ABOUT):
        kept = Unfinished(tmp_path / "parts", about)
        done = len(kept.read())
        rest = kept.keep(iter(found[done:]), start=done, batch_size=2)
        return list(itertools.islice(rest, until - done))

    return cut_short


def read(tmp_path, about=ABOUT):
    said = []
    kept = Unfinished(tmp_path / "parts", about, tell=said.append)
    return kept.read(), said


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in ("boxes", "labels", "scores"):
            own, given = getattr(one, name), getattr(other, name)
            np.testing.assert_array_equal(own, given)
            assert own.dtype == given.dtype


def test_whole_batches_are_kept_and_the_last(random_fields, keep, tmp_path):
    _, found = random_fields(9)
    assert read(tmp_path) == ([], [])
    assert_same(keep(found, until=5), found[:5])
    assert_same(read(tmp_path)[0], found[:4])
    assert_same(keep(found, until=6), found[4:6])
    assert_same(read(tmp_path)[0], found[:6])
    assert_same(keep(found, until=99), found[6:])
    assert_same(read(tmp_path)[0], found)
    assert keep(found, until=99) == []


def test_parts_are_few(random_fields, keep, tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "SECONDS", 60.0)
    _, found = random_fields(9)
    keep(found, until=99)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [
        "part-000000000.npz"
    ]


def test_another_model_starts_afresh(random_fields, keep, tmp_path):
    _, found = random_fields(4)
    keep(found, until=4)
    done, (message,) = read(tmp_path, ABOUT | {"model": "b", "device": "c"})
    assert done == [] and "begun with another device, model; starts" in message
    assert read(tmp_path) == ([], [])  # It has gone.


def test_damage_costs_the_parts_from_there_on(random_fields, keep, tmp_path):
    _, found = random_fields(8)
    keep(found, until=99)
    second = tmp_path / "parts" / "part-000000002.npz"
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    done, (message,) = read(tmp_path)
    assert_same(done, found[:2])
    assert f"{second}: damaged" in message
    assert_same(keep(found, until=99), found[2:])
    second.unlink()
    done, said = read(tmp_path)
    assert_same(done, found[:2])
    assert said == [] and len(list((tmp_path / "parts").iterdir())) == 1


def test_a_time_is_of_all_runs(random_fields, tmp_path, monkeypatch):
    _, found = random_fields(4)
    for done, now in ((0, 7.0), (2, 12.0)):
        clock = iter([0.0, now, now])
        monkeypatch.setattr(
            unfinished, "time", SimpleNamespace(monotonic=clock.__next__)
        )
        kept = Unfinished(tmp_path / "parts", ABOUT)
        assert len(kept.read()) == done
        rest = kept.keep(found[done : done + 2], start=done, batch_size=2)
        assert len(list(rest)) == 2
    assert kept.seconds == 19.0


def test_removed(random_fields, keep, tmp_path):
    _, found = random_fields(2)
    keep(found, until=99)
    Unfinished(tmp_path / "parts", ABOUT).remove()
    assert not (tmp_path / "parts").exists()
    Unfinished(tmp_path / "parts", ABOUT).remove()  # Of none: in vain.


def test_a_model_is_its_weights_and_settings(narrow, monkeypatch):
    network = narrow()
    first = model_fingerprint(network)
    assert model_fingerprint(network) == first
    monkeypatch.setattr(network.detections, "iou_threshold", 0.4)
    second = model_fingerprint(network)
    network.head.fc7.bias.assign(network.head.fc7.bias + 1e-6)
    assert len({first, second, model_fingerprint(network)}) == 3


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
