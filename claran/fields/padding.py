"""Ragged lists of objects in a fixed number of places, so that programs compile once.

Done once, on the host: behind this every batch has one shape.
"""

from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

__all__ = ["PaddedObjects", "pad_objects"]


class PaddedObjects(TypedDict):
    """The objects of one field; a place is valid, ignored or empty."""

    boxes: Float32[np.ndarray, "slots 4"]
    """Zero in empty places."""
    labels: Int32[np.ndarray, "slots"]
    """Class from 1; 0 in empty places."""
    valid: Bool[np.ndarray, "slots"]
    """Holds an object to be learned."""
    ignored: Bool[np.ndarray, "slots"]
    """Holds an object that is neither to be learned nor background."""


def pad_objects(
    boxes: Float[np.ndarray, "n 4"],
    labels: Int[np.ndarray, "n"],
    ignored: Bool[np.ndarray, "n"],
    *,
    slots: int,
    name: str = "a field",
) -> PaddedObjects:
    """Returns the objects in the first of `slots` places, in their order.

    Args:
        boxes: Any frame.
        labels: Class, from 1.
        ignored: See `claran.fields.objects.Objects`.
        slots: Number of places.
        name: Name of the field, for the message.

    Raises:
        ValueError: There are more objects than places.
    """
    count = len(boxes)
    if count > slots:
        raise ValueError(
            f"{name}: has {count} objects, more than `slots`, {slots}; give "
            f"`slots={count}` or more."
        )
    places = np.arange(slots)
    padded = PaddedObjects(
        boxes=np.zeros((slots, 4), np.float32),
        labels=np.zeros(slots, np.int32),
        valid=places < count,
        ignored=np.zeros(slots, bool),
    )
    padded["boxes"][:count] = boxes
    padded["labels"][:count] = labels
    padded["valid"][:count] = ~ignored
    padded["ignored"][:count] = ignored
    return padded
