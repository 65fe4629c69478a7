"""Arithmetic of boxes as NumPy arrays; `claran.ops.boxes` holds JAX's.

A box is `(x0, y0, x1, y1)`, edges in pixels: column `i` covers `[i, i + 1]`. A box that
is inverted along an axis has no area.
"""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["area", "intersection", "iou", "pairwise_iou", "union_box", "union_boxes"]


def area(boxes: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Returns the area of each box, in square pixels; 0 if it is inverted.

    >>> area(np.array([[0.0, 0.0, 4.0, 2.0], [4.0, 0.0, 0.0, 2.0]])).tolist()
    [8.0, 0.0]
    """
    return (boxes[..., 2:] - boxes[..., :2]).clip(min=0).prod(axis=-1)


def intersection(
    a: Float[np.ndarray, "... 4"], b: Float[np.ndarray, "... 4"]
) -> Float[np.ndarray, "..."]:
    """Returns the area that each box in `a` shares with its partner in `b`.

    Leading axes broadcast: `intersection(a[:, None], b)` pairs each with all.
    """
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return (high - low).clip(min=0).prod(axis=-1)


def iou(
    a: Float[np.ndarray, "... 4"], b: Float[np.ndarray, "... 4"]
) -> Float[np.ndarray, "..."]:
    """Returns the intersection over union of each box in `a` and its partner in `b`.

    Leading axes broadcast. Two boxes without area have 0.

    >>> square = np.array([[0.0, 0.0, 2.0, 2.0]])
    >>> iou(square, np.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [0.5]
    """
    common = intersection(a, b)
    union = area(a) + area(b) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def pairwise_iou(
    a: Float[np.ndarray, "m 4"], b: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, "m n"]:
    """Returns the intersection over union of every box in `a` with every one in `b`."""
    return iou(a[:, None], b[None])


def union_box(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "4"]:
    """Returns the smallest box around all boxes, of which there must be one.

    >>> union_box(np.array([[0.0, 3.0, 2.0, 4.0], [1.0, 0.0, 5.0, 2.0]])).tolist()
    [0.0, 0.0, 5.0, 4.0]
    """
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def union_boxes(
    boxes: Float[np.ndarray, "n 4"], starts: Int[np.ndarray, "g"]
) -> Float[np.ndarray, "g 4"]:
    """Returns the smallest box around each group of boxes.

    Args:
        boxes: Those of one group one after the other.
        starts: Row of the first box of each group, strictly increasing from 0.
    """
    if not len(starts):
        return boxes[:0]
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate(
        [np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)], axis=1
    )
