"""Flips, turns and shifts of a field and all that is in it, by one affine map."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from claran.fields.field import Element, keep_objects, move_points
from claran.fields.outlines import components, islands, outlines
from claran.sky.islands import Islands
from claran.sky.pictures import MEAN_INFRARED

__all__ = ["about_center", "rotation", "warp"]

CUT = 0.5  # Pixels: an object that loses no pixel's center over the edge is whole.


def about_center(
    linear: Float[np.ndarray, "2 2"], shape: tuple[int, int]
) -> Float[np.ndarray, "3 3"]:
    """Returns a linear map about the center of an array as an affine one.

    Args:
        linear: Acts on columns `(x, y)`.
        shape: (ny, nx) of the array.
    """
    ny, nx = shape
    center = np.array([nx / 2, ny / 2])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = center - linear @ center
    return matrix


def rotation(degrees: float) -> Float[np.ndarray, "2 2"]:
    """Returns the rotation from x towards y; quarter turns are exact.

    >>> rotation(90).tolist()
    [[0.0, -1.0], [1.0, 0.0]]
    """
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    return np.round([[cos, -sin], [sin, cos]], 12) + 0.0  # No negative zero.


def warp(element: Element, matrix: Float[np.ndarray, "3 3"]) -> Element:
    """Returns the field moved; its arrays keep their shapes.

    Where pixels land on pixels they are copied. Otherwise the radio image is
    interpolated bicubically, which leaves noise of FIRST's beam (4 pixels) as it is
    within 1%; bilinear would take 3% off. Where nothing comes from it is blank: NaN,
    in the infrared the mean color.

    Objects move by their outlines. A box that was the bounds of its islands, as the
    rule of the labels has it, is drawn again around the islands of the moved image.
    One whose islands are more or fewer there is ignored from then on (0.3% of simulated
    objects at any angle). So is an object of which more than half a pixel leaves the
    field, as what remains need not be of its class; one that leaves altogether is
    dropped. Hosts and components move along, also to beyond the edge.

    Args:
        element: The field.
        matrix: Acts on columns `(x, y, 1)`, edges, y up.
    """
    moved = move_points(element, matrix)
    ny, nx = element["radio"].shape
    moved["radio"] = _move_radio(element["radio"], _to_centers(matrix))
    infrared = element.get("infrared")
    if infrared is not None:
        height, width = infrared.shape[:2]
        # The picture's y runs down, and its pixels may be of another size.
        scale = np.diag([width / nx, -height / ny, 1.0])
        scale[1, 2] = height
        inside = scale @ matrix @ np.linalg.inv(scale)
        moved["infrared"] = _move_infrared(infrared, _to_centers(inside))
    found = islands(element)
    lines = [
        (line @ matrix[:2, :2].T + matrix[:2, 2]).astype(np.float32)
        for line in outlines(element, found)
    ]
    limit = np.array([nx, ny] * 2, np.float32)
    bounds = [[*line.min(axis=0), *line.max(axis=0)] for line in lines]
    full = np.array(bounds, np.float32).reshape(-1, 4)
    boxes = np.clip(full, 0, limit)
    seen = np.flatnonzero((boxes[:, :2] < boxes[:, 2:]).all(axis=1))
    cut = (np.abs(full - boxes) > CUT).any(axis=1)
    moved["boxes"], moved["ignored"] = boxes, element["ignored"] | cut
    moved["outlines"] = lines
    moved = keep_objects(moved, seen)
    moved["boxes"], changed = _redraw(element, found, moved, seen)
    moved["ignored"] |= changed
    return moved


def _redraw(
    old: Element, found: Islands, new: Element, rows: Int[np.ndarray, "m"]
) -> tuple[Float32[np.ndarray, "m 4"], Bool[np.ndarray, "m"]]:
    """Returns boxes around the islands of a moved image, where they were so before.

    Also returns which of these objects have another number of islands now; their boxes
    are left as they are.

    Args:
        old: The field.
        found: Its islands.
        new: The field moved, with boxes from outlines.
        rows: Which objects of the old one are those of the new one.
    """
    before, counts = components(found, old["boxes"])
    after, new_counts = components(islands(new), new["boxes"])
    by_rule = (np.abs(before - old["boxes"]) < 0.01).all(axis=1)
    by_rule = (by_rule & (counts > 0))[rows]
    same = counts[rows] == new_counts
    boxes = np.where((by_rule & same)[:, None], after, new["boxes"])
    return boxes, by_rule & ~same


def _to_centers(matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "2 3"]:
    """Returns the map between pixel centers counted from zero, as OpenCV has them."""
    centered = matrix.copy()
    centered[:2, 2] += matrix[:2, :2] @ [0.5, 0.5] - 0.5
    return centered[:2]


def _is_whole(matrix: Float[np.ndarray, "2 3"]) -> bool:
    """Whether pixels land on pixels: the numbers are whole, lengths are kept."""
    return bool((np.abs(matrix - np.rint(matrix)) < 1e-6).all())


def _move_radio(
    radio: Float32[np.ndarray, "ny nx"], matrix: Float[np.ndarray, "2 3"]
) -> Float32[np.ndarray, "ny nx"]:
    size = radio.shape[::-1]
    if _is_whole(matrix):
        matrix = np.rint(matrix)
        blank = (np.nan,)
        moved = cv2.warpAffine(
            radio, matrix, size, flags=cv2.INTER_NEAREST, borderValue=blank
        )
        return np.asarray(moved)
    finite = np.isfinite(radio)
    whole = bool(finite.all())
    values = radio if whole else np.where(finite, radio, np.float32(0))
    # Pixels at the edge are interpolated between themselves, not with a blank.
    mode = cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(values, matrix, size, flags=cv2.INTER_CUBIC, borderMode=mode)
    moved[~_covered(finite, matrix)] = np.nan
    return np.asarray(moved)


def _covered(
    finite: Bool[np.ndarray, "ny nx"], matrix: Float[np.ndarray, "2 3"]
) -> Bool[np.ndarray, "ny nx"]:
    """Returns the pixels that show mostly finite ones."""
    weight = cv2.warpAffine(
        finite.astype(np.float32), matrix, finite.shape[::-1], flags=cv2.INTER_LINEAR
    )
    return np.asarray(weight) > 0.5


def _move_infrared(
    infrared: UInt8[np.ndarray, "h w 3"], matrix: Float[np.ndarray, "2 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    whole = _is_whole(matrix)
    moved = cv2.warpAffine(
        infrared,
        np.rint(matrix) if whole else matrix,
        infrared.shape[1::-1],
        flags=cv2.INTER_NEAREST if whole else cv2.INTER_LINEAR,
        borderValue=MEAN_INFRARED.tolist(),
    )
    return np.asarray(moved)
