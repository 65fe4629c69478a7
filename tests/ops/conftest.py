"""Forbids implicit rank promotion in the tests of ops (Keras layers rely on it)."""

from collections.abc import Callable

import hypothesis
import jax
import pytest

# Fixed examples, and no deadline: the first example compiles.
hypothesis.settings.register_profile(
    "claran", max_examples=30, derandomize=True, database=None, deadline=None
)
hypothesis.settings.load_profile("claran")


@pytest.fixture(autouse=True)
def no_rank_promotion():
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(
    scope="session", params=[lambda function: function, jax.jit], ids=["eager", "jit"]
)
def wrap(request: pytest.FixtureRequest) -> Callable[[Callable], Callable]:
    """Runs a test twice: with the function as it is, and compiled."""
    return request.param
