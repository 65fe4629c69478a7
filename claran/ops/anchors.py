"""Anchors: reference boxes of several sizes and aspect ratios at every cell."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["base_anchors", "grid_anchors"]


def base_anchors(
    sizes: Sequence[float],
    ratios: Sequence[float],
    *,
    stride: int,
    rounded: bool = False,
) -> Float[np.ndarray, "a 4"]:
    """Returns the anchors of the first cell, ratios outermost, sizes innermost.

    Args:
        sizes: Square root of the anchor's area, in pixels.
        ratios: Height over width.
        stride: Pixels per cell. Anchors are centered on their cell.
        rounded: Round the sides of an anchor with the area of one cell to whole pixels,
            then scale it, as the first Faster R-CNN and ClaRAN do. This changes nothing
            for ratio 1 and sizes that are multiples of the stride.

    Returns:
        float64 `(len(ratios) * len(sizes), 4)`, edges (see `claran.ops.boxes`).

    >>> base_anchors([16, 32], [1], stride=16).tolist()
    [[0.0, 0.0, 16.0, 16.0], [-8.0, -8.0, 24.0, 24.0]]
    """
    boxes = []
    for ratio in ratios:
        width = stride / math.sqrt(ratio)
        height = width * ratio
        if rounded:
            width = round(width)
            height = round(width * ratio)
        for size in sizes:
            half_width = 0.5 * width * (size / stride)
            half_height = 0.5 * height * (size / stride)
            boxes.append([-half_width, -half_height, half_width, half_height])
    return np.array(boxes, np.float64).reshape(-1, 4) + stride / 2


def grid_anchors(
    base: Float[np.ndarray, "a 4"], *, rows: int, columns: int, stride: int
) -> Float[np.ndarray, "m 4"]:
    """Returns the anchors of every cell: rows outermost, then columns, then anchors.

    The result depends on static shapes only. It is computed in NumPy, so that XLA
    embeds it in the program as a constant.

    Args:
        base: Anchors of the first cell, from `base_anchors`.
        rows: Rows of the feature map.
        columns: Columns of the feature map.
        stride: Pixels per cell.

    Returns:
        float32 `(rows * columns * a, 4)`.
    """
    x, y = np.meshgrid(np.arange(columns) * stride, np.arange(rows) * stride)
    shift = np.stack([x, y, x, y], axis=-1)[:, :, None]
    return (shift + base).reshape(-1, 4).astype(np.float32)
