"""What a long detection has found so far is there again after a kill."""

import numpy as np
import pytest

from claran.catalog.tables import detection_table
from claran.io import resuming as unfinished
from claran.io.resuming import UnfinishedTable

ABOUT = {"model": "m", "beam": None}


def table(name, *scores):
    return detection_table(
        name, ["2_3"] * len(scores), np.array(scores), np.ones((len(scores), 4))
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three parts: two detections, a file that was skipped, no detection."""
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    kept = UnfinishedTable(tmp_path / "x", ABOUT)
    kept.add(table("a", 0.5, 0.25), ("no beam", "a"))
    kept.add(None, ("skipped", "b"))
    kept.add(table("c"))
    return tmp_path / "x"


def test_it_goes_on(folder):
    told = []
    again = UnfinishedTable(folder, ABOUT, tell=told.append)
    assert again.done == 3 and told == []
    assert again.said("no beam") == ["a"] and again.said("skipped") == ["b"]
    again.add(table("d", 0.125))
    found = UnfinishedTable(folder, ABOUT).table()
    assert list(found["image"]) == ["a", "a", "d"]
    assert list(found["score"]) == [0.5, 0.25, 0.125]
    again.remove()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["part-000001.json", "part-000001.ecsv"])
def test_damage_costs_what_follows(folder, name):
    (folder / name).write_text("{")
    told = []
    again = UnfinishedTable(folder, ABOUT, tell=told.append)
    assert again.done == 1 and again.said("skipped") == []
    assert "part-000001.json: damaged" in told[0]
    assert sorted(path.name for path in folder.iterdir()) == [
        "part-000000.ecsv", "part-000000.json"
    ]  # fmt: skip


def test_other_settings_start_afresh(folder):
    told = []
    again = UnfinishedTable(folder, ABOUT | {"beam": 5.4}, tell=told.append)
    assert again.done == 0 and len(again.table()) == 0
    assert told[0].endswith("begun with another beam; starts afresh.")
    assert list(folder.iterdir()) == []


def test_nothing_is_written_at_once(tmp_path):
    kept = UnfinishedTable(tmp_path / "x", ABOUT)
    kept.add(table("a", 0.5))
    assert not (tmp_path / "x").exists() and kept.done == 1
