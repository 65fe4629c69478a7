"""Places for the labels of boxes: none covers another one or leaves the figure."""

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["place_labels"]

GAP = 2.0  # Pixels between labels, and between a label and its box.
BESIDE = 10  # Places beside the box and in it.
RINGS = 8  # Distances from the box that are tried, in heights of the label.
DIRECTIONS = 24
CLUTTER = 10.0  # Heights of distance that a label on lines or emission is worth.


def place_labels(
    boxes: Float[np.ndarray, "n 4"],
    sizes: Float[np.ndarray, "n 2"],
    area: Float[np.ndarray, "4"],
    *,
    taken: Float[np.ndarray, "t 4"],
    emission: Float[np.ndarray, "e 4"],
) -> Float[np.ndarray, "n 2"]:
    """Returns where labels go: beside their boxes, or else to a free place nearby.

    The labels of small boxes come first, as they need theirs most. A place with little
    emission and few edges of boxes under it is better than one that is closer.

    Args:
        boxes: `(x0, y0, x1, y1)` of each box; these and all else in one unit, y up.
        sizes: Width and height of each label.
        area: Where labels may be.
        taken: Where no label may be.
        emission: Boxes of what labels should not cover.

    Returns:
        `(x, y)` of the lower left corner; NaN for a label that fits nowhere.
    """
    lines = np.concatenate([_edges(boxes), emission])
    places = np.full((len(boxes), 2), np.nan)
    blocked = [*taken]
    extent = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for i in np.argsort(extent, kind="stable"):
        size = sizes[i]
        near, far = _near(boxes[i], size, area), _everywhere(size, area)
        # Of all places in the area, the closest one: there are thousands.
        for corners, flush, under in ((near, BESIDE, lines), (far, 0, lines[:0])):
            rectangles = np.concatenate([corners, corners + size], axis=1)
            free = _inside(rectangles, area) & ~_touch(rectangles, np.array(blocked))
            if free.any():
                cost = _cost(rectangles, boxes[i], under)
                cost[flush:] += 1  # Labels that are flush with the box look better.
                chosen = rectangles[np.where(free, cost, np.inf).argmin()]
                places[i] = chosen[:2]
                blocked.append(chosen)
                break
    return places


def _near(
    box: Float[np.ndarray, "4"],
    size: Float[np.ndarray, "2"],
    area: Float[np.ndarray, "4"],
) -> Float[np.ndarray, "k 2"]:
    """Returns lower left corners beside the box, in it, and in rings about it."""
    x0, y0, x1, y1 = box
    width, height = size
    above, below = y1 + GAP, y0 - GAP - height
    left, right = x0 - GAP - width, x1 + GAP
    beside = [
        (x0, above), (x1 - width, above), (x0, below), (x1 - width, below),
        (right, y1 - height), (left, y1 - height), (right, y0), (left, y0),
        (x0 + GAP, y1 - GAP - height), (x0 + GAP, y0 + GAP),
    ]  # fmt: skip
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    steps = np.arange(1, RINGS + 1)[:, None] * height
    half = (np.array([x1 - x0, y1 - y0]) + size) / 2 + GAP
    middle = np.array([x0 + x1, y0 + y1]) / 2 - size / 2
    rings = np.stack(
        [
            middle[0] + np.cos(angle) * (half[0] + steps),
            middle[1] + np.sin(angle) * (half[1] + steps),
        ],
        axis=-1,
    )
    # At the edge of the area, moved into it.
    corners = np.concatenate([beside, rings.reshape(-1, 2)])
    return corners.clip(area[:2], np.maximum(area[:2], area[2:] - size))


def _everywhere(
    size: Float[np.ndarray, "2"], area: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "k 2"]:
    """Returns the lower left corners of a grid that fills the area."""
    low, high = area[:2], np.maximum(area[:2], area[2:] - size)
    columns, rows = (
        np.linspace(a, b, 1 + int(2 * (b - a) / step))
        for a, b, step in zip(low, high, size, strict=True)
    )
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)


def _inside(
    rectangles: Float[np.ndarray, "k 4"], area: Float[np.ndarray, "4"]
) -> Bool[np.ndarray, "k"]:
    low = np.all(rectangles[:, :2] >= area[:2], axis=1)
    return low & np.all(rectangles[:, 2:] <= area[2:], axis=1)


def _touch(
    rectangles: Float[np.ndarray, "k 4"], others: Float[np.ndarray, "*t_4"]
) -> Bool[np.ndarray, "k"]:
    """Returns which rectangles are less than the gap away from any of the others."""
    if not len(others):
        return np.zeros(len(rectangles), bool)
    sides = _overlaps(rectangles, others, GAP)
    return np.any(np.all(sides > 0, axis=-1), axis=1)


def _cost(
    rectangles: Float[np.ndarray, "k 4"],
    box: Float[np.ndarray, "4"],
    lines: Float[np.ndarray, "l 4"],
) -> Float[np.ndarray, "k"]:
    """Returns the distance to the box and what is covered, in heights of the label."""
    reach = np.concatenate(
        [rectangles[:, :2].min(axis=0), rectangles[:, 2:].max(axis=0)]
    )
    lines = lines[(_overlaps(reach[None], lines)[0] > 0).all(axis=-1)]
    apart = np.maximum(box[:2] - rectangles[:, 2:], rectangles[:, :2] - box[2:])
    away = np.hypot(*apart.clip(0).T)
    width, height = rectangles[0, 2:] - rectangles[0, :2]
    below = [_overlaps(rectangles, other).clip(0) for other in (lines, box[None])]
    covered, inside = (part.prod(axis=-1).sum(axis=1) for part in below)
    return away / height + (CLUTTER * covered + inside) / (width * height)


def _overlaps(
    rectangles: Float[np.ndarray, "k 4"],
    others: Float[np.ndarray, "m 4"],
    margin: float = 0.0,
) -> Float[np.ndarray, "k m 2"]:
    """Returns the width and the height of each overlap; negative if apart."""
    one, two = rectangles[:, None], others[None]
    high = np.minimum(one[..., 2:], two[..., 2:])
    return high - np.maximum(one[..., :2], two[..., :2]) + margin


def _edges(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "m 4"]:
    """Returns the four edges of each box, as thin boxes."""
    x0, y0, x1, y1 = boxes.T
    lines = [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]
    edges = np.concatenate([np.stack(line, axis=1) for line in lines])
    return edges + GAP / 2 * np.array([-1, -1, 1, 1])
