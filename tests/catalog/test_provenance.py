import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

import claran
from claran.catalog.provenance import write_provenance


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "é mosaic.fits"
    path.write_bytes(b"SIMPLE" + bytes(3 << 20))
    os.utime(path, (1e9, 1e9))
    return path


@pytest.fixture
def provenance(tmp_path, image):
    """Writes a file and returns it as it is read."""

    def write(**changes):
        catalog = tmp_path / "out" / "sources.fits"
        catalog.parent.mkdir(exist_ok=True)
        catalog.write_bytes(b"rows")
        given = {
            "inputs": [image], "outputs": [catalog], "settings": {"seed": 5.0},
            "model": {"name": "claran_first", "sha256": "abc"}, "run": {"workers": 2},
            "command": ["claran", "--mode=survey"], "start": 1e9, "end": 1e9 + 61.26,
        }  # fmt: skip
        write_provenance(tmp_path / "p.json", **(given | changes))
        return json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))

    return write


def test_what_is_there(provenance, image):
    found = provenance()
    assert found["software"]["claran"] == claran.__version__
    assert found["software"]["numpy"] == np.__version__
    assert found["model"] == {"name": "claran_first", "sha256": "abc"}
    assert found["settings"] == {"seed": 5.0}
    start = hashlib.sha256(image.read_bytes()[: 1 << 20]).hexdigest()
    assert found["inputs"] == [
        {
            "path": str(image), "bytes": 6 + (3 << 20),
            "modified": "2001-09-09T01:46:40Z",
            "sha256_of_first_mib": start,
        }
    ]  # fmt: skip
    (output,) = found["outputs"]
    assert output["path"] == "sources.fits" and output["bytes"] == 4
    assert output["sha256"] == hashlib.sha256(b"rows").hexdigest()
    assert found["run"]["command"] == ["claran", "--mode=survey"]
    assert found["run"]["start"] == "2001-09-09T01:46:40Z"
    assert (found["run"]["seconds"], found["run"]["workers"]) == (61.3, 2)


def test_two_runs_differ_in_run_alone(provenance):
    one, other = provenance(), provenance(start=2e9, end=2e9, run={"workers": 4})
    assert one.pop("run") != other.pop("run")
    assert one == other


def test_settings_of_any_kind(provenance):
    settings = {
        "a": np.float32(0.5), "b": np.arange(2), "c": Path("x"), "d": {"y", "x"},
        "e": {"f": (1, None, True)}, "g": "\udce9\n",
    }  # fmt: skip
    assert provenance(settings=settings)["settings"] == {
        "a": 0.5, "b": [0, 1], "c": "x", "d": ["x", "y"], "e": {"f": [1, None, True]},
        "g": "\udce9\n",
    }  # fmt: skip


def test_an_image_that_is_gone(provenance, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.fits"):
        provenance(inputs=[tmp_path / "gone.fits"])
