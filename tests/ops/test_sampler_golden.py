"""The samples of the original ClaRAN, and its spatial transformer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran.ops.sampler import sample_affine, sample_rois


@pytest.mark.parametrize(
    "golden, size",
    [("shipped", 132), ("full", 132), ("full", 600)],
    indirect=["golden"],
)
def test_st_pool(golden, size):
    vectors = np.load(golden / "pieces" / "st_pool.npz")
    features, rois, expected, cotangent, gradient = (
        jnp.asarray(vectors[f"s{size}__{name}"])
        for name in ("features", "rois", "out", "cotangent", "grad_features")
    )
    sample = functools.partial(
        sample_rois, size=7, stride=16, placement="claran", border="zero"
    )
    out, pull = jax.vjp(jax.jit(lambda f: sample(f, rois[:, 1:])), features[0])
    # At an integer position float32 may fall on either side.
    sure = ~vectors[f"s{size}__near_whole_number"]
    np.testing.assert_allclose(out[sure], expected[sure], atol=2e-5)
    # In the original, samples outside the map add to the gradient of the first
    # cell what cancels only up to rounding.
    found, gradient = np.array(pull(cotangent)[0]), np.array(gradient[0])
    np.testing.assert_allclose(found[0, 0], gradient[0, 0], atol=1e-3)
    found[0, 0] = gradient[0, 0] = 0
    np.testing.assert_allclose(found, gradient, atol=2e-5)


@pytest.mark.parametrize(
    "golden, name",
    [("shipped", "plain"), ("full", "square")],
    indirect=["golden"],
)
def test_transformer(golden, name):
    vectors = np.load(golden / "pieces" / "transformer.npz")
    maps, theta, expected, cotangent, d_maps, d_theta = (
        jnp.asarray(vectors[f"{name}__{part}"])
        for part in ("U", "theta", "out", "cotangent", "grad_U", "grad_theta")
    )
    _, rows, columns, _ = maps.shape
    size = tuple(vectors[f"{name}__out_size"].tolist())

    @jax.jit
    @jax.vmap
    def transform(features, theta):
        # The original takes x in [-1, 1] to (x + 1) * columns / 2.
        center = jnp.array([[0, 0, 1], [0, 0, 1]])
        half = jnp.array([[columns], [rows]]) / 2
        cells = (theta.reshape(2, 3) + center) * half
        return sample_affine(features, cells[None], size=size, border="zero")[0]

    out, pull = jax.vjp(transform, maps, theta)
    np.testing.assert_allclose(out, expected, atol=2e-5)
    gradients = pull(cotangent)
    np.testing.assert_allclose(gradients[0], d_maps, atol=2e-5)
    np.testing.assert_allclose(gradients[1], d_theta, rtol=1e-4, atol=1e-4)
