"""Weights from checkpoints of ClaRAN v0.1."""

import os
import subprocess
import sys

import numpy as np
import pytest

from claran.models.weights import (
    WeightsError,
    load_claran_checkpoint,
    read_tf1_checkpoint,
)

WIDTHS = [2, 3, 4, 5, 6]
LAYERS = [
    (
        f"conv{block}_{i}",
        (3, 3, inputs, outputs) if i == 1 else (3, 3, outputs, outputs),
    )
    for block, (depth, inputs, outputs) in enumerate(
        zip([2, 2, 3, 3, 3], [3, *WIDTHS], WIDTHS, strict=False), start=1
    )
    for i in range(1, depth + 1)
]


def variables_of(rng, *, classes=6, anchors=6, samples=2):
    """Returns the variables of a small checkpoint of ClaRAN, by name."""
    shapes = dict(LAYERS) | {
        "rpn_conv/3x3": (3, 3, WIDTHS[-1], 7),
        "rpn_cls_score": (1, 1, 7, 2 * anchors),
        "rpn_bbox_pred": (1, 1, 7, 4 * anchors),
        "fc6": (WIDTHS[-1] * samples**2, 8),
        "fc7": (8, 8),
        "cls_score": (8, classes + 1),
        "bbox_pred": (8, 4 * (classes + 1)),
    }
    variables = {"Variable": np.array([1, 0, 0, 0, 1, 0], np.float32)}
    for name, shape in shapes.items():
        variables[f"{name}/weights"] = rng.normal(size=shape).astype(np.float32)
        variables[f"{name}/biases"] = rng.normal(size=shape[-1]).astype(np.float32)
    return variables


def layer_of(model, name):
    """Returns our layer for a layer of ClaRAN."""
    rpn, head = model.rpn, model.head
    others = {
        "rpn_conv/3x3": rpn.conv,
        "rpn_cls_score": rpn.objectness,
        "rpn_bbox_pred": rpn.regression,
        "fc6": head.fc6,
        "fc7": head.fc7,
        "cls_score": head.classification,
        "bbox_pred": head.regression,
    }
    return others.get(name) or model.backbone.get_layer(name)


@pytest.fixture(scope="session")
def tf():
    return pytest.importorskip("tensorflow", reason="writes TensorFlow 1 checkpoints")


@pytest.fixture
def write(tf, tmp_path):
    """Writes a TensorFlow 1 checkpoint; returns its prefix."""

    def write_checkpoint(variables):
        # The operation that a Saver runs. With a graph and session of TensorFlow 2.21
        # the process crashed later, at garbage collection.
        prefix = str(tmp_path / "net-80000")
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=[tf.constant(values) for values in variables.values()],
        )
        return prefix

    return write_checkpoint


class TestClaranCheckpoint:
    @pytest.mark.usefixtures("tf")
    def test_every_variable_of_the_release_is_imported(self, golden):
        folder = golden / "ckpt_narrow"
        model = load_claran_checkpoint(folder / "VGGnet_fast_rcnn-80000")
        rows = (folder / "VARIABLES.txt").read_text().splitlines()
        seen = set()
        for name, _, _, total, absolute in (row.split("\t") for row in rows):
            if name == "Variable":
                continue
            layer, _, kind = name.rpartition("/")
            variable = layer_of(model, layer).weights[kind == "biases"]
            values = np.asarray(variable, np.float64)
            if layer == "bbox_pred":  # ClaRAN saves it multiplied by these.
                values *= np.tile([0.1, 0.1, 0.2, 0.2], 7)
            scale = float(absolute.removeprefix("sumabs="))
            assert np.abs(values).sum() == pytest.approx(scale, rel=1e-6), name
            want = float(total.removeprefix("sum="))
            assert values.sum() == pytest.approx(want, abs=1e-6 * scale), name
            seen.add(variable.path)
        assert seen == {variable.path for variable in model.weights}

    def test_variables_are_assigned_to_their_layers(self, write, rng):
        variables = variables_of(rng)
        model = load_claran_checkpoint(write(variables), image_size=132)
        assert (model.image_size, model.num_classes) == (132, 6)
        assert model.sampler.size == 2
        for name in {name.rpartition("/")[0] for name in variables} - {"", "fc6"}:
            kernel, bias = layer_of(model, name).get_weights()
            units = np.tile([0.1, 0.1, 0.2, 0.2], 7) if name == "bbox_pred" else 1
            want, bias_wanted = (
                variables[f"{name}/weights"],
                variables[f"{name}/biases"],
            )
            np.testing.assert_allclose(kernel * units, want, rtol=1e-6, err_msg=name)
            np.testing.assert_allclose(bias * units, bias_wanted, rtol=1e-6)
        # ClaRAN flattens (channel, row, column), our head (row, column, channel).
        kernel, want = model.head.fc6.get_weights()[0], variables["fc6/weights"]
        for channel, row, column in np.ndindex(WIDTHS[-1], 2, 2):
            ours = kernel[(row * 2 + column) * WIDTHS[-1] + channel]
            np.testing.assert_array_equal(ours, want[channel * 4 + row * 2 + column])

    @pytest.mark.parametrize("ending", [".index", ".meta", ".data-00000-of-00001"])
    def test_an_ending_is_removed(self, write, rng, ending):
        want = variables_of(rng)
        found = read_tf1_checkpoint(write(want) + ending)
        assert found.keys() == want.keys()
        np.testing.assert_array_equal(found["fc7/weights"], want["fc7/weights"])

    @pytest.mark.parametrize(
        "change, message",
        [
            pytest.param(
                {"fc7/weights": None},
                "net-80000: has no variable 'fc7/weights'",
                id="fc7",
            ),
            pytest.param(
                {"conv3_2/biases": None}, "no variable 'conv3_2/biases'", id="conv"
            ),
            pytest.param(
                {"cls_score/biases": None},
                "no variable 'cls_score/biases', so it is not a checkpoint of ClaRAN",
                id="another-network",
            ),
            pytest.param(
                {"fc8/weights": np.ones(2)}, "does not have: fc8/weights", id="extra"
            ),
            pytest.param(
                {"conv6_1/weights": np.ones(2)},
                "does not have: conv6_1/weights",
                id="extra-convolution",
            ),
            pytest.param(
                {"conv2_1/weights": np.ones((3, 3, 3, 2))},
                r"conv2_1/weights has shape \(3, 3, 3, 2\), but the network needs "
                r"\(3, 3, 2, 3\)",
                id="shape",
            ),
            pytest.param(
                {"bbox_pred/biases": np.ones(9)},
                r"bbox_pred/biases has shape \(9,\), but the network needs \(28,\)",
                id="shape-of-regressor",
            ),
            pytest.param(
                {"fc6/weights": np.ones((20, 8))},
                r"fc6/weights has shape \(20, 8\); its inputs must be 6 channels",
                id="samples",
            ),
        ],
    )
    def test_checkpoints_that_do_not_fit(self, write, rng, change, message):
        variables = variables_of(rng) | change
        prefix = write({k: v for k, v in variables.items() if v is not None})
        with pytest.raises(WeightsError, match=message):
            load_claran_checkpoint(prefix)

    def test_number_of_classes_is_that_of_the_checkpoint(self, write, rng):
        model = load_claran_checkpoint(write(variables_of(rng, classes=2)))
        assert model.num_classes == model.head.num_classes == 2
        assert model.decoder.max_outputs == 2 * model.proposals.max_outputs

    @pytest.mark.parametrize(
        "options, got",
        [({}, "6 times 1"), ({"anchor_scales": [8, 16]}, "2 times 1")],
        ids=["none", "scales-only"],
    )
    def test_other_anchors_must_be_given(self, write, rng, options, got):
        prefix = write(variables_of(rng, anchors=9))
        with pytest.raises(WeightsError, match=f"9 anchors per cell; .* got {got}"):
            load_claran_checkpoint(prefix, **options)

    def test_other_anchors(self, write, rng):
        model = load_claran_checkpoint(
            write(variables_of(rng, anchors=9)),
            anchor_scales=[8, 16, 32],
            anchor_ratios=[0.5, 1, 2],
        )
        assert model.rpn.anchors(1, 1).shape == (9, 4)

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match=r"net.index: no such file. Give the pa"):
            load_claran_checkpoint(tmp_path / "net")

    @pytest.mark.parametrize("keep", [0, 0.5], ids=["empty", "half"])
    @pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
    def test_truncated(self, write, rng, part, keep):
        prefix = write(variables_of(rng))
        path = f"{prefix}.{part}"
        os.truncate(path, int(os.path.getsize(path) * keep))
        with pytest.raises(
            WeightsError, match="TensorFlow cannot read this checkpoint"
        ):
            load_claran_checkpoint(prefix)

    def test_without_data(self, write, rng):
        prefix = write(variables_of(rng))
        os.remove(f"{prefix}.data-00000-of-00001")
        with pytest.raises(
            WeightsError, match="TensorFlow cannot read this checkpoint"
        ):
            load_claran_checkpoint(prefix)

    def test_without_tensorflow(self, tmp_path):
        (tmp_path / "net.index").touch()
        code = (
            "import sys; sys.modules['tensorflow'] = None\n"
            "from claran.models.weights import WeightsError, read_tf1_checkpoint\n"
            "try: read_tf1_checkpoint('net')\n"
            "except WeightsError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        message = 'needs TensorFlow: install it with pip install "claran[tf1]"'
        assert message in done.stdout, done.stderr
