"""RoI sampling by a spatial transformer (Jaderberg et al. 2015, arXiv:1506.02025).

A transform, one 2 x 3 matrix an RoI, takes the grid of the output, `[-1, 1]` on both
axes, to places `(x, y)` on the feature map, where the features are interpolated
bilinearly. Places are in cells: cell `i` lies at `i`, its center.

An axis-aligned RoI is the fast case: its weights separate, `out = Y @ features @ X.T`
with one row of two weights a sample, and so does its gradient. Accelerators, where
gathers are slow, run these two matrix products. A CPU gathers and scatters: a cell's
channels lie together in memory, and the products would do 140 times the arithmetic.
"""

import functools
import operator
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

__all__ = ["Border", "Placement", "roi_transforms", "sample_affine", "sample_rois"]

Border = Literal["edge", "zero"]
"""Beyond the outermost centers: `edge` repeats them, `zero` gives 0.

`zero` is ClaRAN's: its clipped corners cancel wherever the lower corner is below 0 or
at or beyond the last cell.
"""

Placement = Literal["aligned", "claran"]
"""Where the samples of an RoI lie.

`aligned`: at the centers of `size` equal bins of the RoI, as in RoIAlign with one
sample a bin and half-pixel centers (He et al. 2017, arXiv:1703.06870).
`claran`: the first and last on the RoI's edges, and all of them as ClaRAN places them,
its center one cell up and left and stretched by `length / (length - 1)`.
"""


SCATTER_FLOATS = 2**19  # 2 MB, half a core's cache; 2**17 to 2**20 are as fast.


class _Corners(NamedTuple):
    """The two cells next to each coordinate on one axis, and their weights."""

    low: Int[Array, "*n"]
    high: Int[Array, "*n"]
    low_weight: Float[Array, "*n"]
    high_weight: Float[Array, "*n"]
    inside: Float[Array, "*n"]  # 1 where moving the coordinate moves the sample.


def roi_transforms(
    rois: Float[Array, "n 4"],
    *,
    stride: float,
    rows: int,
    columns: int,
    size: int,
    placement: Placement = "aligned",
    angles: Float[Array, "n"] | None = None,
) -> Float[Array, "n 2 3"]:
    """Returns the transform of each RoI, to places `(x, y)` in cells.

    Args:
        rois: Boxes in pixels of the network's input (see `claran.ops.boxes`).
        stride: Input pixels per cell.
        rows: Rows of the feature map; only `claran` placement depends on it.
        columns: Columns of the feature map; likewise.
        size: Samples along each side.
        placement: See `Placement`.
        angles: Rotation of each RoI about its center, radians, from x towards y; None
            for none.
    """
    _check("placement", placement, Placement)
    low, high = rois[:, :2] / stride, rois[:, 2:] / stride
    if placement == "aligned":
        center = (low + high) / 2 - 0.5
        half = (high - low) / 2 * ((size - 1) / size)
    else:
        lengths = jnp.array([columns, rows], rois.dtype)
        center = ((low + high) / 2 - 1) * (lengths / jnp.maximum(lengths - 1, 1))[None]
        half = (high - low) / 2
    angles = jnp.zeros(len(rois), rois.dtype) if angles is None else angles
    cosine, sine = jnp.cos(angles), jnp.sin(angles)
    x_row = jnp.stack([half[:, 0] * cosine, -half[:, 1] * sine, center[:, 0]], axis=1)
    y_row = jnp.stack([half[:, 0] * sine, half[:, 1] * cosine, center[:, 1]], axis=1)
    return jnp.stack([x_row, y_row], axis=1)


def sample_rois(
    features: Float[Array, "h w c"],
    rois: Float[Array, "n 4"],
    *,
    size: int,
    stride: float,
    placement: Placement = "aligned",
    border: Border = "edge",
) -> Float[Array, "n {size} {size} c"]:
    """Returns the features of each axis-aligned RoI on a `size` by `size` grid.

    Differentiable in the features and in the RoIs (hold the latter with
    `jax.lax.stop_gradient` for the approximate joint training of Faster R-CNN).

    Args:
        features: One feature map; `jax.vmap` for batches.
        rois: Boxes in pixels of the network's input (see `claran.ops.boxes`).
        size: Samples along each side.
        stride: Input pixels per cell.
        placement: See `Placement`.
        border: See `Border`.
    """
    _check("border", border, Border)
    rows, columns, _ = features.shape
    transforms = roi_transforms(
        rois,
        stride=stride,
        rows=rows,
        columns=columns,
        size=size,
        placement=placement,
    )
    grid = jnp.linspace(-1.0, 1.0, size, dtype=rois.dtype)[None]
    x = transforms[:, 0, :1] * grid + transforms[:, 0, 2:]
    y = transforms[:, 1, 1:2] * grid + transforms[:, 1, 2:]
    return _sample(features, y[:, :, None], x[:, None, :], border)


def sample_affine(
    features: Float[Array, "h w c"],
    transforms: Float[Array, "n 2 3"],
    *,
    size: tuple[int, int],
    border: Border = "edge",
) -> Float[Array, "n {size[0]} {size[1]} c"]:
    """Returns the features under each affine transform, on a grid of rows, columns.

    Differentiable in the features and in the transforms.

    Args:
        features: One feature map; `jax.vmap` for batches.
        transforms: From `(x, y, 1)`, x and y running over `[-1, 1]`, to cells.
        size: Rows and columns of the output.
        border: See `Border`.
    """
    _check("border", border, Border)
    # Places in full precision, also for features of half.
    rows, columns = (jnp.linspace(-1.0, 1.0, n, dtype=transforms.dtype) for n in size)
    y, x = jnp.meshgrid(rows, columns, indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)])
    place = jnp.einsum("nij,jst->nist", transforms, grid, precision="highest")
    return _sample(features, place[:, 1], place[:, 0], border)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _sample(
    features: Float[Array, "h w c"],
    y: Float[Array, "n s #t"],
    x: Float[Array, "n #s t"],
    border: Border,
) -> Float[Array, "n s t c"]:
    """Interpolates at `(y, x)`, in cells; `y` and `x` broadcast against each other."""

    def by_gathers(features: Array, y: Array, x: Array) -> Array:
        rows = _corners(y, features.shape[0], border)
        columns = _corners(x, features.shape[1], border)
        return _gather(features, rows, columns)

    def by_products(features: Array, y: Array, x: Array) -> Array:
        rows = _weights(y[:, :, 0], features.shape[0], border)
        columns = _weights(x[:, 0, :], features.shape[1], border)
        strips = jnp.einsum("nsh,hwc->nswc", rows, features, precision="highest")
        return jnp.einsum("nswc,ntw->nstc", strips, columns, precision="highest")

    if not _separable(y, x):
        return by_gathers(features, y, x)
    return lax.platform_dependent(features, y, x, cpu=by_gathers, default=by_products)


def _sample_forward(features, y, x, border):
    return _sample(features, y, x, border), (features, y, x)


def _sample_backward(border, residuals, cotangent):
    features, y, x = residuals
    height, width, _ = features.shape

    def by_scatters(cotangent: Array, y: Array, x: Array) -> Array:
        return _scatter(cotangent, y, x, (height, width), border)

    def by_products(cotangent: Array, y: Array, x: Array) -> Array:
        rows = _weights(y[:, :, 0], height, border)
        columns = _weights(x[:, 0, :], width, border)
        strips = jnp.einsum("nstc,ntw->nswc", cotangent, columns, precision="highest")
        return jnp.einsum("nsh,nswc->hwc", rows, strips, precision="highest")

    if _separable(y, x):
        d_features = lax.platform_dependent(
            cotangent, y, x, cpu=by_scatters, default=by_products
        )
    else:
        d_features = by_scatters(cotangent, y, x)
    # XLA drops these two where nobody asks for the gradient of the places.
    rows, columns = _corners(y, height, border), _corners(x, width, border)
    d_y = (_gather(features, _slopes(rows), columns) * cotangent).sum(-1)
    d_x = (_gather(features, rows, _slopes(columns)) * cotangent).sum(-1)
    d_features = d_features.astype(features.dtype)
    return d_features, _unbroadcast(d_y, y), _unbroadcast(d_x, x)


_sample.defvjp(_sample_forward, _sample_backward)


def _separable(y: Float[Array, "n s #t"], x: Float[Array, "n #s t"]) -> bool:
    return y.shape[2] == 1 and x.shape[1] == 1


def _unbroadcast(
    gradient: Float[Array, "n s t"], like: Float[Array, "n #s #t"]
) -> Float[Array, "n #s #t"]:
    stretched = [i for i in (1, 2) if like.shape[i] == 1]
    return gradient.sum(stretched, keepdims=True)


def _gather(
    features: Float[Array, "h w c"], rows: _Corners, columns: _Corners
) -> Float[Array, "n s t c"]:
    """Returns the weighted sum of the four cells around each sample."""
    parts = [
        weight[..., None] * features[row, column]
        for row, column, weight in _pairs(rows, columns)
    ]
    return functools.reduce(operator.add, parts)


def _scatter(
    values: Float[Array, "n s t c"],
    y: Float[Array, "n s #t"],
    x: Float[Array, "n #s t"],
    shape: tuple[int, int],
    border: Border,
) -> Float[Array, "{shape[0]} {shape[1]} c"]:
    """Returns the transpose of `_gather`: values spread over the cells around them.

    A few RoIs at a time, so that their weighted values stay in the cache: 128 RoIs of
    7 x 7 x 512 took 2.6 ms so and 21 ms at once on two CPU cores, where 51 MB of
    freshly mapped memory were most of the cost.
    """
    count, *_, channels = values.shape
    total = jnp.zeros((*shape, channels), values.dtype)
    if not count:
        return total
    chunk = min(count, max(1, SCATTER_FLOATS // values[0].size))

    def add(i: Int[Array, ""], total: Array) -> Array:
        # The last part begins early enough to be whole; what it repeats counts as 0.
        start = jnp.minimum(i * chunk, count - chunk)
        fresh = start + jnp.arange(chunk) >= i * chunk
        part, y_part, x_part = (
            lax.dynamic_slice_in_dim(array, start, chunk) for array in (values, y, x)
        )
        part = jnp.where(fresh[:, None, None, None], part, 0)
        rows, columns = (
            _corners(y_part, shape[0], border),
            _corners(x_part, shape[1], border),
        )
        for row, column, weight in _pairs(rows, columns):
            total = total.at[row, column].add(weight[..., None] * part)
        return total

    return lax.fori_loop(0, -(-count // chunk), add, total)


def _pairs(
    rows: _Corners, columns: _Corners
) -> list[tuple[Int[Array, "..."], Int[Array, "..."], Float[Array, "..."]]]:
    """Returns row, column and weight of the four corners."""
    return [
        (row, column, row_weight * column_weight)
        for row, row_weight in (
            (rows.low, rows.low_weight),
            (rows.high, rows.high_weight),
        )
        for column, column_weight in (
            (columns.low, columns.low_weight),
            (columns.high, columns.high_weight),
        )
    ]


def _corners(place: Float[Array, "*n"], length: int, border: Border) -> _Corners:
    last = length - 1
    if border == "edge":
        inside = (place > 0) & (place < last)
        place = jnp.clip(place, 0, last)
        low = jnp.minimum(jnp.floor(place), max(last - 1, 0))
        weight = jnp.ones_like(place)
    else:
        low = jnp.floor(place)
        inside = (low >= 0) & (low < last)
        weight = inside.astype(place.dtype)
    fraction = jnp.where(inside, place - low, 0) if border == "zero" else place - low
    low = jnp.clip(low, 0, last).astype(jnp.int32)
    return _Corners(
        low,
        jnp.minimum(low + 1, last),
        weight * (1 - fraction),
        weight * fraction,
        inside.astype(place.dtype),
    )


def _slopes(corners: _Corners) -> _Corners:
    """Returns the derivative of the two weights by the coordinate, in their place."""
    return corners._replace(low_weight=-corners.inside, high_weight=corners.inside)


def _weights(
    place: Float[Array, "n s"], length: int, border: Border
) -> Float[Array, "n s {length}"]:
    """Returns the weight of every cell for each sample: at most two are not zero."""
    corners = _corners(place[..., None], length, border)
    cells = jnp.arange(length)[None, None]
    low = jnp.where(cells == corners.low, corners.low_weight, 0)
    high = jnp.where(cells == corners.high, corners.high_weight, 0)
    return low + high


def _check(name: str, value: str, allowed: object) -> None:
    if value not in get_args(allowed):
        names = ", ".join(map(repr, get_args(allowed)))
        raise ValueError(f"`{name}` must be one of {names}, got {value!r}.")
