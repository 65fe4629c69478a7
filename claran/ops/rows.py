"""Row lookup that also works for arrays without rows."""

import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped

__all__ = ["take_rows"]


def take_rows(
    array: Shaped[Array, "m *rest"], index: Int[Array, "k"]
) -> Shaped[Array, "k *rest"]:
    """Returns `array[index]`, or zeros if the array has no rows, where JAX would raise.

    The empty slots of padded results point at row 0, whether it exists or not.

    >>> take_rows(jnp.ones((0, 2)), jnp.array([0])).tolist()
    [[0.0, 0.0]]
    """
    if not len(array):
        return jnp.zeros((len(index), *array.shape[1:]), array.dtype)
    return array[index]
