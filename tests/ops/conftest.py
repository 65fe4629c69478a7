"""In ops, shapes broadcast only where the code says so; Keras does not keep to that."""

import jax
import pytest


@pytest.fixture(autouse=True)
def no_rank_promotion():
    with jax.numpy_rank_promotion("raise"):
        yield
