"""Fingerprints of what a result depends on."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

__all__ = ["fingerprint"]

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def fingerprint(*values: Any) -> str:
    """Returns a hash of values, the same in each process and on each machine.

    Arrays count by type, shape and content, dataclasses by their fields, functions and
    classes by their names, and a path by its name, not by what is in the file. A value
    with an attribute `fingerprint`, a text, counts by it. All others count by what
    `pickle` would store of them, which may change with the release of a library; what
    an object keeps only for speed should not be in there.

    >>> fingerprint(1, slice(0, 5)) == fingerprint(1, slice(0, 5))
    True
    >>> fingerprint(1) == fingerprint(1.0)
    False

    Args:
        *values: The values; none may contain itself.

    Returns:
        40 hexadecimal digits.

    Raises:
        TypeError: A value cannot be pickled.
    """
    return _digest(values).hex()


def _digest(value: Any) -> bytes:
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        value = value.item()
    kind = type(value)
    if kind in PLAIN:
        return _hash(kind, repr(value).encode())
    return _hash(kind, *_parts(value))


def _parts(value: Any) -> list[bytes]:
    """Returns the content or the digests of what an object consists of."""
    match value:
        case tuple() | list():
            parts = [_digest(one) for one in value]
        case slice():
            parts = [_digest((value.start, value.stop, value.step))]
        case np.ndarray():
            parts = _array_parts(value)
        case type() | FunctionType() | BuiltinFunctionType():
            parts = [f"{value.__module__}.{value.__qualname__}".encode()]
        case _ if isinstance(own := getattr(value, "fingerprint", None), str):
            parts = [own.encode()]
        case os.PathLike():
            parts = [os.fsencode(value)]
        case Mapping():  # In any order.
            parts = sorted(_digest(pair) for pair in value.items())
        case set() | frozenset():
            parts = sorted(_digest(one) for one in value)
        case _ if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            parts = [_digest((name, getattr(value, name))) for name in names]
        case _:
            parts = _reduced_parts(value)
    return parts


def _array_parts(array: np.ndarray) -> list[bytes]:
    about = f"{array.dtype.descr}{array.shape}".encode()
    if array.dtype.hasobject:
        return [about, _digest(array.tolist())]
    # Bytes, as a buffer cannot have each type; in rows, whatever the order in memory.
    return [about, np.ascontiguousarray(array).tobytes()]


def _reduced_parts(value: Any) -> list[bytes]:
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):  # A name in its module.
        return [reduced.encode()]
    # The last two are iterators over what lists and dictionaries hold.
    held = [list(part) for part in reduced[3:5] if part is not None]
    return [_digest(reduced[:3]), _digest(held)]


def _hash(kind: type, *parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=20)
    for part in (f"{kind.__module__}.{kind.__qualname__}".encode(), *parts):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
