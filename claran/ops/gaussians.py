"""Least-squares fits of elliptical Gaussians, many at once.

Fits are lanes: the last axis of every array. No operation mixes lanes, so that a fit
has the same bits whatever is fitted beside it, and each operation is a vector
instruction over lanes. A fit that has converged is left as it is until all have.

That is fastest for one or two Gaussians. A larger fit is better alone, in one lane: it
makes no steps for others, and BLAS and LAPACK multiply and solve its matrices. With
eight Gaussians and 512 pixels it takes 1.6 ms then, and 12 ms in one of eight lanes.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32

__all__ = ["Fits", "Pixels", "fit_gaussians"]

MOST_STEPS = 40
FIRST_DAMPING = 1e-2
LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e5
EASE, HARDEN = 0.15, 6.0  # Factors of the damping after a better and a worse step.
# A step that lowers chi2 by less, absolute or relative, is the last: in units of the
# noise variance the first is nothing, and the second is what float32 resolves.
SMALL, SMALL_SHARE = 1e-3, 1e-6
FARTHEST = 1.5  # From the start, in beam sigmas.
FAINTEST = 0.1  # Amplitude, in units of the noise.
# Inverse square sizes, in beam sigmas: from half a beam to 12 beams.
WIDEST, NARROWEST = 1 / 12**2, 4.0


class Pixels(NamedTuple):
    """What is fitted.

    Attributes:
        u: (p, n) first coordinate, in beam sigmas.
        v: (p, n) second coordinate.
        data: (p, n) brightness, in units of a noise.
        weight: (p, n) that noise over the noise of the pixel; 0 if it is not used.
    """

    u: Float32[Array, "p n"]
    v: Float32[Array, "p n"]
    data: Float32[Array, "p n"]
    weight: Float32[Array, "p n"]


class Fits(NamedTuple):
    """Results of `fit_gaussians`.

    Attributes:
        parameters: (g, 6, n) as the start.
        chi2: (n,) sum of the squared residuals, in units of the noise.
        residual: (p, n) data minus model, times weight.
        joint: (g, 6, n) variance of each parameter for white noise; 0 if it is fixed.
        alone: (g, 6, n) the same if all other Gaussians were known.
        converged: (n,) whether the last step was small.
    """

    parameters: Float32[Array, "g 6 n"]
    chi2: Float32[Array, "n"]
    residual: Float32[Array, "p n"]
    joint: Float32[Array, "g 6 n"]
    alone: Float32[Array, "g 6 n"]
    converged: Bool[Array, "n"]


class _Point(NamedTuple):
    """A set of parameters, and chi2 and its derivatives there."""

    parameters: Float32[Array, "g 6 n"]
    chi2: Float32[Array, "n"]
    residual: Float32[Array, "p n"]
    normal: Float32[Array, "m m n"]
    slope: Float32[Array, "m n"]


class _State(NamedTuple):
    """The best point, and the one to be tried next."""

    point: _Point
    trial: Float32[Array, "g 6 n"]
    damping: Float32[Array, "n"]
    done: Bool[Array, "n"]
    step: Int32[Array, ""]


@jax.jit
def fit_gaussians(
    pixels: Pixels, start: Float32[Array, "g 6 n"], free: Bool[Array, "g 6 n"]
) -> Fits:
    """Fits sums of Gaussians by Levenberg's and Marquardt's method.

    A Gaussian is `A exp(-(a du^2 + 2 b du dv + c dv^2) / 2)`, with its parameters in
    the order `A, u, v, a, b, c`. Coordinates are in beam sigmas, so that the beam has
    `a = c = 1` and `b = 0`. A step beyond what a source can be ends at the limit.

    Args:
        pixels: What is fitted.
        start: Parameters to start from. A Gaussian of amplitude 0 with no free
            parameter is not there.
        free: Which parameters are fitted.
    """
    lanes = start.shape[2]
    size = start.shape[0] * 6

    def advance(state: _State) -> _State:
        old, new = state.point, _evaluate(pixels, free, state.trial)
        better, gain = new.chi2 <= old.chi2, old.chi2 - new.chi2
        small = better & (gain < SMALL + SMALL_SHARE * old.chi2) & (state.damping < 1)
        damping = state.damping * jnp.where(better, EASE, HARDEN)
        done = state.done | small | (damping > MOST_DAMPING)
        damping = jnp.clip(damping, LEAST_DAMPING, MOST_DAMPING)
        damping = jnp.where(state.done, state.damping, damping)
        point = _choose(better & ~state.done, new, old)
        solve = _factorize if lanes == 1 else _solve
        step = solve(*_damped(point.normal, damping), point.slope[:, None])
        trial = _confined(point.parameters + step.reshape(start.shape), start)
        trial = jnp.where(free, trial, point.parameters)
        return _State(point, trial, damping, done, state.step + 1)

    number = functools.partial(jnp.full, dtype=jnp.float32)
    nowhere = _Point(
        start, number(lanes, jnp.inf), number(pixels.data.shape, 0),
        number((size, size, lanes), 0), number((size, lanes), 0),
    )  # fmt: skip
    first = number(lanes, FIRST_DAMPING / EASE)  # The start is better than nowhere.
    state = _State(
        nowhere, start, first, jnp.zeros(lanes, bool), jnp.zeros((), jnp.int32)
    )
    state = jax.lax.while_loop(
        lambda state: ~state.done.all() & (state.step <= MOST_STEPS), advance, state
    )
    found = state.point
    joint = _variances(found.normal, free)
    return Fits(
        found.parameters,
        found.chi2,
        found.residual,
        joint,
        _variances_alone(found.normal, free) if len(start) > 1 else joint,
        state.done & (state.damping < MOST_DAMPING),
    )


def _choose(first: Array, new: _Point, old: _Point) -> _Point:
    """Returns for each fit one of two points."""
    return _Point(
        *(
            jnp.where(jnp.broadcast_to(first, n.shape), n, o)
            for n, o in zip(new, old, strict=True)
        )
    )


def _evaluate(pixels: Pixels, free: Array, parameters: Array) -> _Point:
    """Returns chi2, the normal matrix and the slope at some parameters."""
    height, x, y, a, b, c = (parameters[:, i, None] for i in range(6))
    du, dv = pixels.u[None] - x, pixels.v[None] - y
    shape = jnp.exp(-0.5 * (a * du * du + c * dv * dv) - b * du * dv)
    shape = shape * pixels.weight[None]
    height = height * shape
    residual = pixels.data * pixels.weight - height.sum(0)
    derivatives = [
        shape,
        height * (a * du + b * dv),
        height * (b * du + c * dv),
        -0.5 * height * du * du,
        -height * du * dv,
        -0.5 * height * dv * dv,
    ]
    jacobian = jnp.where(free[:, :, None], jnp.stack(derivatives, axis=1), 0)
    jacobian = jacobian.reshape(-1, *residual.shape)
    if residual.shape[1] == 1:
        normal = (jacobian[:, :, 0] @ jacobian[:, :, 0].T)[:, :, None]
        slope = jacobian[:, :, 0] @ residual
    else:
        normal = (jacobian[:, None] * jacobian[None]).sum(2)
        slope = (jacobian * residual[None]).sum(1)
    return _Point(parameters, (residual**2).sum(0), residual, normal, slope)


def _confined(trial: Array, start: Array) -> Array:
    """Returns the nearest parameters with which a Gaussian may be a source."""
    height, x, y, a, b, c = (trial[:, i] for i in range(6))
    dx, dy = x - start[:, 1], y - start[:, 2]
    part = jnp.minimum(1, FARTHEST / jnp.maximum(jnp.hypot(dx, dy), 1e-6))
    half, spread = (a + c) / 2, jnp.hypot((a - c) / 2, b)
    high = jnp.clip(half + spread, WIDEST, NARROWEST)
    low = jnp.clip(half - spread, WIDEST, NARROWEST)
    middle, ratio = (high + low) / 2, (high - low) / (2 * jnp.maximum(spread, 1e-9))
    return jnp.stack(
        [
            jnp.maximum(height, FAINTEST),
            start[:, 1] + part * dx,
            start[:, 2] + part * dy,
            middle + ratio * (a - half),
            ratio * b,
            middle + ratio * (c - half),
        ],
        axis=1,
    )


def _scale(normal: Array) -> Array:
    """Returns one over the root of the diagonal, 1 where it is 0."""
    diagonal = jnp.diagonal(normal).T
    return jnp.where(diagonal > 0, jax.lax.rsqrt(diagonal), 1)


def _damped(normal: Array, damping: Array) -> tuple[Array, Array]:
    """Returns the matrix with a diagonal of one plus damping, and the scale."""
    scale = _scale(normal)
    unit = jnp.eye(len(normal), dtype=normal.dtype)[:, :, None]
    scaled = normal * scale[:, None] * scale[None]
    return jnp.where(unit > 0, 1 + damping[None, None], scaled), scale


def _factorize(scaled: Array, scale: Array, right: Array) -> Array:
    """Returns the solution for one lane, not a number if rounding forbids it."""
    factor = jax.lax.linalg.cholesky(scaled[:, :, 0], symmetrize_input=False)
    found = jax.scipy.linalg.cho_solve((factor, True), (right * scale[:, None])[..., 0])
    return found[:, :, None] * scale[:, None]


def _solve(scaled: Array, scale: Array, right: Array) -> Array:
    """Returns the solution of the scaled equations, by elimination without pivots.

    The matrix is positive, so that none are needed.
    """
    size = len(scaled)
    both = jnp.concatenate([scaled, right * scale[:, None]], axis=1)
    rows = jnp.arange(size)[:, None, None]

    def eliminate(k: Array | int, both: Array) -> Array:
        pivot = (both[k] / jnp.maximum(both[k, k], 1e-6)[None])[None]
        factor = jnp.where(rows == k, 0, jax.lax.dynamic_slice_in_dim(both, k, 1, 1))
        return jnp.where(rows == k, pivot, both - factor * pivot)

    both = jax.lax.fori_loop(0, size, eliminate, both)
    return both[:, size:] * scale[:, None]


def _variances(normal: Array, free: Array) -> Array:
    """Returns the diagonal of the inverse, 0 where a parameter is fixed."""
    unit = jnp.eye(len(normal), dtype=normal.dtype)[:, :, None]
    lanes = jnp.zeros(normal.shape[2], normal.dtype)
    inverse = _solve(*_damped(normal, lanes), unit + lanes[None, None])
    diagonal = jnp.diagonal(inverse).T.reshape(free.shape)
    return jnp.where(free, diagonal, 0)


def _variances_alone(normal: Array, free: Array) -> Array:
    """Returns the same if each Gaussian were alone."""
    gaussians, _, lanes = free.shape
    blocks = normal.reshape(gaussians, 6, gaussians, 6, lanes)
    own = jnp.diagonal(blocks, axis1=0, axis2=2).reshape(6, 6, -1)
    found = _variances(own, free.transpose(1, 2, 0).reshape(1, 6, -1))
    return found.reshape(6, lanes, gaussians).transpose(2, 0, 1)
