"""Fits of groups of Gaussians, packed into a few sizes of batches."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import export
from jaxtyping import Bool, Float, Float32

from claran import accelerator
from claran.kept_programs import open_program
from claran.ops.gaussians import Fits, Pixels, fit_gaussians

__all__ = ["LARGEST_GROUP", "MOST_PIXELS", "Fit", "Problem", "fit_problems"]

LARGEST_GROUP = 8  # Gaussians fitted together.
# Gaussians, pixels and fits of a batch: each is compiled once, and its size is fixed,
# so that a fit has the same bits whatever else is asked for. Larger fits are rare, and
# need from 2 to 40 steps: each is made alone.
_SIZES = ((1, 64, 64), (1, 256, 16), (2, 96, 32), (4, 384, 1), (8, 512, 1))
MOST_PIXELS = {1: 256, 2: 256, 3: 256, 4: 256} | dict.fromkeys(range(5, 9), 512)

_OPENING = threading.Lock()
for _kind in Pixels, Fits:
    export.register_namedtuple_serialization(
        _kind, serialized_name=f"claran.{_kind.__name__}"
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Gaussians to be fitted together.

    Attributes:
        points: (2, p) coordinates of the pixels, in beam sigmas.
        data: (p,) brightness, in units of a noise.
        weight: (p,) that noise over the noise of each pixel.
        start: (g, 6) parameters, see `claran.ops.gaussians.fit_gaussians`.
        free: (g,) whether the shape is fitted.
    """

    points: Float[np.ndarray, "2 p"]
    data: Float32[np.ndarray, "p"]
    weight: Float32[np.ndarray, "p"]
    start: Float[np.ndarray, "g 6"]
    free: Bool[np.ndarray, "g"]


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """The fit of a problem, see `claran.ops.gaussians.Fits`."""

    parameters: Float[np.ndarray, "g 6"]
    chi2: float
    residual: Float32[np.ndarray, "p"]
    joint: Float32[np.ndarray, "g 6"]
    alone: Float32[np.ndarray, "g 6"]
    converged: bool


def fit_problems(problems: Sequence[Problem]) -> list[Fit]:
    """Returns the fit of each problem; none depends on the others."""
    found: list[Fit | None] = [None] * len(problems)
    queues: dict[tuple[int, int, int], list[int]] = {size: [] for size in _SIZES}
    for index, problem in enumerate(problems):
        queues[_size(problem)].append(index)
    # The calls are asynchronous: the next batch is packed while the last one runs.
    platform = str(accelerator.current_device().platform)
    running = [
        (chosen, _program(size, platform)(*_pack([problems[i] for i in chosen], size)))
        for size, queue in queues.items()
        for chosen in (queue[k : k + size[2]] for k in range(0, len(queue), size[2]))
    ]
    for chosen, fits in running:
        arrays = [np.asarray(part) for part in fits]
        for lane, index in enumerate(chosen):
            found[index] = _unpack(problems[index], arrays, lane)
    return [fit for fit in found if fit is not None]


def _program(size: tuple[int, int, int], platform: str) -> Callable[..., Fits]:
    """Returns `fit_gaussians` for batches of a size."""
    with _OPENING:  # Two threads would compile it twice.
        return _opened(size, platform)


@functools.cache
def _opened(size: tuple[int, int, int], _: str) -> Callable[..., Fits]:
    nothing = _pack([], size)
    program = open_program(fit_gaussians, nothing, {"function": "fit_gaussians"})
    jax.block_until_ready(program(*nothing))
    return program


def _size(problem: Problem) -> tuple[int, int, int]:
    gaussians, pixels = len(problem.start), len(problem.data)
    for size in _SIZES:
        if gaussians <= size[0] and pixels <= size[1]:
            return size
    raise ValueError(
        f"a problem must have at most {LARGEST_GROUP} Gaussians and "
        f"{_SIZES[-1][1]} pixels, got {gaussians} and {pixels}."
    )


def _pack(
    problems: Sequence[Problem], size: tuple[int, int, int]
) -> tuple[Pixels, Any, Any]:
    """Returns the arguments of `fit_gaussians`, filled up with weight 0."""
    gaussians, pixels, lanes = size
    points = np.zeros((2, lanes, pixels), np.float32)
    data, weight = np.zeros((2, lanes, pixels), np.float32)
    start = np.zeros((lanes, gaussians, 6), np.float32)
    start[..., [3, 5]] = 1
    free = np.zeros((lanes, gaussians, 6), bool)
    for lane, problem in enumerate(problems):
        used, count = len(problem.data), len(problem.start)
        points[:, lane, :used] = problem.points
        data[lane, :used], weight[lane, :used] = problem.data, problem.weight
        start[lane, :count] = problem.start
        free[lane, :count, :3] = True
        free[lane, :count, 3:] = problem.free[:, None]
    lanes_last: list[Any] = [part.T for part in (*points, data, weight)]
    lanes_last += [part.transpose(1, 2, 0) for part in (start, free)]
    lanes_last = [np.ascontiguousarray(part) for part in lanes_last]
    return Pixels(*lanes_last[:4]), *lanes_last[4:]


def _unpack(problem: Problem, arrays: Sequence[np.ndarray], lane: int) -> Fit:
    parameters, chi2, residual, joint, alone, converged = arrays
    count, used = len(problem.start), len(problem.data)
    return Fit(
        parameters[:count, :, lane].astype(float),
        float(chi2[lane]),
        residual[:used, lane],
        joint[:count, :, lane],
        alone[:count, :, lane],
        bool(converged[lane]),
    )
