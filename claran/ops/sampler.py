"""RoI sampling by a spatial transformer (Jaderberg et al. 2015, arXiv:1506.02025).

Each RoI has an affine transform, a 2 x 3 matrix. It maps the output grid, `[-1, 1]` on
both axes, to positions `(x, y)` on the feature map, where the features are interpolated
bilinearly. Positions are in cells; the center of cell `i` is at `i`.

For axis-aligned RoIs the interpolation separates: `out = Y @ features @ X.T`, where
each sample is a row with two weights. So does its gradient. Accelerators, where gathers
are slow, run these two matrix products. CPUs gather and scatter: the channels of a cell
are contiguous in memory, and the products would need 140 times the arithmetic.
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
"""What a sample beyond the centers of the outermost cells is.

`edge`: the value of the nearest cell center.
`zero`: 0, as in ClaRAN. There the clipped corners cancel wherever the lower corner is
below 0 or not below the last cell.
"""

Placement = Literal["aligned", "claran"]
"""Where the samples of an RoI lie.

`aligned`: at the centers of `size` equal bins of the RoI, as in RoIAlign with one
sample per bin and half-pixel centers (He et al. 2017, arXiv:1703.06870).
`claran`: as in ClaRAN, with the first and last sample on the edges of the RoI. The
center of the RoI is shifted by one cell up and left and scaled by
`length / (length - 1)`.
"""

GATHER_CHUNK = 8
"""RoIs that a CPU samples at once.

In a loop, as XLA's CPU compiler merges the layer that made the features, normalization
and ReLU, with a gather outside of one, and computes it anew for each of the samples:
`claran_first` took 12.4 ms for a field of 100 pixels on one core, and takes 10.8.
"""

SCATTER_FLOATS = 2**19  # 2 MB, half a core's cache; 2**17 to 2**20 are equally fast.


class _Corners(NamedTuple):
    """The two cells next to each position on one axis, and their weights."""

    low: Int[Array, "*n"]
    high: Int[Array, "*n"]
    low_weight: Float[Array, "*n"]
    high_weight: Float[Array, "*n"]
    inside: Float[Array, "*n"]  # 1 where the sample depends on the position, else 0.


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
    """Returns the affine transform of each RoI, from the output grid to cells.

    Args:
        rois: Boxes in pixels of the network's input (see `claran.ops.boxes`).
        stride: Input pixels per cell.
        rows: Rows of the feature map. Only the placement `claran` depends on it.
        columns: Columns of the feature map. Only the placement `claran` depends on it.
        size: Samples along each side.
        placement: See `Placement`.
        angles: Rotation of each RoI about its center in radians, from x toward y. None
            means no rotation.

    Raises:
        ValueError: The placement is unknown.
    """
    _check_choice("placement", placement, Placement)
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

    Differentiable with respect to the features and the RoIs. For the approximate joint
    training of Faster R-CNN, apply `jax.lax.stop_gradient` to the RoIs.

    Args:
        features: One feature map. Use `jax.vmap` for batches.
        rois: Boxes in pixels of the network's input (see `claran.ops.boxes`).
        size: Samples along each side.
        stride: Input pixels per cell.
        placement: See `Placement`.
        border: See `Border`.

    Raises:
        ValueError: The placement or the border is unknown.
    """
    _check_choice("border", border, Border)
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
    """Returns the features of each affine transform, on a grid of rows and columns.

    Differentiable with respect to the features and the transforms.

    Args:
        features: One feature map. Use `jax.vmap` for batches.
        transforms: Maps from `(x, y, 1)`, with x and y in `[-1, 1]`, to cells.
        size: Rows and columns of the output.
        border: See `Border`.

    Raises:
        ValueError: The border is unknown.
    """
    _check_choice("border", border, Border)
    # Positions keep full precision, also if the features have half.
    rows, columns = (jnp.linspace(-1.0, 1.0, n, dtype=transforms.dtype) for n in size)
    y, x = jnp.meshgrid(rows, columns, indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)])
    position = jnp.einsum("nij,jst->nist", transforms, grid, precision="highest")
    return _sample(features, position[:, 1], position[:, 0], border)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _sample(
    features: Float[Array, "h w c"],
    y: Float[Array, "n s #t"],
    x: Float[Array, "n #s t"],
    border: Border,
) -> Float[Array, "n s t c"]:
    """Interpolates at `(y, x)` in cells; `y` and `x` broadcast against each other."""

    def by_gathers(features: Array, y: Array, x: Array) -> Array:
        rows = _corners(y, features.shape[0], border)
        columns = _corners(x, features.shape[1], border)
        return _gather(features, rows, columns)

    def by_products(features: Array, y: Array, x: Array) -> Array:
        rows = _weights(y[:, :, 0], features.shape[0], border)
        columns = _weights(x[:, 0, :], features.shape[1], border)
        strips = jnp.einsum("nsh,hwc->nswc", rows, features, precision="highest")
        return jnp.einsum("nswc,ntw->nstc", strips, columns, precision="highest")

    def by_gathers_in_chunks(features: Array, y: Array, x: Array) -> Array:
        chunk = lambda positions: by_gathers(features, *positions)
        return lax.map(
            lambda one: chunk([p[None] for p in one])[0],
            (y, x),
            batch_size=GATHER_CHUNK,
        )

    if not _separable(y, x):
        return by_gathers(features, y, x)
    return lax.platform_dependent(
        features, y, x, cpu=by_gathers_in_chunks, default=by_products
    )


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
    # XLA eliminates these two where the gradient of the positions is not used.
    rows, columns = _corners(y, height, border), _corners(x, width, border)
    d_y = (_gather(features, _derivatives(rows), columns) * cotangent).sum(-1)
    d_x = (_gather(features, rows, _derivatives(columns)) * cotangent).sum(-1)
    d_features = d_features.astype(features.dtype)
    return d_features, _unbroadcast(d_y, y), _unbroadcast(d_x, x)


_sample.defvjp(_sample_forward, _sample_backward)


def _separable(y: Float[Array, "n s #t"], x: Float[Array, "n #s t"]) -> bool:
    """Returns whether y depends on the row alone and x on the column alone."""
    return y.shape[2] == 1 and x.shape[1] == 1


def _unbroadcast(
    gradient: Float[Array, "n s t"], like: Float[Array, "n #s #t"]
) -> Float[Array, "n #s #t"]:
    """Returns the gradient summed over the axes on which `like` was broadcast."""
    broadcast = [i for i in (1, 2) if like.shape[i] == 1]
    return gradient.sum(broadcast, keepdims=True)


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
    """Returns the transpose of `_gather`: values added to the cells around them.

    RoIs are processed in chunks whose weighted values stay in the cache. On two CPU
    cores, 128 RoIs of 7 x 7 x 512 took 2.6 ms in chunks and 21 ms at once, mostly for
    mapping 51 MB of fresh memory.
    """
    count, *_, channels = values.shape
    total = jnp.zeros((*shape, channels), values.dtype)
    if not count:
        return total
    chunk = min(count, max(1, SCATTER_FLOATS // values[0].size))

    def add(i: Int[Array, ""], total: Array) -> Array:
        # The last chunk starts early enough to be full. RoIs that it shares with the
        # chunk before count as 0.
        start = jnp.minimum(i * chunk, count - chunk)
        is_new = start + jnp.arange(chunk) >= i * chunk
        part, y_part, x_part = (
            lax.dynamic_slice_in_dim(array, start, chunk) for array in (values, y, x)
        )
        part = jnp.where(is_new[:, None, None, None], part, 0)
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


def _corners(position: Float[Array, "*n"], length: int, border: Border) -> _Corners:
    last = length - 1
    if border == "edge":
        inside = (position > 0) & (position < last)
        position = jnp.clip(position, 0, last)
        low = jnp.minimum(jnp.floor(position), max(last - 1, 0))
        weight = jnp.ones_like(position)
        fraction = position - low
    else:
        low = jnp.floor(position)
        inside = (low >= 0) & (low < last)
        weight = inside.astype(position.dtype)
        fraction = jnp.where(inside, position - low, 0)
    low = jnp.clip(low, 0, last).astype(jnp.int32)
    return _Corners(
        low,
        jnp.minimum(low + 1, last),
        weight * (1 - fraction),
        weight * fraction,
        inside.astype(position.dtype),
    )


def _derivatives(corners: _Corners) -> _Corners:
    """Returns the corners with the derivatives of the weights by the position."""
    return corners._replace(low_weight=-corners.inside, high_weight=corners.inside)


def _weights(
    position: Float[Array, "n s"], length: int, border: Border
) -> Float[Array, "n s {length}"]:
    """Returns the weight of every cell for each sample; at most two are not zero."""
    corners = _corners(position[..., None], length, border)
    cells = jnp.arange(length)[None, None]
    low = jnp.where(cells == corners.low, corners.low_weight, 0)
    high = jnp.where(cells == corners.high, corners.high_weight, 0)
    return low + high


def _check_choice(name: str, value: str, allowed: object) -> None:
    if value not in get_args(allowed):
        names = ", ".join(map(repr, get_args(allowed)))
        raise ValueError(f"`{name}` must be one of {names}, got {value!r}.")
