"""Axis-aligned boxes: area, overlap, encoding against anchors, clipping.

The convention, here and everywhere in claran: a box is `(x1, y1, x2, y2)` in pixels.
Pixel `i` covers `[i, i + 1]` and an image `[0, width]`, so a width is `x2 - x1`. A WCS
counts from the center of the first pixel: `wcs_x = x - 0.5`; FITS counts that center
as one: `fits_x = x + 0.5`.

The first Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) and ClaRAN count pixels
inclusively: a width is `x2 - x1 + 1` and an image ends at `width - 1`. Functions take
that one as `offset`: 0 is the convention above, 1 is theirs.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["MAX_LOG_RATIO", "area", "clip", "coverage", "decode", "encode", "iou"]

MAX_LOG_RATIO = 4.135166556742356  # log(1000 / 16): Detectron's bound, no exp overflow.


def area(boxes: Float[Array, "*n 4"], *, offset: float = 0.0) -> Float[Array, "*n"]:
    """Returns the area of each box, in square pixels; zero if it is inverted.

    >>> area(jnp.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [8.0]
    """
    x1, y1, x2, y2 = jnp.moveaxis(boxes, -1, 0)
    return jnp.maximum(x2 - x1 + offset, 0) * jnp.maximum(y2 - y1 + offset, 0)


def iou(
    a: Float[Array, "m 4"], b: Float[Array, "n 4"], *, offset: float = 0.0
) -> Float[Array, "m n"]:
    """Returns the intersection over union of every box in `a` with every one in `b`.

    Two boxes without any area overlap by 0, not by 0/0.

    >>> square = jnp.array([[0.0, 0.0, 2.0, 2.0]])
    >>> iou(square, jnp.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [[0.5]]
    """
    overlap = _intersection(a, b, offset)
    union = area(a, offset=offset)[:, None] + area(b, offset=offset)[None] - overlap
    # The inner `where` keeps 0/0 out of the gradient too.
    return jnp.where(union > 0, overlap / jnp.where(union > 0, union, 1.0), 0.0)


def coverage(
    a: Float[Array, "m 4"], b: Float[Array, "n 4"], *, offset: float = 0.0
) -> Float[Array, "m n"]:
    """Returns the share of the area of every box in `a` that lies in each in `b`.

    It is 0 for a box without any area.

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
    """Returns the regression targets `(dx, dy, dw, dh)` of boxes seen from anchors.

    Shifts of the center in units of the anchor's sides, and logarithms of the ratio of
    sides (Girshick et al. 2014, arXiv:1311.2524, appendix C). Sides are held at or
    above 1e-6 px, so that a padded, empty box gives finite numbers.
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
    """Returns the boxes that `deltas` describe, seen from anchors.

    The inverse of `encode` at `offset=0`. At `offset=1` a zero delta gives the anchor
    with 1 added to `x2` and `y2`, as in ClaRAN: it takes the inclusive pixel into the
    width and never out again, so its results are edges in the convention above.

    Args:
        deltas: `(dx, dy, dw, dh)`.
        anchors: Boxes the deltas refer to.
        offset: See the top of this module.
        max_log_ratio: Upper bound of dw and dh; None for none, as in ClaRAN.
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
    """Returns the boxes cut to an image of `height` by `width` pixels.

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
