"""The eight symmetries of the square, in each of which a network may look at a window.

The sky has no up and no left, but a network is only nearly the same for a turned image.
With `average`, it sees each window eight times: in four quarter turns, each also
reflected. What it finds is turned back; `claran.detection.counting` averages it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from claran.fields.preprocessing import View
from claran.layers.group_decoder import GroupDetections

__all__ = ["LOOK", "SYMMETRIES", "Looks", "in_all_looks", "turned", "turned_shape"]

SYMMETRIES = 8
LOOK = "look"
"""Column of detections: the symmetry in which the network looked, from 0."""

Side = TypeVar("Side", int, float)

# The bits of a symmetry: first rows and columns are exchanged, then either is reversed.
EXCHANGED, ROWS_REVERSED, COLUMNS_REVERSED = 4, 2, 1


class Looks(NamedTuple):
    """A network's detections of a window in all symmetries, turned back.

    Attributes are those of `claran.layers.box_decoder.RawDetections`, with the symmetry
    of each detection, and its islands if the network judges groups of islands.
    """

    boxes: Float[np.ndarray, "n 4"]
    labels: Int[np.ndarray, "n"]
    scores: Float32[np.ndarray, "n"]
    valid: Bool[np.ndarray, "n"]
    look: Int[np.ndarray, "n"]
    members: Bool[np.ndarray, "n k"] | None = None


def turned(view: View, symmetry: int) -> View:
    """Returns a view in one of the symmetries; 0 leaves it as it is.

    Args:
        view: The view.
        symmetry: From 0 to 7.
    """
    image, info, islands = view.image, view.image_info, view.islands
    if islands is not None:
        islands = _turned_boxes(islands, image.shape[:2], symmetry)
    if symmetry & EXCHANGED:
        image, info = image.swapaxes(0, 1), info[[1, 0, 2]]
    if symmetry & ROWS_REVERSED:
        image = image[::-1]
    if symmetry & COLUMNS_REVERSED:
        image = image[:, ::-1]
    return View(image, info, view.origin, islands)


def turned_shape(shape: tuple[Side, Side], symmetry: int) -> tuple[Side, Side]:
    """Returns rows and columns, or height and width, in one of the symmetries."""
    rows, columns = shape
    return (columns, rows) if symmetry & EXCHANGED else (rows, columns)


def in_all_looks(outputs: Sequence[Any], info: Float32[np.ndarray, "3"]) -> Looks:
    """Returns a network's detections in each symmetry as those of the window itself.

    Args:
        outputs: `RawDetections` of the window in the symmetries 0 to 7.
        info: `image_info` of the window as it is.
    """
    boxes = [_turned_back(one.boxes, info, k) for k, one in enumerate(outputs)]
    return Looks(
        np.concatenate(boxes),
        *(
            np.concatenate([getattr(one, name) for one in outputs])
            for name in ("labels", "scores", "valid")
        ),
        look=np.repeat(np.arange(len(outputs)), [len(one) for one in boxes]),
        members=np.concatenate([one.members for one in outputs])
        if isinstance(outputs[0], GroupDetections)
        else None,
    )


def _turned_boxes(
    boxes: Float32[np.ndarray, "n 4"], shape: tuple[int, int], symmetry: int
) -> Float32[np.ndarray, "n 4"]:
    """Returns boxes of a view in a symmetry.

    Args:
        boxes: Edges in pixels of the view itself.
        shape: Rows and columns of the view itself.
        symmetry: From 0 to 7.
    """
    x0, y0, x1, y1 = boxes.T
    rows, columns = turned_shape(shape, symmetry)
    if symmetry & EXCHANGED:
        x0, y0, x1, y1 = y0, x0, y1, x1
    if symmetry & ROWS_REVERSED:
        y0, y1 = rows - y1, rows - y0
    if symmetry & COLUMNS_REVERSED:
        x0, x1 = columns - x1, columns - x0
    return np.stack([x0, y0, x1, y1], axis=1)


def _turned_back(
    boxes: Float[np.ndarray, "n 4"], info: Float32[np.ndarray, "3"], symmetry: int
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes found in a symmetry as those of the view itself.

    Args:
        boxes: Edges in pixels of the picture, from the corner of what was seen.
        info: `image_info` of the view itself.
        symmetry: From 0 to 7.
    """
    x0, y0, x1, y1 = np.asarray(boxes, np.float64).T
    rows, columns, scale = info.tolist()
    height, width = turned_shape((rows / scale, columns / scale), symmetry)
    if symmetry & ROWS_REVERSED:
        y0, y1 = height - y1, height - y0
    if symmetry & COLUMNS_REVERSED:
        x0, x1 = width - x1, width - x0
    if symmetry & EXCHANGED:
        x0, y0, x1, y1 = y0, x0, y1, x1
    return np.stack([x0, y0, x1, y1], axis=1)
