"""The islands of a field in the slots of a batch, and whose they are."""

from typing import TypedDict

import numpy as np
from jaxtyping import Float32, Int, Int32

from claran.fields.field import Field
from claran.fields.outlines import owners
from claran.fields.preprocessing import Scene, network_boxes

__all__ = ["PaddedIslands", "island_owners", "pad_islands"]


class PaddedIslands(TypedDict):
    """The islands of one field; those of which are none are zero."""

    islands: Float32[np.ndarray, "slots 4"]
    """Boxes, pixels of the network's input, y down."""
    owners: Int32[np.ndarray, "slots"]
    """Row of the object that each belongs to; -1 for none."""


def pad_islands(field: Field, scene: Scene, *, slots: int) -> PaddedIslands:
    """Returns the islands of a field, the largest if there are more than slots.

    Args:
        field: The field.
        scene: The field at the network's resolution.
        slots: Number of slots.
    """
    boxes = field.islands.boxes.astype(np.float64)
    size = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept = np.sort(np.argsort(-size, kind="stable")[:slots])
    padded = PaddedIslands(
        islands=np.zeros((slots, 4), np.float32), owners=np.full(slots, -1, np.int32)
    )
    padded["islands"][: len(kept)] = network_boxes(boxes[kept], scene, field)
    padded["owners"][: len(kept)] = island_owners(field)[kept]
    return padded


def island_owners(field: Field) -> Int[np.ndarray, "k"]:
    """Returns the object that each island belongs to; -1 for none.

    Where the brightest peaks of the components are known, of an object that has some,
    an island is of the object with a peak in it. Else it is of the smallest box around
    it, in which an island of another source may lie.

    Args:
        field: The field, labelled.
    """
    islands, objects = field.islands, field.objects
    found = owners(islands.boxes.astype(np.float64), objects.boxes)
    points, of_objects = objects.component_positions, objects.component_objects
    if points is None or of_objects is None or not len(islands):
        return found
    found[np.isin(found, of_objects)] = -1
    ny, nx = field.shape
    x, y = np.floor(points).astype(int).T
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    island = islands.labels[y[inside], x[inside]] - 1
    seen = island >= 0
    found[island[seen]] = of_objects[inside][seen]
    return found
