"""Equality of the network with vectors computed by the original code of ClaRAN."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from claran.labels import RGZ_CLASSES
from claran.models.vgg16 import BGR_MEAN
from claran.models.weights import load_claran_checkpoint
from claran.ops.targets import Targets

CASES = [("narrow_s132_132_0", 132), ("narrow_s132_132_1", 132), ("narrow_600_0", 600)]


def relative(got, want):
    return np.abs(np.asarray(got) - want).max() / np.abs(want).max()


@pytest.fixture(scope="module")
def checkpoint(golden):
    pytest.importorskip("tensorflow", reason="reads a TensorFlow 1 checkpoint")
    return golden / "ckpt_narrow" / "VGGnet_fast_rcnn-80000"


@pytest.fixture(scope="module", params=CASES, ids=[name for name, _ in CASES])
def case(request, golden, checkpoint):
    name, size = request.param
    model = load_claran_checkpoint(checkpoint, image_size=size)
    return model, np.load(golden / "detect" / f"{name}.npz")


@pytest.fixture(scope="module")
def inputs(case):
    _, vectors = case
    images = vectors["blob"] + np.array(BGR_MEAN, np.float32)
    return {
        "images": jnp.asarray(images),
        "image_info": jnp.asarray(vectors["im_info"]),
    }


def test_proposals(case, inputs):
    model, vectors = case
    proposed = model.propose(inputs["images"], inputs["image_info"])
    assert relative(proposed.features, vectors["conv5_3"]) < 1e-4
    objectness = jax.nn.softmax(proposed.logits)[0, :, 1]
    assert relative(objectness, vectors["scores_all"]) < 1e-4
    want = vectors["test__rois"]
    np.testing.assert_allclose(proposed.rois[0], want[:, 1:], atol=1e-2)
    np.testing.assert_allclose(proposed.scores[0], want[:, 0], atol=1e-5)


def test_box_head(case, inputs):
    model, vectors = case
    features = jnp.asarray(vectors["conv5_3"])
    rois = jnp.asarray(vectors["test__rois"][:, 1:])
    samples = model.sampler(features, rois[None])
    assert relative(samples[0], vectors["test__pool_5"]) < 2e-5
    logits, deltas = model.head(samples)
    assert relative(logits[0], vectors["test__cls_score"]) < 1e-4
    np.testing.assert_allclose(
        jax.nn.softmax(logits)[0], vectors["test__cls_prob"], atol=1e-4
    )
    boxes = model.decoder.decode(deltas[0], rois, inputs["image_info"][0])
    np.testing.assert_allclose(
        boxes.reshape(len(rois), -1), vectors["test__boxes"], atol=1e-2
    )


@pytest.mark.parametrize("reload", [False, True], ids=["imported", "saved"])
def test_detections(case, inputs, reload, tmp_path):
    model, vectors = case
    if reload:
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    detected = jax.tree.map(lambda array: array[0], model.predict_on_batch(inputs))
    for label, name in enumerate(RGZ_CLASSES, start=1):
        own = (detected.labels == label) & (detected.scores > 0.05)
        want = vectors[f"test__test_dets_{name}"]
        np.testing.assert_allclose(detected.boxes[own], want[:, :4], atol=1e-2)
        np.testing.assert_allclose(detected.scores[own], want[:, 4], atol=1e-4)


@pytest.fixture(scope="module")
def step(golden):
    """One training step of the original at 132 px without dropout."""
    return np.load(golden / "train" / "narrow_step_s132.npz")


@pytest.fixture(scope="module")
def trained(checkpoint):
    """The network as in training: its deltas are in units of `delta_stds`."""
    model = load_claran_checkpoint(checkpoint, image_size=132)
    stds = np.tile(model.decoder.delta_stds, 7)
    for variable in model.head.regression.weights:
        variable.assign(variable * stds)
    return model


def step_targets(step, model):
    """Returns the original's targets in our format: all anchors, all sampled RoIs."""
    cells, anchors = 64, 6
    label = step["rpn_data__labels"].reshape(anchors, cells).T.ravel()
    deltas = step["rpn_data__bbox_targets"].reshape(anchors, 4, cells)
    rpn = Targets(
        rows=jnp.arange(cells * anchors),
        labels=jnp.asarray(np.maximum(label, 0)),
        deltas=jnp.asarray(deltas.transpose(2, 0, 1).reshape(-1, 4)),
        valid=jnp.asarray(label >= 0),
    )
    label = step["roi_data__labels"].ravel()
    deltas = step["roi_data__bbox_targets"].reshape(-1, 7, 4)
    head = Targets(
        rows=jnp.arange(len(label)),
        labels=jnp.asarray(label),
        deltas=jnp.asarray(
            deltas[np.arange(len(label)), label] * np.array(model.decoder.delta_stds)
        ),
        valid=jnp.ones(len(label), bool),
    )
    return jax.tree.map(lambda array: array[None], (rpn, head))


def training_losses(model, step, values):
    rpn, head = step_targets(step, model)
    mapping = zip(model.trainable_variables, values, strict=True)
    with keras.StatelessScope(state_mapping=list(mapping)):
        images = jnp.asarray(step["image_132"], jnp.float32)[None]
        return model.losses_from(
            model.propose(images, jnp.array([[132.0, 132, 1]])),
            rpn,
            jnp.asarray(step["roi_data__rois"][None, :, 1:]),
            head,
            training=False,
        )


LOSSES = {
    "rpn_class": "rpn_loss_cls",
    "rpn_box": "rpn_loss_box",
    "head_class": "loss_cls",
    "head_box": "loss_box",
}


def test_training_losses(trained, step):
    values = [variable.value for variable in trained.trainable_variables]
    got = training_losses(trained, step, values)
    for name, original in LOSSES.items():
        assert float(got[name]) == pytest.approx(float(step[original]), rel=1e-4)


def test_training_gradients(trained, step):
    def total(values):
        return sum(training_losses(trained, step, values).values())

    values = [variable.value for variable in trained.trainable_variables]
    gradients = jax.jit(jax.grad(total))(values)
    by_layer = dict(
        zip([v.path for v in trained.trainable_variables], gradients, strict=True)
    )
    names = {
        "conv": "rpn_conv|3x3",
        "objectness": "rpn_cls_score",
        "regression": "rpn_bbox_pred",
        "head_classification": "cls_score",
        "head_regression": "bbox_pred",
    }
    assert len(by_layer) == 32  # conv1 and conv2 are frozen.
    for path, gradient in by_layer.items():
        *_, part, layer, kind = ["", *path.split("/")]
        layer = f"head_{layer}" if "head" in part and layer[:2] != "fc" else layer
        name = names.get(layer, layer)
        want = step[f"grad__{name}|{'weights' if kind == 'kernel' else 'biases'}"]
        if name == "fc6" and kind == "kernel":
            want = want.reshape(-1, 7, 7, want.shape[1]).transpose(1, 2, 0, 3)
            want = want.reshape(gradient.shape)
        assert relative(gradient, want) < 1e-3, path
