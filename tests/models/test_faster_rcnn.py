import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from claran.layers.roi_sampler import RoiSampler
from claran.models.faster_rcnn import FasterRcnn
from claran.ops.targets import (
    HeadOptions,
    Objects,
    RpnOptions,
    head_targets,
    rpn_targets,
)
from claran.training.precision import in_precision


@pytest.fixture(scope="module")
def model(narrow):
    keras.utils.set_random_seed(1)
    return narrow().network


@pytest.fixture
def pictures(rng):
    return rng.uniform(0, 255, (3, 64, 64, 3)).astype(np.float32)


def parts_of(model, **changes):
    names = "backbone rpn proposals sampler head decoder image_size"
    return {name: getattr(model, name) for name in names.split()} | changes


def test_parts_that_do_not_fit(model):
    message = "`rpn` and `sampler` must have one stride, got 16 and 8"
    with pytest.raises(ValueError, match=message):
        FasterRcnn(**parts_of(model, sampler=RoiSampler(stride=8)))


def test_classes_are_those_of_the_head(model, narrow):
    assert model.num_classes == model.head.num_classes == 6
    assert narrow(class_names=["a", "b"]).network.num_classes == 2


def test_saved_and_loaded(model, pictures, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is FasterRcnn
    assert (loaded.image_size, loaded.num_classes) == (64, 6)
    for name in ("proposals", "sampler", "decoder"):
        own, other = getattr(loaded, name), getattr(model, name)
        assert own.get_config() == other.get_config()
    found, expected = jax.jit(loaded)(pictures), jax.jit(model)(pictures)
    assert expected.valid.any()
    for name in expected._fields:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


# A picture that is larger than those of training has more places in proportion.
@pytest.mark.parametrize(
    "shape, places", [((48, 100), 60), ((33, 16), 30)], ids=["large", "small"]
)
def test_any_size(model, rng, shape, places):
    pictures = rng.uniform(0, 255, (3, *shape, 3)).astype(np.float32)
    run = jax.jit(model)
    detected = run(pictures)
    assert detected.boxes.shape == (3, places, 4) and detected.valid.any(axis=1).all()
    assert detected.boxes.dtype == detected.scores.dtype == jnp.float32
    scores = np.where(detected.valid, detected.scores, -1)
    assert (np.diff(scores) <= 0).all() and (scores <= 1).all()
    assert set(np.asarray(detected.labels)[detected.valid]) <= set(range(1, 7))
    # What is beside a picture in its batch changes nothing.
    pictures[:-1] = rng.uniform(0, 255, (2, *shape, 3))
    other = run(pictures)
    np.testing.assert_allclose(detected.boxes[-1], other.boxes[-1], atol=1e-3)
    assert not np.allclose(detected.boxes[0], other.boxes[0], atol=1)


def test_padding_is_not_looked_at(model, rng):
    images = rng.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    info = np.array([[40, 64, 2]], np.float32)  # 24 rows are padding; twice enlarged.
    detected = jax.jit(model)({"images": images, "image_info": info})
    boxes = np.asarray(detected.boxes)[detected.valid]
    assert len(boxes) and (boxes[:, 3] <= 40 / 2).all() and (boxes[:, 2] <= 32).all()


def test_without_a_proposal(model, pictures):
    # Proposals must have sides of four pixels of a picture this is enlarged from.
    info = np.array([[64, 64, 1000]] * 3, np.float32)
    proposed = jax.jit(model.propose)(pictures, info)
    assert not proposed.valid.any() and not proposed.scores.any()
    detected = jax.jit(model)({"images": pictures, "image_info": info})
    assert not detected.valid.any() and not detected.boxes.any()


@pytest.mark.parametrize(
    "rows, columns, factor",
    [(64, 64, 1), (1, 1, 1), (64, 65, 2), (64, 128, 2), (128, 128, 4), (129, 128, 5)],
)
def test_area_is_relative_to_training_and_rounded_up(model, rows, columns, factor):
    assert model.area_factor(rows, columns) == factor


@pytest.mark.parametrize("temperature", [None, 2.0], ids=["own", "given"])
def test_decoded_later(model, narrow, rng, temperature):
    """As calibration does: both stages run once, and detections are decoded anew."""
    pictures = rng.uniform(0, 255, (2, 48, 100, 3)).astype(np.float32)
    info = np.tile(np.float32([48, 100, 1]), (2, 1))
    heads = jax.jit(model.heads)(pictures, info)
    decode = jax.jit(functools.partial(model.decode, temperature=temperature))
    found = decode(heads, info)
    network = narrow().network
    network.set_weights(model.get_weights())
    network.decoder.temperature = temperature or 1.0
    expected = jax.jit(network)({"images": pictures, "image_info": info})
    assert expected.valid.any() and expected.boxes.shape == (2, 60, 4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_other_classes(narrow, pictures):
    model = narrow(class_names=["compact", "FR-I", "FR-II"]).network
    detected = jax.jit(model)(pictures)
    assert detected.boxes.shape == (3, 15, 4)
    assert set(np.asarray(detected.labels)[detected.valid]) <= {1, 2, 3}


def test_bfloat16(narrow, pictures):
    model = in_precision(narrow(), "mixed_bfloat16").network
    assert jax.eval_shape(model.backbone, pictures).dtype == jnp.bfloat16
    detected = jax.jit(model)(pictures)
    assert detected.boxes.dtype == jnp.float32 and detected.valid.any()
    assert jnp.isfinite(detected.boxes).all()


@pytest.fixture(scope="module")
def losses_and_gradients(model):
    keys = jax.random.split(jax.random.key(1), 3)
    anchors = jnp.asarray(model.rpn.anchors(4, 4))
    shape = jnp.array([64.0, 64])

    def targets(key, one, rois, valid):
        rpn = rpn_targets(key, anchors, one, shape, options=RpnOptions(size=32))
        options = HeadOptions(size=8)
        return rpn, *head_targets(key, rois, valid, one, options=options)

    def total(values, pictures, objects):
        mapping = zip(model.trainable_variables, values, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            info = jnp.tile(jnp.array([64.0, 64, 1]), (3, 1))
            found = model.propose(pictures, info)
            wanted = jax.vmap(targets)(keys, objects, found.rois, found.valid)
            losses = model.losses_from(found, *wanted, training=False)
        return sum(losses.values()), losses

    run = jax.jit(jax.grad(total, has_aux=True))
    paths = [variable.path for variable in model.trainable_variables]

    def measure(pictures, objects):
        values = [variable.value for variable in model.trainable_variables]
        gradients, losses = run(values, pictures, objects)
        return losses, dict(zip(paths, gradients, strict=True))

    return measure


class TestTraining:
    """Three pictures of 64 px with objects in none, some or all of their places."""

    @staticmethod
    def objects(valid):
        boxes = np.array([[8, 8, 40, 40], [30, 20, 60, 62]], np.float32)
        places = len(valid[0])
        return Objects(
            jnp.asarray(np.tile(boxes[:places], (3, 1, 1))),
            jnp.asarray(np.tile(np.array([2, 5])[:places], (3, 1))),
            jnp.asarray(np.array(valid, bool)),
        )

    def test_objects(self, losses_and_gradients, pictures):
        objects = self.objects([[1, 1], [1, 0], [0, 0]])
        losses, gradients = losses_and_gradients(pictures, objects)
        assert all(jnp.isfinite(loss) and loss > 0 for loss in losses.values())
        assert all(jnp.isfinite(g).all() and g.any() for g in gradients.values())

    @pytest.mark.parametrize(
        "valid", [[[0, 0]] * 3, [[]] * 3], ids=["no-objects", "no-places"]
    )
    def test_without_objects(self, losses_and_gradients, pictures, valid):
        losses, gradients = losses_and_gradients(pictures, self.objects(valid))
        assert losses["rpn_box"] == losses["head_box"] == 0
        assert losses["rpn_class"] > 0 and losses["head_class"] > 0
        assert all(jnp.isfinite(gradient).all() for gradient in gradients.values())

    def test_frozen_blocks_have_no_gradient(self, model):
        paths = {variable.path for variable in model.trainable_variables}
        convolutions = {path.split("/")[-2] for path in paths if "/conv" in f"/{path}"}
        assert not convolutions & {"conv1_1", "conv1_2", "conv2_1", "conv2_2"}
        assert {"conv3_1", "conv5_3"} <= convolutions and len(paths) == 32

    def test_dropout(self, model, rng):
        samples = jnp.asarray(rng.normal(size=(1, 9, 7, 7, 8)), jnp.float32)
        (logits, _), (again, _) = model.head(samples), model.head(samples)
        np.testing.assert_array_equal(logits, again)
        dropped, _ = model.head(samples, training=True)
        assert not np.allclose(logits, dropped)
