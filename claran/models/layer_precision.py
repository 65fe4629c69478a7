"""Layers in 32 bits, whatever precision Keras has been told to use."""

import contextlib
from collections.abc import Iterator

import keras

__all__ = ["float32_layers"]


@contextlib.contextmanager
def float32_layers() -> Iterator[None]:
    """Context, or decorator, in which layers without a dtype of their own are float32.

    Otherwise they take Keras's global policy, which scripts set for other networks:
    with bfloat16 the scores of `claran_first` changed by 0.002.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
