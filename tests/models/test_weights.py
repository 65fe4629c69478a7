import io
import os
import pickle
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from claran.models.vgg16 import BGR_MEAN, vgg16
from claran.models.weights import (
    WeightsError,
    load_claran_checkpoint,
    load_imagenet_npy,
    load_keras_vgg16,
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
    """Returns what a small checkpoint of the original holds, by name."""
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
    """Returns our layer for one of the original's."""
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
        # What a Saver runs. Its graph and session, of TensorFlow 2.21, left the process
        # to crash later, when garbage was collected.
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
    def test_every_released_variable_has_its_place(self, golden):
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
            if layer == "bbox_pred":  # Saved multiplied by these.
                values *= np.tile([0.1, 0.1, 0.2, 0.2], 7)
            scale = float(absolute.removeprefix("sumabs="))
            assert np.abs(values).sum() == pytest.approx(scale, rel=1e-6), name
            want = float(total.removeprefix("sum="))
            assert values.sum() == pytest.approx(want, abs=1e-6 * scale), name
            seen.add(variable.path)
        assert seen == {variable.path for variable in model.weights}

    def test_places(self, write, rng):
        variables = variables_of(rng)
        model = load_claran_checkpoint(write(variables), image_size=132, fusion="D3")
        assert (model.image_size, model.fusion) == (132, "D3")
        assert model.class_names == ["1_1", "1_2", "1_3", "2_2", "2_3", "3_3"]
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
        # The original flattens (channel, row, column), we (row, column, channel).
        kernel, want = model.head.fc6.get_weights()[0], variables["fc6/weights"]
        for channel, row, column in np.ndindex(WIDTHS[-1], 2, 2):
            ours = kernel[(row * 2 + column) * WIDTHS[-1] + channel]
            np.testing.assert_array_equal(ours, want[channel * 4 + row * 2 + column])

    @pytest.mark.parametrize("ending", [".index", ".meta", ".data-00000-of-00001"])
    def test_an_ending_does_no_harm(self, write, rng, ending):
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
                {"fc8/weights": np.ones(2)}, "no place for: fc8/weights", id="left-over"
            ),
            pytest.param(
                {"conv6_1/weights": np.ones(2)},
                "no place for: conv6_1/weights",
                id="left-over-convolution",
            ),
            pytest.param(
                {"conv2_1/weights": np.ones((3, 3, 3, 2))},
                r"conv2_1/weights has shape \(3, 3, 3, 2\), the network wants "
                r"\(3, 3, 2, 3\)",
                id="shape",
            ),
            pytest.param(
                {"bbox_pred/biases": np.ones(9)},
                r"bbox_pred/biases has shape \(9,\), the network wants \(28,\)",
                id="shape-of-regressor",
            ),
            pytest.param(
                {"fc6/weights": np.ones((20, 8))},
                r"fc6/weights has shape \(20, 8\); the inputs must be 6 channels",
                id="samples",
            ),
        ],
    )
    def test_misfits(self, write, rng, change, message):
        variables = variables_of(rng) | change
        prefix = write({k: v for k, v in variables.items() if v is not None})
        with pytest.raises(WeightsError, match=message):
            load_claran_checkpoint(prefix)

    def test_other_classes_are_asked_for(self, write, rng):
        prefix = write(variables_of(rng, classes=2))
        with pytest.raises(WeightsError, match=r"2 classes without .*got 6: 1_1, 1_2"):
            load_claran_checkpoint(prefix)
        model = load_claran_checkpoint(prefix, class_names=["FR-I", "FR-II"])
        assert model.class_names == ["FR-I", "FR-II"] and model.head.num_classes == 2

    @pytest.mark.parametrize(
        "options, got",
        [({}, "6 times 1"), ({"anchor_scales": [8, 16]}, "2 times 1")],
        ids=["none", "scales-only"],
    )
    def test_other_anchors_are_asked_for(self, write, rng, options, got):
        prefix = write(variables_of(rng, anchors=9))
        with pytest.raises(WeightsError, match=f"9 anchors a cell; .* got {got}"):
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
        assert 'needs TensorFlow, once: install it with pip install "claran[tf1]"' in (
            done.stdout
        ), done.stderr


def save_npy(path, content, pickler=pickle.Pickler, protocol=4):
    """Writes what NumPy writes for a dictionary, with any pickler."""
    array = np.empty((), object)
    array[()] = content
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, np.lib.format.header_data_from_array_1_0(array)
        )
        stream = io.BytesIO()
        pickler(stream, protocol).dump(array)
        content = stream.getvalue()
        if (
            protocol == 2
        ):  # Names stand between line ends there; NumPy 1 wrote this one.
            content = content.replace(b"numpy._core.", b"numpy.core.")
        file.write(content)
    return path


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 writes its `str`."""

    dispatch = pickle._Pickler.dispatch | {
        bytes: lambda self, data: self.write(
            pickle.BINSTRING + len(data).to_bytes(4, "little") + data
        ),
        str: lambda self, text: self.save(text.encode("latin1")),
    }


class Runs:
    """Does something when it is unpickled, if the unpickler lets it."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class TestImagenetNpy:
    @pytest.fixture
    def tables(self, rng):
        tables = {
            name: {
                "weights": rng.normal(size=shape).astype(np.float32),
                "biases": rng.normal(size=shape[-1]).astype(np.float32),
            }
            for name, shape in LAYERS
        }
        # The real file has these too; ClaRAN does not take them.
        fc6 = {"weights": np.ones((3, 2), np.float32), "biases": np.ones(2, "f4")}
        return tables | {"fc6": fc6}

    @pytest.mark.parametrize("kind", ["numpy", "python-2", "fortran", "big-endian"])
    def test_fills_the_layers(self, tables, tmp_path, kind):
        path = tmp_path / "VGG_imagenet.npy"
        wanted = tables
        if kind == "numpy":
            np.save(path, tables, allow_pickle=True)
        elif kind == "python-2":
            save_npy(path, tables, Python2Pickler, protocol=2)
            assert b"numpy.core.multiarray\n_reconstruct" in path.read_bytes()
        else:
            change = (
                np.asfortranarray if kind == "fortran" else lambda a: a.astype(">f8")
            )
            stored = {
                layer: {part: change(array) for part, array in table.items()}
                for layer, table in tables.items()
            }
            save_npy(path, stored)
        backbone = vgg16(WIDTHS)
        load_imagenet_npy(backbone, path)
        for name, _ in LAYERS:
            kernel, bias = backbone.get_layer(name).get_weights()
            np.testing.assert_array_equal(kernel, wanted[name]["weights"])
            np.testing.assert_array_equal(bias, wanted[name]["biases"])

    @pytest.mark.parametrize("protocol", [2, 4])
    @pytest.mark.parametrize(
        "function, arguments",
        [
            pytest.param(os.system, ("touch {mark}",), id="os.system"),
            pytest.param(eval, ("open('{mark}', 'w')",), id="eval"),
            pytest.param(open, ("{mark}", "w"), id="open"),
            pytest.param(shutil.copy, (__file__, "{mark}"), id="shutil.copy"),
            pytest.param(np.save, ("{mark}", 1), id="numpy"),
        ],
    )
    def test_nothing_in_it_runs(self, tables, tmp_path, function, arguments, protocol):
        mark = tmp_path / "mark.npy"
        arguments = [str(text).format(mark=mark) for text in arguments]
        content = {"conv0": Runs(function, *arguments)} | tables
        path = save_npy(tmp_path / "x.npy", content, protocol=protocol)
        with pytest.raises(WeightsError, match=r"saved by NumPy \(refuses "):
            load_imagenet_npy(vgg16(WIDTHS), path)
        assert not mark.exists()

    @pytest.mark.parametrize(
        "content, message",
        [
            pytest.param({"a": np.array([{}], object)}, "of O8", id="objects"),
            pytest.param({"a": {"weights": np.arange(3)}}, "of i8", id="integers"),
            pytest.param({"a": {"weights": np.array(["x"])}}, "of U1", id="text"),
            pytest.param({"a": "b"}, "holds a str", id="string"),
            pytest.param([1, 2], "holds a list", id="list"),
            pytest.param(range(3), "refuses builtins.range", id="class"),
            pytest.param(np.ones(3), "holds one array, not a dict", id="one-array"),
        ],
    )
    def test_only_arrays_of_numbers(self, tmp_path, content, message):
        path = save_npy(tmp_path / "x.npy", content)
        with pytest.raises(WeightsError, match=message):
            load_imagenet_npy(vgg16(WIDTHS), path)

    @pytest.mark.parametrize("keep", [0, 5, 60, 200, -1], ids=str)
    def test_truncated(self, tables, tmp_path, keep):
        path = save_npy(tmp_path / "x.npy", tables)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(WeightsError, match=r"x.npy: not a dictionary of arrays"):
            load_imagenet_npy(vgg16(WIDTHS), path)

    @pytest.mark.parametrize(
        "content", [b"\x89PNG", pickle.dumps({}), b"\x93NUMPY\x09\x00"], ids=repr
    )
    def test_other_files(self, tmp_path, content):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(WeightsError, match=r"x.npy: not a dictionary of arrays"):
            load_imagenet_npy(vgg16(WIDTHS), tmp_path / "x.npy")

    def test_plain_array(self, tmp_path):
        np.save(tmp_path / "x.npy", np.ones(3))
        with pytest.raises(WeightsError, match="array of float64, not a dictionary"):
            load_imagenet_npy(vgg16(WIDTHS), tmp_path / "x.npy")

    def test_missing_file(self, tmp_path):
        with pytest.raises(WeightsError, match=r"x.npy: No such file"):
            load_imagenet_npy(vgg16(WIDTHS), tmp_path / "x.npy")

    def test_other_widths(self, tables, tmp_path):
        path = save_npy(tmp_path / "x.npy", tables)
        with pytest.raises(WeightsError, match=r"conv1_1/weights has shape"):
            load_imagenet_npy(vgg16([4, 4, 4, 4, 4]), path)


@pytest.fixture(scope="module")
def source():
    return keras.applications.VGG16(weights=None, include_top=False)


def test_keras_vgg16(source, rng):
    backbone = vgg16()
    load_keras_vgg16(backbone, source)
    # 50 is odd halfway: both drop the last row and column there.
    picture = rng.uniform(0, 255, (1, 50, 64, 3)).astype(np.float32)
    block5 = keras.Model(source.input, source.get_layer("block5_conv3").output)
    want = np.asarray(block5(picture - np.array(BGR_MEAN, np.float32)))
    assert want.shape == (1, 3, 4, 512) and want.max() > 0
    np.testing.assert_allclose(backbone(picture), want, atol=1e-5 * want.max())


def test_keras_vgg16_of_other_widths(source):
    with pytest.raises(WeightsError, match="vgg16: conv1_1/weights has shape"):
        load_keras_vgg16(vgg16(WIDTHS), source)
