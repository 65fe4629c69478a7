"""Outlines of labelled objects, whose bounds are the box after any rotation.

By the rule of the labels a component is an island of emission above 9 / sqrt(3) sigma,
including pixels that touch at a corner, and a box is the bounds of its components. The
box after a rotation does not follow from the corners of the box. From the outline of
the islands it follows to half a pixel, and from the islands of the rotated image
exactly.
"""

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int

from claran.fields.field import Field
from claran.sky.box_arrays import union_box
from claran.sky.islands import Islands

__all__ = ["components", "outlines", "owners"]

REACH = 1.0  # Pixels that an island may extend beyond a box with another rule.
# A pixel is represented by the centers of its sides. With its corners, the bounds of a
# source rotated by 45 degrees would be 0.4 pixels too wide.
DOT = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])


def owners(
    found: Float[np.ndarray, "k 4"], boxes: Float[np.ndarray, "n 4"]
) -> Int[np.ndarray, "k"]:
    """Returns the object of each island: the smallest box around it; -1 without any.

    Args:
        found: Boxes of the islands.
        boxes: Boxes of the objects.
    """
    if not len(boxes):
        return np.full(len(found), -1)
    low, high = boxes[None, :, :2] - REACH, boxes[None, :, 2:] + REACH
    inside = (found[:, None, :2] >= low) & (found[:, None, 2:] <= high)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    size = np.where(inside.all(axis=2), area, np.inf)
    return np.where(np.isfinite(size.min(axis=1)), size.argmin(axis=1), -1)


def components(
    found: Islands, boxes: Float32[np.ndarray, "n 4"]
) -> tuple[Float32[np.ndarray, "n 4"], Int[np.ndarray, "n"]]:
    """Returns the bounds of each object's islands, and the number of its islands.

    An island belongs to the smallest box around it. Without islands the bounds are 0.

    Args:
        found: The islands.
        boxes: Boxes of the objects.
    """
    owner = owners(found.boxes, boxes)
    bounds = np.zeros_like(boxes)
    for i in range(len(bounds)):
        own = found.boxes[owner == i]
        if len(own):
            bounds[i] = union_box(own)
    return bounds, np.bincount(owner[owner >= 0], minlength=len(bounds))


def outlines(field: Field) -> list[Float32[np.ndarray, "_ 2"]]:
    """Returns the outline of each object, in pixels of the FITS array.

    If the object has none yet, it is made from the islands and stretched to the box, so
    that boxes with another rule are unchanged if nothing moves. An object without
    islands, because it is faint or blended with another, gets the rhombus in its box.

    Args:
        field: The field.
    """
    objects = field.objects
    if objects.outlines is not None:
        return objects.outlines
    if not len(objects):
        return []
    owner = owners(field.islands.boxes, objects.boxes)
    return [
        _stretch(_dots(field.islands, np.flatnonzero(owner == i)), box)
        for i, box in enumerate(objects.boxes)
    ]


def _dots(found: Islands, own: Int[np.ndarray, "m"]) -> Float[np.ndarray, "p 2"]:
    """Returns the outer points of an object's islands; one dot without any."""
    if not own.size:
        return DOT
    x0, y0, x1, y1 = union_box(found.boxes[own]).astype(int)
    inside = np.isin(found.labels[y0:y1, x0:x1], own + 1)
    rows, columns = inside.nonzero()
    pixels = np.stack([columns, rows], axis=1).astype(np.int32)
    corners = cv2.convexHull(pixels)[:, 0] + (x0 + 0.5, y0 + 0.5)
    return (corners[:, None] + DOT).reshape(-1, 2)


def _stretch(
    points: Float[np.ndarray, "p 2"], box: Float[np.ndarray, "4"]
) -> Float32[np.ndarray, "p 2"]:
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / (high - low) * (box[2:] - box[:2]) + box[:2]
    return scaled.astype(np.float32)
