"""Axis-aligned boxes: area, overlap, encoding against anchors, clipping.

The convention, here and everywhere in claran: a box is `(x1, y1, x2, y2)` in pixels.
Pixel `i` covers `[i, i + 1]` and an image `[0, width]`, so a width is `x2 - x1`. A WCS
counts from the center of the first pixel: `wcs_x = x - 0.5`; FITS counts that center
as one: `fits_x = x + 0.5`.

The first Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) and ClaRAN count pixels
inclusively: a width is `x2 - x1 + 1` and an image ends at `width - 1`. The argument
`offset` selects the convention: 0 is the one above, 1 is theirs.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["MAX_LOG_RATIO", "area", "clip", "coverage", "decode", "encode", "iou"]

MAX_LOG_RATIO = 4.135166556742356  # log(1000 / 16): Detectron's bound, no exp overflow.


def area(boxes: Float[Array, "*n 4"], *, offset: float = 0.0) -> Float[Array, "*n"]:
    """Returns the area of each box, in square pixels; 0 for an inverted box.

    >>> area(jnp.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [8.0]
    """
    x1, y1, x2, y2 = jnp.moveaxis(boxes, -1, 0)
    return jnp.maximum(x2 - x1 + offset, 0) * jnp.maximum(y2 - y1 + offset, 0)


def iou(
    a: Float[Array, "m 4"], b: Float[Array, "n 4"], *, offset: float = 0.0
) -> Float[Array, "m n"]:
    """Returns the intersection over union of every box in `a` with every box in `b`.

    The IoU of two boxes without area is defined as 0.

    >>> square = jnp.array([[0.0, 0.0, 2.0, 2.0]])
    >>> iou(square, jnp.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [[0.5]]
    """
    overlap = _intersection(a, b, offset)
    union = area(a, offset=offset)[:, None] + area(b, offset=offset)[None] - overlap
    # The inner `where` also keeps 0/0 out of the gradient.
    return jnp.where(union > 0, overlap / jnp.where(union > 0, union, 1.0), 0.0)


def coverage(
    a: Float[Array, "m 4"], b: Float[Array, "n 4"], *, offset: float = 0.0
) -> Float[Array, "m n"]:
    """Returns the fraction of the area of each box in `a` that each box in `b` covers.

    It is 0 for a box without area.

    >>> square = jnp.array([[0.0, 0.0, 2.0, 2.0]])
    >>> coverage(square, jnp.array([[1.0, 0.0, 9.0, 9.0]])).tolist()
    [[0.5]]
    """
    own = area(a, offset=offset)[:, None]
    overlap = _intersection(a, b, offset)
    return jnp.where(own > 0, overlap / jnp.where(own > 0, own, 1.0), 0.0)


def encode(
    boxes: Float[Array, "*n 4"], anchors: Float[Array, "*n 4"], *, offset: float = 0.0
) -> Float[Array, "*n 4"]:
    """Returns the regression targets `(dx, dy, dw, dh)` of boxes relative to anchors.

    These are the shifts of the center in units of the anchor's sides, and the
    logarithms of the ratios of the sides (Girshick et al. 2014, arXiv:1311.2524,
    appendix C). Sides are at least 1e-6 px, so that empty padding boxes give finite
    numbers.
    """
    center, size = _center_size(boxes, offset)
    anchor_center, anchor_size = _center_size(anchors, offset)
    shift = (center - anchor_center) / anchor_size
    return jnp.concatenate([shift, jnp.log(size / anchor_size)], axis=-1)


def decode(
    deltas: Float[Array, "*n 4"],
    anchors: Float[Array, "*n 4"],
    *,
    offset: float = 0.0,
    max_log_ratio: float | None = MAX_LOG_RATIO,
) -> Float[Array, "*n 4"]:
    """Returns the boxes that `deltas` describe relative to anchors.

    With `offset=0` this is the inverse of `encode`. With `offset=1` it is not: as in
    ClaRAN, the inclusive pixel is added to the width and not subtracted again. A zero
    delta then returns the anchor with 1 added to `x2` and `y2`, so that the results are
    edges in the convention above.

    Args:
        deltas: `(dx, dy, dw, dh)`.
        anchors: Boxes that the deltas refer to.
        offset: See the top of this module.
        max_log_ratio: Upper bound of dw and dh. None means no bound, as in ClaRAN.
    """
    center, size = _center_size(anchors, offset)
    log_ratio = deltas[..., 2:]
    if max_log_ratio is not None:
        log_ratio = jnp.minimum(log_ratio, max_log_ratio)
    center = deltas[..., :2] * size + center
    half = 0.5 * (jnp.exp(log_ratio) * size)
    return jnp.concatenate([center - half, center + half], axis=-1)


def clip(
    boxes: Float[Array, "*n 4"],
    height: float | Float[Array, ""],
    width: float | Float[Array, ""],
    *,
    offset: float = 0.0,
) -> Float[Array, "*n 4"]:
    """Returns the boxes clipped to an image of `height` by `width` pixels.

    >>> clip(jnp.array([[-3.0, 1.0, 9.0, 4.0]]), 5.0, 8.0).tolist()
    [[0.0, 1.0, 8.0, 4.0]]
    """
    limit = jnp.stack([jnp.asarray(width), jnp.asarray(height)] * 2) - offset
    limit = jnp.broadcast_to(limit.astype(boxes.dtype), boxes.shape)
    return jnp.clip(boxes, 0, limit)


def _intersection(
    a: Float[Array, "m 4"], b: Float[Array, "n 4"], offset: float
) -> Float[Array, "m n"]:
    low = jnp.maximum(a[:, None, :2], b[None, :, :2])
    high = jnp.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = jnp.moveaxis(jnp.maximum(high - low + offset, 0), -1, 0)
    return width * height


def _center_size(
    boxes: Float[Array, "*n 4"], offset: float
) -> tuple[Float[Array, "*n 2"], Float[Array, "*n 2"]]:
    size = jnp.maximum(boxes[..., 2:] - boxes[..., :2] + offset, 1e-6)
    return boxes[..., :2] + 0.5 * size, size
