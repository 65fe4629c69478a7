"""Padding of objects to a fixed number of slots, so that programs compile only once."""

from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

__all__ = ["PaddedObjects", "pad_objects"]


class PaddedObjects(TypedDict):
    """The objects of one field; a slot is valid, ignored or empty."""

    boxes: Float32[np.ndarray, "slots 4"]
    """Zero in empty slots."""
    labels: Int32[np.ndarray, "slots"]
    """Class from 1; 0 in empty slots."""
    valid: Bool[np.ndarray, "slots"]
    """Has an object that is not ignored."""
    ignored: Bool[np.ndarray, "slots"]
    """Has an ignored object, neither a source to find nor background."""


def pad_objects(
    boxes: Float[np.ndarray, "n 4"],
    labels: Int[np.ndarray, "n"],
    ignored: Bool[np.ndarray, "n"],
    *,
    slots: int,
    name: str = "a field",
) -> PaddedObjects:
    """Returns the objects in the first of `slots` slots, in the same order.

    Args:
        boxes: Boxes in any frame.
        labels: Class, from 1.
        ignored: See `claran.fields.objects.Objects`.
        slots: Number of slots.
        name: Name of the field, for the message.

    Raises:
        ValueError: There are more objects than slots.
    """
    count = len(boxes)
    if count > slots:
        raise ValueError(
            f"{name}: has {count} objects, more than `slots`, {slots}; give "
            f"`slots={count}` or more."
        )
    numbers = np.arange(slots)
    padded = PaddedObjects(
        boxes=np.zeros((slots, 4), np.float32),
        labels=np.zeros(slots, np.int32),
        valid=numbers < count,
        ignored=np.zeros(slots, bool),
    )
    padded["boxes"][:count] = boxes
    padded["labels"][:count] = labels
    padded["valid"][:count] = ~ignored
    padded["ignored"][:count] = ignored
    return padded
