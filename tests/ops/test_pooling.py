"""Max pooling against XLA's own window reduction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from claran.ops.pooling import max_pool


@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (2, 3), (1, 4)], ids=str)
def test_largest_of_four(wrap, rng, shape):
    features = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    pooled = wrap(max_pool)(jnp.asarray(features))
    rows, columns = shape[0] // 2, shape[1] // 2
    assert pooled.shape == (2, rows, columns, 3)
    for i in range(rows):
        for j in range(columns):
            cells = features[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            np.testing.assert_array_equal(pooled[:, i, j], cells.max(axis=(1, 2)))


def test_gradient(rng):
    features = jnp.asarray(rng.normal(size=(1, 4, 5, 2)), jnp.float32)
    pool = lambda x: max_pool(jnp.asarray(x))
    check_grads(pool, (features,), order=1, modes=["rev"])
    ones = jax.grad(lambda x: max_pool(x).sum())(features)
    assert ones.sum() == 2 * 2 * 2
