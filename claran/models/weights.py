"""Import of published weights: ClaRAN's checkpoints and VGG16 for ImageNet."""

import contextlib
import hashlib
import io
import json
import math
import os
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from jaxtyping import Float

from claran.models.faster_rcnn import FasterRcnn
from claran.models.networks import claran_v01

__all__ = [
    "WeightsError",
    "load_claran_checkpoint",
    "load_imagenet_npy",
    "load_keras_vgg16",
    "model_fingerprint",
    "read_tf1_checkpoint",
]

Arrays = Mapping[str, np.ndarray]

CLARAN_SCALES = (1, 2, 4, 8, 16, 32)
"""Sides of ClaRAN's six anchors, in cells of 16 px. The only aspect ratio is 1."""

UNUSED = {"Variable"}  # The identity transform, six numbers that no output depends on.


class WeightsError(ValueError):
    """A file of weights cannot be read, or does not fit the network."""


def load_claran_checkpoint(
    prefix: str | Path,
    *,
    image_size: int = 600,
    anchor_scales: Sequence[float] | None = None,
    anchor_ratios: Sequence[float] | None = None,
) -> FasterRcnn:
    """Returns ClaRAN v0.1 with the weights of one of its TensorFlow 1 checkpoints.

    The shapes of the variables give the widths, the samples per RoI and the numbers of
    anchors and classes. Everything else is an argument.

    Args:
        prefix: Path without `.index` and `.data-...`.
        image_size: Side of the network's input it was trained with, pixels.
        anchor_scales: Sides of its anchors in cells; needed unless it has six anchors.
        anchor_ratios: Height over width of its anchors; 1 unless given.

    Raises:
        WeightsError: A variable is missing, superfluous or of another shape, or the
            arguments do not fit the numbers of classes and anchors.
    """
    variables = read_tf1_checkpoint(prefix)
    try:
        model = claran_v01(
            image_size=image_size,
            num_classes=variables["cls_score/biases"].size - 1,
            **_anchors(variables, anchor_scales, anchor_ratios),
            **_widths(variables),
        )
    except KeyError as error:
        raise WeightsError(
            f"{prefix}: has no variable {error}, so it is not a checkpoint of ClaRAN. "
            "Give the path of one, as in VGGnet_fast_rcnn-80000."
        ) from None
    _fill(model, variables, str(prefix))
    return model


def read_tf1_checkpoint(prefix: str | Path) -> dict[str, np.ndarray]:
    """Returns every variable of a TensorFlow 1 checkpoint by name.

    Args:
        prefix: Path of the checkpoint. An ending such as `.index` is removed.

    Raises:
        WeightsError: TensorFlow is not installed, or the checkpoint is missing or
            damaged.
    """
    prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", str(prefix))
    if not Path(f"{prefix}.index").is_file():
        raise WeightsError(
            f"{prefix}.index: no such file. Give the path of the checkpoint without "
            "ending, as in VGGnet_fast_rcnn-80000."
        )
    try:
        with _silent_stderr():  # TensorFlow prints at import, whatever its log level.
            import tensorflow as tf  # noqa: PLC0415 - optional, large and slow
    except ImportError:
        raise WeightsError(
            "Reading a TensorFlow 1 checkpoint needs TensorFlow: install it with "
            'pip install "claran[tf1]". The converted model does not need it.'
        ) from None
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = reader.get_variable_to_shape_map()
        return {name: reader.get_tensor(name) for name in sorted(names)}
    except Exception as error:  # IndexError for a short file, RuntimeError, others.
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{prefix}: TensorFlow cannot read this checkpoint ({reason}). Download "
            "its .index and .data files again."
        ) from None


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def model_fingerprint(model: keras.Model) -> str:
    """Returns a hash of the configuration and the weights of a model.

    It is not a hash of the model's file: settings may have been changed after loading,
    and a network with random weights has no file.

    Args:
        model: Any Keras model.
    """
    config = json.dumps(model.get_config(), sort_keys=True)
    digest = hashlib.sha256(config.encode())
    for weight in model.weights:
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def load_imagenet_npy(backbone: keras.Model, path: str | Path) -> None:
    """Fills a VGG16 with `VGG_imagenet.npy`, the initial weights of ClaRAN.

    The file is a pickled dictionary. It is read without executing any code in it: only
    arrays of floating-point numbers are accepted.

    Args:
        backbone: Made by `claran.models.vgg16.vgg16`.
        path: Path of the file.

    Raises:
        WeightsError: The file cannot be read or does not fit.
    """
    tables = _read_pickled_arrays(Path(path))
    arrays = {
        f"{layer}/{kind}": array
        for layer, table in tables.items()
        if isinstance(table, dict)
        for kind, array in table.items()
    }
    _fill_convolutions(backbone, arrays, str(path))


def load_keras_vgg16(backbone: keras.Model, source: keras.Model) -> None:
    """Fills a VGG16 with the 13 convolutions of Keras's VGG16.

    Both expect BGR pictures with the mean color subtracted, as both have the weights of
    Caffe's model.

    Args:
        backbone: Made by `claran.models.vgg16.vgg16` with the default widths.
        source: A `keras.applications.VGG16`.

    Raises:
        WeightsError: The backbone has other layers or widths.
    """
    arrays = {}
    for layer in source.layers:
        if match := re.fullmatch(r"block(\d)_conv(\d)", layer.name):
            name = f"conv{match[1]}_{match[2]}"
            arrays[f"{name}/weights"], arrays[f"{name}/biases"] = layer.get_weights()
    _fill_convolutions(backbone, arrays, source.name)


def _anchors(
    variables: Arrays, scales: Sequence[float] | None, ratios: Sequence[float] | None
) -> dict[str, Sequence[float]]:
    count = variables["rpn_cls_score/biases"].size // 2
    scales, ratios = scales or CLARAN_SCALES, ratios or (1,)
    if len(scales) * len(ratios) != count:
        raise WeightsError(
            f"The checkpoint has {count} anchors per cell; `anchor_scales` times "
            f"`anchor_ratios` must be as many, got {len(scales)} times {len(ratios)}."
        )
    return {"anchor_scales": scales, "anchor_ratios": ratios}


def _widths(variables: Arrays) -> dict[str, Any]:
    backbone = [variables[f"conv{block}_1/biases"].size for block in range(1, 6)]
    kernel = variables["fc6/weights"]
    samples = math.isqrt(len(kernel) // backbone[-1])
    head = variables["fc6/biases"].size
    if kernel.shape != (samples**2 * backbone[-1], head):
        raise WeightsError(
            f"fc6/weights has shape {kernel.shape}; its inputs must be {backbone[-1]} "
            f"channels times a square number of samples, and its outputs {head}, as in "
            "a checkpoint of ClaRAN."
        )
    return {
        "backbone_widths": backbone,
        "rpn_width": variables["rpn_conv/3x3/biases"].size,
        "head_width": head,
        "samples": samples,
    }


def _fill(model: FasterRcnn, variables: Arrays, origin: str) -> None:
    """Assigns every variable; raises if one is missing or superfluous."""
    remaining = {name: array for name, array in variables.items() if name not in UNUSED}
    _fill_convolutions(model.backbone, remaining, origin)
    rpn, head = model.rpn, model.head
    layers: dict[str, keras.layers.Layer] = {
        "rpn_conv/3x3": rpn.conv,
        "rpn_cls_score": rpn.objectness,
        "rpn_bbox_pred": rpn.regression,
        "fc6": head.fc6,
        "fc7": head.fc7,
        "cls_score": head.classification,
        "bbox_pred": head.regression,
    }
    for name, layer in layers.items():
        kernel, bias = _take(remaining, name, origin)
        if name == "fc6":
            kernel = _channels_last(kernel, model.sampler.size)
        _assign(layer, kernel, bias, f"{origin}: {name}")
    # The original saves its regressor multiplied by these units and, resuming, never
    # divides again; ours multiplies when it decodes.
    stds = np.tile(model.decoder.delta_stds, head.num_classes + 1)
    for variable in head.regression.weights:
        variable.assign(np.asarray(variable) / stds)
    if remaining:
        raise WeightsError(
            f"{origin}: has variables that ClaRAN v0.1 does not have: "
            f"{', '.join(sorted(remaining))}. Give a checkpoint of ClaRAN v0.1."
        )


def _fill_convolutions(
    backbone: keras.Model, arrays: dict[str, np.ndarray], origin: str
) -> None:
    """Fills all convolutions, and removes their arrays from `arrays`."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = _take(arrays, layer.name, origin)
            _assign(layer, kernel, bias, f"{origin}: {layer.name}")


def _take(
    arrays: dict[str, np.ndarray], name: str, origin: str
) -> tuple[np.ndarray, np.ndarray]:
    try:
        return arrays.pop(f"{name}/weights"), arrays.pop(f"{name}/biases")
    except KeyError as error:
        raise WeightsError(
            f"{origin}: has no variable {error}, which the network needs."
        ) from None


def _channels_last(
    kernel: Float[np.ndarray, "inputs units"], samples: int
) -> Float[np.ndarray, "inputs units"]:
    """Reorders fc6's inputs from (channel, row, column) to (row, column, channel)."""
    units = kernel.shape[1]
    channels_first = kernel.reshape(-1, samples, samples, units)
    return channels_first.transpose(1, 2, 0, 3).reshape(-1, units)


def _assign(
    layer: keras.layers.Layer, kernel: np.ndarray, bias: np.ndarray, origin: str
) -> None:
    for name, variable, array in zip(
        ("weights", "biases"), layer.weights, (kernel, bias), strict=True
    ):
        if tuple(variable.shape) != array.shape:
            raise WeightsError(
                f"{origin}/{name} has shape {array.shape}, but the network needs "
                f"{tuple(variable.shape)}."
            )
        variable.assign(array)


def _read_pickled_arrays(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}.") from None
    try:
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(stream)
        if shape or not dtype.hasobject:
            raise ValueError(f"holds an array of {dtype}, not a dictionary")
        holder = _ArrayUnpickler(stream, encoding="latin1").load()
        # NumPy pickles a 0-d object array as an array whose data is a list of one.
        arrays = _to_numbers(holder.content[0])
        if not isinstance(arrays, dict):
            raise ValueError("holds one array, not a dictionary")
    except Exception as error:  # Damaged pickles raise many kinds of errors.
        raise WeightsError(
            f"{path}: not a dictionary of arrays saved by NumPy ({error}). Download "
            "VGG_imagenet.npy again."
        ) from None
    return arrays


class _PickledArray:
    """Stand-in for a NumPy array while unpickling: keeps its description."""

    content: Any
    shape: tuple[int, ...]
    dtype: "_PickledType"
    fortran: bool

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.content = state


class _PickledType:
    """Stand-in for a NumPy dtype while unpickling: keeps its name and byte order."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name = name
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _ArrayUnpickler(pickle.Unpickler):
    """Maps three names to our stand-ins, and refuses all others."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        allowed = {
            ("multiarray", "_reconstruct"): lambda *_: _PickledArray(),
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): _PickledType,
        }
        key = (module_name.rpartition(".")[2], global_name)
        if key not in allowed:
            raise pickle.UnpicklingError(f"refuses {module_name}.{global_name}")
        return allowed[key]


def _to_numbers(value: Any) -> Any:
    """Returns nested dictionaries with the arrays that the stand-ins describe."""
    if isinstance(value, dict):
        return {str(key): _to_numbers(item) for key, item in value.items()}
    if not isinstance(value, _PickledArray):
        raise ValueError(f"holds a {type(value).__name__}")
    if not re.fullmatch(r"f[248]", value.dtype.name):
        raise ValueError(f"holds an array of {value.dtype.name}")
    data = value.content
    data = data.encode("latin1") if isinstance(data, str) else data
    order = value.dtype.order if value.dtype.order in "<>" else "<"
    array = np.frombuffer(data, np.dtype(order + value.dtype.name))
    return array.reshape(value.shape, order="F" if value.fortran else "C")
