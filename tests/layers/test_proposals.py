import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran.layers.proposals import Proposals

ANCHORS = jnp.array(
    [[0, 0, 16, 16], [2, 0, 18, 16], [20, 20, 52, 52], [40, 8, 70, 38]], jnp.float32
)


def scored(*scores):
    """Returns logits of one image whose object probabilities are the scores."""
    logits = np.log(np.array(scores) / (1 - np.array(scores)))
    return jnp.asarray(np.stack([np.zeros_like(logits), logits], 1)[None], jnp.float32)


def propose(layer, logits, deltas=None, info=(64, 64, 1), **kwargs):
    deltas = jnp.zeros((*logits.shape[:2], 4)) if deltas is None else deltas
    info = jnp.broadcast_to(jnp.array(info, jnp.float32), (len(logits), 3))
    run = jax.jit(functools.partial(layer, **kwargs))
    return run(logits, deltas, ANCHORS, info)


def test_contract(layer_contract, rng):
    inputs = [
        jnp.asarray(rng.normal(size=(3, 4, 2)), jnp.float32),
        jnp.asarray(rng.normal(size=(3, 4, 4)), jnp.float32),
        ANCHORS,
        jnp.array([[64.0, 64, 1], [32, 64, 1], [64, 48, 2]]),
    ]
    layer_contract(Proposals(max_outputs=3, min_size=2.0, max_log_ratio=None), inputs)


def test_proposals_are_sorted_clipped_and_suppressed():
    layer = Proposals(max_outputs=5, iou_threshold=0.7)
    boxes, scores, valid = propose(layer, scored(0.6, 0.7, 0.9, 0.8))
    assert valid.tolist() == [[True, True, True, False, False]]
    # The first anchor overlaps the second by 14 / 18; the fourth is clipped at 64.
    expected = [[20, 20, 52, 52], [40, 8, 64, 38], [2, 0, 18, 16], [0] * 4, [0] * 4]
    np.testing.assert_allclose(boxes[0], expected, atol=1e-5)
    np.testing.assert_allclose(scores[0], [0.9, 0.8, 0.7, 0, 0], rtol=1e-5)


def test_deltas_move_the_anchors():
    deltas = jnp.zeros((1, 4, 4)).at[0, 2].set(jnp.array([0.25, -0.125, 0, 0]))
    boxes, _, _ = propose(Proposals(max_outputs=1), scored(0.1, 0.1, 0.9, 0.1), deltas)
    np.testing.assert_allclose(boxes[0], [[28, 16, 60, 48]], atol=1e-4)


@pytest.mark.parametrize(
    "info, min_size, survivors",
    [
        pytest.param((64, 64, 1), 20, [True, True], id="two"),
        pytest.param((64, 64, 2), 15, [True, False], id="one-in-pixels-of-the-picture"),
        pytest.param((64, 64, 1), 33, [False, False], id="none"),
        pytest.param((0, 0, 1), 1, [False, False], id="no-image"),
    ],
)
def test_small_boxes_are_removed(info, min_size, survivors):
    layer = Proposals(max_outputs=2, min_size=min_size)
    boxes, scores, valid = propose(layer, scored(0.6, 0.7, 0.9, 0.8), info=info)
    assert valid[0].tolist() == survivors
    assert not boxes[~valid].any() and not scores[~valid].any()


def test_no_anchor():
    """As for a picture smaller than the stride."""
    layer = jax.jit(Proposals(max_outputs=2))
    none = jnp.zeros((1, 0, 2)), jnp.zeros((1, 0, 4)), jnp.zeros((0, 4))
    boxes, _, valid = layer(*none, jnp.array([[9.0, 9.0, 1.0]]))
    assert boxes.shape == (1, 2, 4)
    assert not valid.any()


def test_each_image_is_clipped_to_its_own_rows_and_columns():
    info = [[64, 64, 1], [30, 64, 1], [64, 45, 1]]
    logits = jnp.tile(scored(0.1, 0.1, 0.9, 0.1), (3, 1, 1))
    boxes, _, _ = propose(Proposals(max_outputs=1), logits, info=info)
    expected = [[20, 20, 52, 52], [20, 20, 52, 30], [20, 20, 45, 52]]
    np.testing.assert_allclose(boxes[:, 0], expected, atol=1e-5)


def test_an_image_does_not_depend_on_its_batch(rng):
    layer = jax.jit(Proposals(max_outputs=3, iou_threshold=0.3))
    logits = jnp.asarray(rng.normal(size=(3, 4, 2)), jnp.float32)
    together = propose(layer, logits)
    for i in range(3):
        alone = propose(layer, logits[i : i + 1])
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(many[i], one[0], rtol=1e-6)


def test_training_has_its_own_numbers_of_boxes():
    layer = Proposals(max_outputs=1, train_inputs=2, train_outputs=3)
    logits = scored(0.6, 0.7, 0.9, 0.8)
    assert propose(layer, logits)[2].shape == (1, 1)
    valid = propose(layer, logits, training=True)[2]
    assert valid.tolist() == [[True, True, False]]  # Two go into NMS.


def test_a_larger_area_has_more_proposals():
    layer = Proposals(max_outputs=1, max_inputs=2)
    logits = scored(0.6, 0.7, 0.9, 0.8)
    one, four = (propose(layer, logits, area_factor=factor) for factor in (1, 4))
    assert one[2].shape == (1, 1) and four[2].shape == (1, 4)
    assert four[2].tolist() == [[True, True, True, False]]  # One is suppressed.
    np.testing.assert_array_equal(four[0][:, :1], one[0])


@pytest.mark.parametrize(
    "golden, image", [("shipped", 0), ("full", 1)], indirect=["golden"]
)
@pytest.mark.parametrize("setting, threshold", [("test", 0.7), ("demo", 0.5)])
def test_proposals_equal_the_original(golden, image, setting, threshold):
    vectors = np.load(golden / "detect" / f"narrow_s132_132_{image}.npz")
    score = vectors["rpn_cls_score"].reshape(-1, 2, 6)  # Backgrounds, then objects.
    layer = Proposals(
        max_outputs=5,
        iou_threshold=threshold,
        inclusive=True,
        min_size=4.0,
        offset=1.0,
        max_log_ratio=None,
    )
    boxes, scores, valid = jax.jit(layer)(
        jnp.asarray(score.swapaxes(1, 2).reshape(1, -1, 2)),
        jnp.asarray(vectors["rpn_bbox_pred"].reshape(1, -1, 4)),
        jnp.asarray(vectors["anchors"], jnp.float32),
        jnp.asarray(vectors["im_info"], jnp.float32),
    )
    expected = vectors[f"{setting}__rois"]
    assert valid.all()
    np.testing.assert_allclose(boxes[0], expected[:, 1:], atol=1e-3)
    np.testing.assert_allclose(scores[0], expected[:, 0], atol=1e-6)
