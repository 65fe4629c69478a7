"""Weights of VGG16 for ImageNet: ClaRAN's file, and Keras's."""

import io
import os
import pickle
import shutil

import keras
import numpy as np
import pytest

from claran.models.vgg16 import vgg16
from claran.models.weights import WeightsError, load_imagenet_npy, load_keras_vgg16

WIDTHS = [2, 3, 4, 5, 6]


def save_npy(path, content, pickler=pickle.Pickler, protocol=4):
    """Writes a dictionary in the format of `np.save`, with any pickler."""
    array = np.empty((), object)
    array[()] = content
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, np.lib.format.header_data_from_array_1_0(array)
        )
        stream = io.BytesIO()
        pickler(stream, protocol).dump(array)
        content = stream.getvalue()
        # Protocol 2 has names as plain text, here replaced by those of NumPy 1.
        if protocol == 2:
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
    """Calls a function when it is unpickled, if the unpickler allows it."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.fixture(scope="module")
def shapes():
    """Shape of each kernel."""
    layers = (layer for layer in vgg16(WIDTHS).layers if layer.weights)
    return {layer.name: tuple(layer.kernel.shape) for layer in layers}


class TestImagenetNpy:
    @pytest.fixture
    def tables(self, rng, shapes):
        tables = {
            name: {
                "weights": rng.normal(size=shape).astype(np.float32),
                "biases": rng.normal(size=shape[-1]).astype(np.float32),
            }
            for name, shape in shapes.items()
        }
        # The real file has these too, but ClaRAN does not use them.
        fc6 = {"weights": np.ones((3, 2), np.float32), "biases": np.ones(2, "f4")}
        return tables | {"fc6": fc6}

    @pytest.mark.parametrize("kind", ["numpy", "python-2", "fortran", "big-endian"])
    def test_fills_the_layers(self, tables, shapes, tmp_path, kind):
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
        for name in shapes:
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
    def test_no_code_is_executed(self, tables, tmp_path, function, arguments, protocol):
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
    # 50 becomes 25 after one pooling: both drop the last row there.
    picture = rng.uniform(0, 255, (1, 50, 64, 3)).astype(np.float32)
    block5 = keras.Model(source.input, source.get_layer("block5_conv3").output)
    theirs = keras.applications.vgg16.preprocess_input(picture[..., ::-1].copy())
    want = np.asarray(block5(theirs))
    assert want.shape == (1, 3, 4, 512) and want.max() > 0
    np.testing.assert_allclose(backbone(picture), want, atol=1e-5 * want.max())


def test_keras_vgg16_of_other_widths(source):
    with pytest.raises(WeightsError, match="vgg16: conv1_1/weights has shape"):
        load_keras_vgg16(vgg16(WIDTHS), source)
