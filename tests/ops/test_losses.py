import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from claran.ops.losses import cross_entropy, smooth_l1


def slow_cross_entropy(logits, labels, valid):
    costs = []
    for row, label, counts in zip(logits.tolist(), labels, valid, strict=True):
        if counts:
            total = sum(math.exp(value - row[label]) for value in row)
            costs.append(math.log(total))
    return sum(costs) / len(costs) if costs else 0.0


def slow_smooth_l1(predicted, target, positive, valid, sigma):
    total = 0.0
    for i, j in np.ndindex(predicted.shape):
        if positive[i] and valid[i]:
            error = abs(float(predicted[i, j]) - float(target[i, j]))
            near = error < 1 / sigma**2
            total += 0.5 * (sigma * error) ** 2 if near else error - 0.5 / sigma**2
    return total / max(1, sum(valid))


VALID = pytest.mark.parametrize(
    "valid",
    [[True] * 5, [True, False, True, True, False], [False] * 5],
    ids=["all-valid", "some-valid", "none-valid"],
)
SHIPPED = pytest.mark.parametrize("golden", ["shipped"], indirect=True)
POSITIVE = np.array([True, True, False, True, False])


@VALID
def test_cross_entropy_equals_the_loop(wrap, rng, valid):
    logits = jnp.asarray(rng.normal(0, 3, (5, 7)), jnp.float32)
    labels = rng.integers(0, 7, 5)
    found = wrap(cross_entropy)(logits, jnp.asarray(labels), jnp.array(valid))
    expected = slow_cross_entropy(logits, labels, valid)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@VALID
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_smooth_l1_equals_the_loop(wrap, rng, valid, sigma):
    predicted, target = jnp.asarray(rng.normal(0, 1, (2, 5, 4)), jnp.float32)
    loss = wrap(functools.partial(smooth_l1, sigma=sigma))
    found = loss(predicted, target, jnp.asarray(POSITIVE), jnp.array(valid))
    expected = slow_smooth_l1(predicted, target, POSITIVE, valid, sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_rows(wrap):
    none = jnp.zeros(0, bool)
    assert wrap(cross_entropy)(jnp.zeros((0, 3)), jnp.zeros(0, int), none) == 0
    assert wrap(smooth_l1)(jnp.zeros((0, 4)), jnp.zeros((0, 4)), none, none) == 0


@VALID
def test_gradients(rng, valid):
    logits = jnp.asarray(rng.normal(0, 1, (5, 3)), jnp.float32)
    predicted, target = jnp.asarray(rng.normal(0, 1, (2, 5, 4)), jnp.float32)
    rows = jnp.array(valid)

    @jax.jit
    def total(logits, predicted):
        labels = jnp.array([0, 1, 2, 0, 1])
        boxes = smooth_l1(predicted, target, jnp.asarray(POSITIVE), rows, sigma=2.0)
        return cross_entropy(logits, labels, rows) + boxes

    check_grads(total, (logits, predicted), 1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("rubbish", [jnp.nan, jnp.inf], ids=str)
def test_invalid_rows_affect_neither_value_nor_gradient(rubbish):
    valid = jnp.array([True, False])
    numbers = jnp.stack([jnp.arange(4.0), jnp.full(4, rubbish)])

    @jax.jit
    @jax.value_and_grad
    def loss(predicted):
        return smooth_l1(predicted, numbers, jnp.array([True, True]), valid)

    value, gradient = loss(jnp.zeros((2, 4)))
    assert value == 0 + 0.5 + 1.5 + 2.5
    assert gradient.tolist() == [[0, -1, -1, -1], [0, 0, 0, 0]]


def test_large_logits_stay_finite():
    logits = jnp.array([[1e4, -1e4]])
    found, gradient = jax.value_and_grad(cross_entropy)(
        logits, jnp.array([1]), jnp.array([True])
    )
    assert found == 2e4
    assert gradient.tolist() == [[1, -1]]


class TestGolden:
    """Loss terms of the original, alone and in one training step."""

    @SHIPPED
    @pytest.mark.parametrize("sigma", [1, 3])
    def test_smooth_l1_curve(self, golden, sigma):
        vectors = np.load(golden / "pieces" / "losses.npz")
        valid = jnp.array([True])

        def cost(x):
            predicted = jnp.stack([x, *[jnp.zeros(())] * 3])[None]
            return smooth_l1(predicted, jnp.zeros((1, 4)), valid, valid, sigma=sigma)

        run = jax.jit(jax.vmap(jax.value_and_grad(cost)))
        value, slope = run(vectors["curve_x"])
        expected = vectors[f"curve_sigma{sigma}"], vectors[f"curve_sigma{sigma}_grad"]
        np.testing.assert_allclose(value, expected[0], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(slope, expected[1], rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("sigma", [1, 3])
    def test_box_loss_of_the_true_class(self, golden, sigma):
        vectors = np.load(golden / "pieces" / "losses.npz")
        labels = vectors["label"]
        rows = jnp.arange(len(labels))
        target = vectors["bbox_targets"].reshape(-1, 7, 4)[rows, labels]
        valid = jnp.ones(len(labels), bool)

        def loss(deltas):
            own = deltas.reshape(-1, 7, 4)[rows, labels]
            return smooth_l1(own, jnp.asarray(target), labels > 0, valid, sigma=sigma)

        labels = jnp.asarray(labels)
        run = jax.jit(jax.value_and_grad(loss))
        value, gradient = run(jnp.asarray(vectors["bbox_pred"]))
        expected = vectors[f"sigma{sigma}_nolbn_mean"]
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        expected = vectors[f"sigma{sigma}_nolbn_grad"]
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-8)

    @SHIPPED
    def test_rpn_losses_of_a_training_step(self, golden):
        vectors = np.load(golden / "train" / "narrow_step_s132.npz")
        _, rows, columns, channels = vectors["rpn_bbox_pred"].shape
        a = channels // 4
        # Score channels: background of all anchors, then object of all anchors.
        # Box channels: four deltas for each anchor.
        logits = vectors["rpn_cls_score"].reshape(rows, columns, 2, a)
        logits = jnp.asarray(logits.swapaxes(2, 3).reshape(-1, 2))
        deltas = jnp.asarray(vectors["rpn_bbox_pred"].reshape(-1, 4))
        labels = vectors["rpn_data__labels"].reshape(a, rows, columns)
        labels = jnp.asarray(labels.transpose(1, 2, 0).ravel())
        targets = vectors["rpn_data__bbox_targets"].reshape(a, 4, rows, columns)
        targets = jnp.asarray(targets.transpose(2, 3, 0, 1).reshape(-1, 4))
        valid = labels >= 0
        found = cross_entropy(logits, jnp.maximum(labels, 0), valid)
        np.testing.assert_allclose(found, vectors["rpn_loss_cls"], rtol=1e-5)
        found = smooth_l1(deltas, targets, labels == 1, valid, sigma=3.0)
        np.testing.assert_allclose(found, vectors["rpn_loss_box"], rtol=1e-5)

    @SHIPPED
    def test_head_losses_of_a_training_step(self, golden):
        vectors = np.load(golden / "train" / "narrow_step_s132.npz")
        labels = vectors["roi_data__labels"].ravel()
        rows = np.arange(len(labels))
        own, target = (
            jnp.asarray(vectors[name].reshape(len(labels), -1, 4)[rows, labels])
            for name in ("bbox_pred", "roi_data__bbox_targets")
        )
        labels, valid = jnp.asarray(labels), jnp.ones(len(labels), bool)
        found = cross_entropy(jnp.asarray(vectors["cls_score"]), labels, valid)
        np.testing.assert_allclose(found, vectors["loss_cls"], rtol=1e-5)
        found = smooth_l1(own, target, labels > 0, valid)
        np.testing.assert_allclose(found, vectors["loss_box"], rtol=1e-5)
