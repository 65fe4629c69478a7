"""What the engine keeps of a field, before and after the network has seen it."""

import dataclasses
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from claran.detection.detections import Detections
from claran.detection.windows import Window
from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.preprocessing import Scene

__all__ = ["FieldResult", "Item", "PreparedField"]

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedField:
    """A field at the network's resolution, and the windows shown to the network.

    Attributes:
        field: The field.
        scene: The field at the network's resolution.
        windows: The windows; none for a field without islands, if a detection is a
            group of islands.
        cluster: `(k,)`, number of the cluster of each island.
    """

    field: Field
    scene: Scene
    windows: Sequence[Window]
    cluster: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class FieldResult(Generic[Item]):
    """The detections in one of many fields.

    Attributes:
        item: The item that the field was loaded from.
        field: The field; None if it cannot be used.
        detections: Detections in the field.
        error: The reason why it cannot be used; None if it can.
    """

    item: Item
    field: Field | None
    detections: Detections
    error: ImageError | None = None
