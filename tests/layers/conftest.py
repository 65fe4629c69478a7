"""The contract that every layer is tested against."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest


@pytest.fixture
def layer_contract(tmp_path: Path) -> Callable[[keras.Layer, Sequence[Any]], None]:
    """Checks that declared, eager, compiled, rebuilt and loaded outputs agree."""

    def check(layer: keras.Layer, inputs: Sequence[Any]) -> None:
        expected = jax.tree.leaves(layer(*inputs))
        symbols = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in inputs]
        outputs = jax.tree.leaves(layer(*symbols))
        for declared, found in zip(outputs, expected, strict=True):
            assert declared.shape == found.shape
            assert declared.dtype == found.dtype
        _equal(jax.jit(layer)(*inputs), expected)

        config = layer.get_config()
        rebuilt = type(layer).from_config(config)
        assert rebuilt.get_config() == config
        _equal(jax.jit(rebuilt)(*inputs), expected)

        path = tmp_path / f"{layer.name}.keras"
        keras.Model(symbols, outputs).save(path)
        loaded = keras.saving.load_model(path)
        _equal(jax.jit(loaded)(list(inputs)), expected)

    return check


def _equal(found: Any, expected: Sequence[Any]) -> None:
    for one, other in zip(jax.tree.leaves(found), expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
