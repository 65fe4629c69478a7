"""The notebook for Colab, from top to bottom."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks/claran_colab.ipynb"
nbformat = pytest.importorskip("nbformat", reason="needs nbformat (extra test-all)")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient (extra test-all)")
SETTINGS = {
    "CLARAN_NOTEBOOK_FIELDS": "16",  # The fewest that fall into all three splits.
    "CLARAN_NOTEBOOK_STEPS": "2",
    "CLARAN_NOTEBOOK_BATCH": "2",
    "JAX_PLATFORMS": "cpu",
}


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook, kind):
    return [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == kind
    ]


def text(notebook):
    return "".join(one.text for one in outputs(notebook, "stream"))


def test_is_stored_without_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not outputs(notebook, "stream")
    assert [c for c in code if c.outputs or c.execution_count is not None] == []


def test_asks_colab_for_a_tpu(notebook):
    assert notebook.metadata["accelerator"] == "TPU"


@pytest.mark.slow
def test_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    # The kernel works in a folder of its own; claran is this checkout's.
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    client = nbclient.NotebookClient(
        notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = text(notebook)
    assert "16 fields, and annotations.csv" in shown
    assert shown.count("mean AP at IoU 0.5 of") == 3  # Preset, fine-tuned, classical.
    assert "2 steps; mAP" in shown and "1 steps; mAP" in shown
    pictures = [
        output
        for kind in ("display_data", "execute_result")
        for output in outputs(notebook, kind)
        if "image/png" in output.data
    ]
    # Two of detections, the channels, the report's, the curves.
    assert len(pictures) >= 6
    for name in "trained/best.keras", "tuned/best.keras", "report/report.html":
        assert (tmp_path / name).is_file()
