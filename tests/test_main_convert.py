"""The command's mode convert."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.table import QTable

from claran.detection.loading import load_model

EDGES = ["x0", "y0", "x1", "y1"]


@pytest.fixture
def checkpoint(golden):
    pytest.importorskip("tensorflow", reason="reads a TensorFlow 1 checkpoint")
    return golden / "ckpt_narrow" / "VGGnet_fast_rcnn-80000"


def test_then_predict_gives_the_numbers_of_the_original(claran, checkpoint, golden):
    status, output, errors = claran(
        "--mode=convert", f"--tf_checkpoint={checkpoint}", "--image_size=132",
        "--output=new/model.keras", model=None,
    )  # fmt: skip
    assert (status, errors) == (0, "")
    sees = "Picture(method='D4', image_size=132): new/model.keras\n"
    assert output.endswith(sees)
    assert [path.name for path in Path("new").iterdir()] == ["model.keras"]
    wanted = {}
    for i in range(2):
        name = f"narrow_s132_132_{i}"
        wanted[f"{name}.png"] = np.load(golden / "detect" / f"{name}.npz")
        cv2.imwrite(f"{name}.png", wanted[f"{name}.png"]["image"])
    status, _, errors = claran(
        "--mode=predict", "--image=*.png", "--output=x.csv", "--all_hypotheses",
        model="new/model.keras",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    table = QTable.read("x.csv", converters={"label": str})
    assert set(table["image"]) == set(wanted)
    count = 0
    for name, vectors in wanted.items():
        for label in ("1_1", "1_2", "1_3", "2_2", "2_3", "3_3"):
            rows = table[(table["image"] == name) & (table["label"] == label)]
            want = vectors[f"test__test_dets_{label}"]
            boxes = np.array([rows[key] for key in EDGES]).T.reshape(-1, 4)
            np.testing.assert_allclose(boxes, want[:, :4], atol=1e-2)
            np.testing.assert_allclose(rows["score"], want[:, 4], atol=1e-4)
            count += len(want)
    assert len(table) == count > 0


def test_a_model_of_an_older_claran(claran, narrow, save_old, assert_fails):
    model = narrow(method="D1")
    save_old(model, Path("old.keras"), fusion="D1", beam=None, count_trust=0.0)
    cv2.imwrite("a.png", np.full((64, 64, 3), 9, np.uint8))
    predict = ("--mode=predict", "--image=a.png", "--output=x.csv")
    remedy = "convert it once: --mode=convert --old_model=old.keras"
    assert_fails(claran(*predict, model="old.keras"), remedy)

    status, output, errors = claran(
        "--mode=convert", "--old_model=old.keras", "--output=new.keras", model=None
    )
    assert (status, errors) == (0, "")
    assert f"{model.count_params():,} weights, classes 1_1, 1_2" in output
    assert output.endswith("): new.keras\n")
    found = load_model("new.keras")
    assert found.preprocessor == model.preprocessor
    for one, other in zip(found.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert claran(*predict, model="new.keras")[0] == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        pytest.param(
            [], "Give either --tf_checkpoint, the path without", id="no-checkpoint"
        ),
        pytest.param(
            ["--tf_checkpoint=x", "--old_model=y"],
            "Give either --tf_checkpoint, the path without .index and",
            id="both",
        ),
        pytest.param(
            ["--old_model=x.keras"],
            "x.keras: is not a model of an older claran",
            id="no-old-model",
        ),
        pytest.param(
            ["--tf_checkpoint=x", "--output=x.h5"],
            "--output must end in .keras, got x.h5.",
            id="ending",
        ),
        pytest.param(["--tf_checkpoint=x"], "x.index: no such file", id="missing"),
    ],
)
def test_errors(claran, arguments, message, assert_fails):
    assert_fails(claran("--mode=convert", *arguments, model=None), message)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--anchor_scales=1,2"], "has 6 anchors per cell"),
        (["--class_names=a,b"], "has 6 classes without background"),
    ],
    ids=["anchors", "classes"],
)
def test_a_failure_leaves_the_old_model(
    claran, checkpoint, arguments, message, assert_fails
):
    Path("model.keras").write_text("precious")
    checkpoint = f"--tf_checkpoint={checkpoint}"
    assert_fails(claran("--mode=convert", checkpoint, *arguments), message)
    assert Path("model.keras").read_text() == "precious"
