"""Each stage of the network against the vectors of the original that ship.

The weights of the whole narrow network are too large to ship: see
`scripts/make_golden.py` for what is left out. `test_golden.py` runs all of it.
"""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from claran.layers.roi_sampler import RoiSampler
from claran.models.head import BoxHead
from claran.models.rpn import Rpn
from claran.models.vgg16 import vgg16

WIDTHS = (4, 8, 16, 32, 32)


@pytest.fixture(scope="module")
def vectors(shipped_golden):
    with np.load(shipped_golden / "detect" / "narrow_s132_132_0.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def weights(shipped_golden):
    """Returns kernel and bias of a layer of the original by its name."""
    with np.load(shipped_golden / "detect" / "narrow_weights.npz") as file:
        arrays = dict(file)

    def weights(name):
        if f"{name}/step" in arrays:
            kernel = arrays[f"{name}/rounded"] * arrays[f"{name}/step"]
        else:
            kernel = arrays[f"{name}/weights"]
        return [kernel, arrays[f"{name}/biases"]]

    return weights


@pytest.fixture(scope="module")
def activations(vectors, weights):
    """Output of every convolution and pooling for the original's image."""
    backbone = vgg16(WIDTHS)
    names = [layer.name for layer in backbone.layers if layer.name[:4] in "conv pool"]
    for name in names:
        if name.startswith("conv"):
            backbone.get_layer(name).set_weights(weights(name))
    outputs = [backbone.get_layer(name).output for name in names]
    run = jax.jit(keras.Model(backbone.input, outputs))
    picture = jnp.asarray(vectors["image"][None], jnp.float32)
    return dict(zip(names, run(picture), strict=True))


def relative(found, expected):
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


def test_backbone_layer_by_layer(vectors, activations):
    """Exact to conv3_1; the weights after it are rounded to 8 bits."""
    names = vectors["layer_names"].tolist()
    checked = dict.fromkeys(activations, 0.05)
    first = names[: names.index("conv3_1") + 1]
    checked |= dict.fromkeys(first, 1e-5)
    assert list(checked) == names[: names.index("conv5_3") + 1]
    for i, (name, tolerance) in enumerate(checked.items()):
        found = np.asarray(activations[name], np.float64)
        summary = np.abs(found).mean(), found.std()
        expected = vectors["layer_mean_abs"][i], vectors["layer_std"][i]
        np.testing.assert_allclose(summary, expected, rtol=tolerance, err_msg=name)


def test_backbone_features(vectors, activations):
    # The rounded weights of eight layers make 0.054.
    assert relative(activations["conv5_3"], vectors["conv5_3"]) < 0.08


@pytest.fixture(scope="module")
def rpn(weights):
    rpn = Rpn(width=32, offset=1.0)
    rpn.build((None, None, None, 32))
    rpn.objectness.set_weights(weights("rpn_cls_score"))
    rpn.regression.set_weights(weights("rpn_bbox_pred"))
    return rpn


def test_hidden_layer_of_the_rpn(rpn, vectors, weights):
    rpn.conv.set_weights(weights("rpn_conv/3x3"))  # Rounded to 8 bits.
    found = jax.jit(rpn.conv)(vectors["conv5_3"])
    assert relative(found, vectors["rpn_conv__3x3"]) < 0.02


def test_outputs_of_the_rpn(rpn, vectors):
    # The hidden layer passes on what it gets: the original's hidden layer, which a
    # ReLU leaves as it is.
    center = np.zeros((3, 3, 32, 32))
    center[1, 1] = np.eye(32)
    rpn.conv.set_weights([center, np.zeros(32)])
    logits, deltas = jax.jit(rpn)(vectors["rpn_conv__3x3"])
    objectness = jax.nn.softmax(logits)[0, :, 1]
    np.testing.assert_allclose(objectness, vectors["scores_all"], atol=1e-6)
    # Of a cell, the backgrounds of its six anchors, then their objects.
    pairs = vectors["rpn_cls_score"].reshape(-1, 2, 6).swapaxes(1, 2).reshape(-1, 2)
    np.testing.assert_allclose(logits[0], pairs, atol=1e-5)
    expected = vectors["rpn_bbox_pred"].reshape(-1, 4)
    np.testing.assert_allclose(deltas[0], expected, atol=1e-6)
    np.testing.assert_array_equal(rpn.anchors(8, 8), vectors["anchors"])


def test_samples_and_first_hidden_layer_of_the_head(vectors, weights, shipped_golden):
    """One unit of fc6, which depends on every sample and on their order."""
    sampler = RoiSampler(placement="claran", border="zero")
    rois = vectors["test__rois"][None, :, 1:]
    samples = jax.jit(sampler)(vectors["conv5_3"], rois)
    head = BoxHead(num_classes=6, width=1)
    head.build((None, None, *samples.shape[2:]))
    kernel, bias = weights("fc6")
    # The original's inputs are ordered by channel, row and column.
    kernel = kernel.reshape(32, 7, 7, 1).transpose(1, 2, 0, 3).reshape(-1, 1)
    head.fc6.set_weights([kernel, bias])
    found = jax.jit(head.fc6)(samples.reshape(5, -1))
    expected = vectors["test__fc6"][:, columns(shipped_golden, "fc6")]
    assert relative(found, expected) < 1e-5


def columns(shipped_golden, name):
    with np.load(shipped_golden / "detect" / "narrow_weights.npz") as arrays:
        return arrays[f"{name}/columns"]


@pytest.fixture(scope="module")
def head():
    """A box head whose hidden layers pass on what they get, if that is not negative."""
    head = BoxHead(num_classes=6, width=256)
    head.build((None, None, 1, 1, 256))
    for layer in (head.fc6, head.fc7):
        layer.set_weights([np.eye(256), np.zeros(256)])
    return head


def test_second_hidden_layer_of_the_head(vectors, weights, shipped_golden, head):
    shipped = columns(shipped_golden, "fc7")
    kernel, bias = weights("fc7")
    dense = keras.layers.Dense.from_config(head.fc7.get_config() | {"units": 2})
    dense.build((None, 256))
    dense.set_weights([kernel, bias])
    found = jax.jit(dense)(vectors["test__fc6"])
    assert relative(found, vectors["test__fc7"][:, shipped]) < 1e-5


def test_outputs_of_the_head(vectors, weights, shipped_golden, head):
    shipped = columns(shipped_golden, "bbox_pred")
    head.classification.set_weights(weights("cls_score"))
    kernel, bias = np.zeros((256, 28)), np.zeros(28)
    kernel[:, shipped], bias[shipped] = weights("bbox_pred")
    head.regression.set_weights([kernel, bias])
    logits, deltas = jax.jit(head)(vectors["test__fc7"].reshape(1, 5, 1, 1, 256))
    assert relative(logits[0], vectors["test__cls_score"]) < 1e-5
    probabilities = jax.nn.softmax(logits)[0]
    np.testing.assert_allclose(probabilities, vectors["test__cls_prob"], atol=1e-6)
    # Four deltas for each class, background included.
    found, expected = deltas.reshape(5, 28), vectors["test__bbox_pred"]
    assert relative(found[:, shipped], expected[:, shipped]) < 1e-5
