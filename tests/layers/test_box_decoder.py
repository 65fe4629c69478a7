import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran.layers.box_decoder import BoxDecoder

INFO = jnp.array([[64.0, 64.0, 1.0]])
ROIS = jnp.array([[[10, 10, 30, 30], [11, 10, 31, 30], [40, 40, 60, 60]]], jnp.float32)


def probable(rows):
    return jnp.log(jnp.array([rows], jnp.float32))


def detect(layer, logits, rois=ROIS, deltas=None, proposed=None, info=INFO, **options):
    deltas = jnp.zeros((*logits.shape, 4)) if deltas is None else deltas
    proposed = jnp.ones(logits.shape[:2], bool) if proposed is None else proposed
    run = jax.jit(functools.partial(layer, **options))
    return run(logits, deltas, rois, proposed, info)


def test_contract(layer_contract, rng):
    corner = rng.uniform(0, 40, (3, 5, 2))
    rois = np.concatenate([corner, corner + rng.uniform(4, 30, (3, 5, 2))], axis=2)
    inputs = [
        jnp.asarray(rng.normal(size=(3, 5, 4)), jnp.float32),
        jnp.asarray(rng.normal(size=(3, 5, 4, 4)), jnp.float32),
        jnp.asarray(rois, jnp.float32),
        jnp.asarray(rng.uniform(size=(3, 5)) < 0.7),
        jnp.array([[64.0, 64, 1], [32, 64, 1], [64, 48, 2]]),
    ]
    layer = BoxDecoder(max_outputs=6, delta_stds=(0.1, 0.2, 0.3, 0.4), temperature=1.5)
    layer_contract(layer, inputs)


def test_suppression_is_class_by_class():
    # The first two proposals overlap by 19 / 21; they are best for different classes.
    logits = probable([[0.1, 0.6, 0.3], [0.1, 0.5, 0.4], [0.2, 0.7, 0.1]])
    found = detect(BoxDecoder(max_outputs=5), logits)
    assert found.valid.tolist() == [[True] * 4 + [False]]
    assert found.labels.tolist() == [[1, 1, 2, 2, 0]]
    np.testing.assert_allclose(found.scores[0], [0.7, 0.6, 0.4, 0.1, 0], rtol=1e-5)
    expected = ROIS[0, jnp.array([2, 0, 1, 2])]
    np.testing.assert_allclose(found.boxes[0, :4], expected, atol=1e-5)
    assert not found.boxes[0, 4].any()


def test_temperature_divides_the_logits():
    logits = jnp.array([[[0.0, 2.0], [0.0, -1.0], [0.0, 0.0]]])
    found = detect(BoxDecoder(max_outputs=3, temperature=2.0), logits)
    expected = [1 / (1 + np.exp(-x / 2)) for x in (2.0, 0.0)]
    np.testing.assert_allclose(found.scores[0, :2], expected, rtol=1e-5)


def test_temperature_of_a_call_replaces_the_layers_own():
    logits = jnp.array([[[0.0, 2.0], [0.0, -1.0], [0.0, 0.0]]])
    layer = BoxDecoder(max_outputs=3, temperature=2.0)
    for temperature in (0.5, 1.0, 4.0):
        found = detect(layer, logits, temperature=jnp.float32(temperature))
        expected = detect(BoxDecoder(max_outputs=3, temperature=temperature), logits)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    again, own = detect(layer, logits), detect(layer, logits, temperature=2.0)
    np.testing.assert_allclose(again.scores, own.scores, rtol=1e-6)


def test_a_larger_area_has_more_places():
    logits = probable([[0.1, 0.6, 0.3], [0.1, 0.5, 0.4], [0.2, 0.7, 0.1]])
    layer = BoxDecoder(max_outputs=2)
    one, three = (detect(layer, logits, area_factor=factor) for factor in (1, 3))
    assert one.boxes.shape == (1, 2, 4) and three.boxes.shape == (1, 6, 4)
    assert one.valid.sum() == 2 and three.valid.sum() == 4
    np.testing.assert_array_equal(three.scores[:, :2], one.scores)


def test_invalid_proposals_detect_nothing():
    logits = probable([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    proposed = jnp.array([[False, True, False]])
    found = detect(BoxDecoder(max_outputs=2), logits, proposed=proposed)
    assert found.valid.tolist() == [[True, False]]
    np.testing.assert_allclose(found.boxes[0, 0], ROIS[0, 1], atol=1e-5)
    none = detect(BoxDecoder(max_outputs=2), logits, proposed=proposed & False)
    assert not any(part.any() for part in none)


def test_no_proposals():
    found = detect(
        BoxDecoder(max_outputs=2), jnp.zeros((1, 0, 3)), jnp.zeros((1, 0, 4))
    )
    assert found.boxes.shape == (1, 2, 4)
    assert not found.valid.any()


def test_deltas_are_per_class_and_in_units_of_delta_stds():
    deltas = jnp.zeros((1, 3, 3, 4)).at[0, 2, 2].set(jnp.array([1.0, 0, 0, 0]))
    logits = probable([[0.98, 0.01, 0.01]] * 2 + [[0.1, 0.3, 0.6]])
    layer = BoxDecoder(max_outputs=2, delta_stds=(0.1, 0.1, 0.2, 0.2))
    found = detect(layer, logits, deltas=deltas)
    assert found.labels.tolist() == [[2, 1]]
    expected = [[42, 40, 62, 60], [40, 40, 60, 60]]
    np.testing.assert_allclose(found.boxes[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    "both_ends, expected",
    [
        (True, [[50, 5, 50, 10], [0, 0, 50, 40]]),
        (False, [[60, 5, 50, 10], [0, 0, 50, 40]]),
    ],
    ids=["both-ends", "claran"],
)
def test_clipping(both_ends, expected):
    rois = jnp.array([[[60.0, 5, 70, 10], [-5, -5, 90, 90]]])
    layer = BoxDecoder(max_outputs=2, clip_both_ends=both_ends)
    logits = probable([[0.1, 0.9], [0.2, 0.8]])
    found = detect(layer, logits, rois, info=jnp.array([[40.0, 50.0, 1.0]]))
    np.testing.assert_allclose(found.boxes[0], expected, atol=1e-4)


def test_boxes_are_in_pixels_of_the_picture():
    # 64 x 64 px with 16 rows of padding, at two pixels for one of the picture.
    info = jnp.array([[48.0, 64.0, 2.0]])
    logits = probable([[0.1, 0.9]] * 3)
    found = detect(BoxDecoder(max_outputs=2), logits, info=info)
    expected = [[5, 5, 15, 15], [20, 20, 30, 24]]
    np.testing.assert_allclose(found.boxes[0], expected, atol=1e-5)


def test_an_image_does_not_depend_on_its_batch(rng):
    layer = jax.jit(BoxDecoder(max_outputs=4))
    logits = jnp.asarray(rng.normal(size=(3, 3, 3)), jnp.float32)
    rois, info = jnp.tile(ROIS, (3, 1, 1)), jnp.tile(INFO, (3, 1))
    together = detect(layer, logits, rois, info=info)
    for i in range(3):
        alone = detect(layer, logits[i : i + 1])
        jax.tree.map(
            lambda many, one, i=i: np.testing.assert_allclose(
                many[i], one[0], rtol=1e-6
            ),
            together,
            alone,
        )


class TestGolden:
    @pytest.mark.parametrize(
        "golden, image", [("shipped", 0), ("full", 1)], indirect=["golden"]
    )
    def test_detections(self, golden, image):
        vectors = np.load(golden / "detect" / f"narrow_s132_132_{image}.npz")
        layer = BoxDecoder(
            max_outputs=30,
            inclusive=True,
            clip_both_ends=False,
            offset=1.0,
            max_log_ratio=None,
        )
        # The original's network gives deltas that are multiplied by these already.
        stds = np.tile(np.array(layer.delta_stds, np.float32), 7)
        found = jax.jit(layer)(
            jnp.asarray(vectors["test__cls_score"][None]),
            jnp.asarray((vectors["test__bbox_pred"] / stds).reshape(1, 5, 7, 4)),
            jnp.asarray(vectors["test__rois"][None, :, 1:]),
            jnp.ones((1, 5), bool),
            jnp.asarray(vectors["im_info"], jnp.float32),
        )
        boxes, labels, scores, valid = (np.asarray(part[0]) for part in found)
        classes = ["1_1", "1_2", "1_3", "2_2", "2_3", "3_3"]
        for number, name in enumerate(classes, start=1):
            expected = vectors[f"test__test_dets_{name}"]
            mine = valid & (labels == number) & (scores > 0.05)
            np.testing.assert_allclose(scores[mine], expected[:, 4], atol=1e-5)
            np.testing.assert_allclose(boxes[mine], expected[:, :4], atol=1e-3)

    @pytest.mark.parametrize("golden", ["shipped", "full"], indirect=True)
    def test_clip(self, golden):
        vectors = np.load(golden / "pieces" / "boxes.npz")
        boxes, expected = (
            vectors[name].reshape(-1, 4) for name in ("clip__boxes", "clip_final__out")
        )
        rows, columns, _ = vectors["clip__im_shape"].tolist()
        layer = BoxDecoder(clip_both_ends=False)
        # Inclusive pixels end at rows - 1 and columns - 1.
        info = jnp.array([rows - 1.0, columns - 1.0, 1.0])
        found = layer.decode(jnp.zeros((len(boxes), 1, 4)), jnp.asarray(boxes), info)
        np.testing.assert_allclose(found[:, 0], expected, atol=1e-3)


def test_boxes_keep_full_precision_among_half_precision_layers():
    layer = BoxDecoder(max_outputs=1, dtype="mixed_bfloat16")
    rois = jnp.array([[[10.25, 20.5, 51.486, 47.125]]])
    found = detect(layer, probable([[0.1, 0.9]]), rois)
    np.testing.assert_allclose(found.boxes[0], rois[0], atol=1e-4)
