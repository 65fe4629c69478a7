"""The pooling layer."""

import jax.numpy as jnp
import keras

from claran.layers.max_pool import MaxPool


def test_contract(layer_contract, rng):
    layer_contract(MaxPool(), [jnp.asarray(rng.normal(size=(2, 5, 6, 3)), jnp.float32)])


def test_shape_with_unknown_rows():
    assert MaxPool()(keras.Input((None, 7, 3))).shape == (None, None, 3, 3)
