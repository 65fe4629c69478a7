import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran.layers.roi_sampler import RoiSampler
from claran.ops.sampler import sample_rois


@pytest.fixture
def inputs(rng):
    features = jnp.asarray(rng.normal(size=(3, 5, 6, 2)), jnp.float32)
    corner = rng.uniform(0, 40, (3, 4, 2))
    rois = np.concatenate([corner, corner + rng.uniform(1, 50, (3, 4, 2))], axis=2)
    return [features, jnp.asarray(rois, jnp.float32)]


@pytest.mark.parametrize(
    "options", [{}, {"placement": "claran", "border": "zero"}], ids=["", "claran"]
)
def test_contract(layer_contract, inputs, options):
    layer_contract(RoiSampler(size=2, stride=8, **options), inputs)


@pytest.mark.parametrize("batch", [1, 3])
def test_batch_equals_single_images(inputs, batch):
    features, rois = (x[:batch] for x in inputs)
    found = jax.jit(RoiSampler(size=2, stride=8))(features, rois)
    sample = jax.jit(functools.partial(sample_rois, size=2, stride=8))
    for i in range(batch):
        expected = sample(features[i], rois[i])
        np.testing.assert_allclose(found[i], expected, atol=1e-6)


def test_no_rois(inputs):
    found = jax.jit(RoiSampler(size=2))(inputs[0], jnp.zeros((3, 0, 4)))
    assert found.shape == (3, 0, 2, 2, 2)


def test_samples_equal_the_original(golden):
    vectors = np.load(golden / "detect" / "narrow_s132_132_0.npz")
    sampler = RoiSampler(placement="claran", border="zero")
    rois = jnp.asarray(vectors["test__rois"][None, :, 1:])
    found = jax.jit(sampler)(jnp.asarray(vectors["conv5_3"]), rois)
    expected = vectors["test__pool_5"]
    np.testing.assert_allclose(found[0], expected, atol=1e-5 * np.abs(expected).max())
