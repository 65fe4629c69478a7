"""The background of a radio image: what is left without noise and sources."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

from claran.sky.mesh import Mesh, MeshImage
from claran.sky.noise import FEW_WINDOWS, middles_and_noises

__all__ = ["Chosen", "WindowLevels", "background", "find_background", "window_levels"]

WindowLevels = tuple[
    Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"]
]
"""Background and noise of each window; NaN if too little of it has values."""

Chosen = Bool[np.ndarray, "rows columns"] | None

# In units of the noise. The windows of 153 real FIRST fields have -0.66 to 0.54.
NONE, FULL = 0.75, 1.5
BOWL = 0.375  # Weight of a negative background, so that it sets in at 2 and 4.
CLIP = 3.0  # Sigma; pixels further from the median are sources.
ROUNDS = 5
SAMPLES = 33  # Pixels along a side of a window; more are as good as one per beam.


def background(
    values: Float[np.ndarray, "ny nx"], window: float
) -> Float32[np.ndarray, "ny nx"] | None:
    """Returns the background about each pixel, in the unit of the image.

    It is the median of square windows half a window apart, without pixels beyond 3
    sigma, and linear between their centers and beyond. If the image is about one
    window, it is the plane through most of the windows of half its size, so that a bowl
    about a source is no background.

    A background up to three quarters of the noise is none: sidelobes and faint sources
    cause as much. Below zero it is none up to twice the noise: bright sources lie in
    bowls where short baselines are missing. Radio Galaxy Zoo, whose labels claran's
    networks learned, took neither off. From twice these limits on, in a window or one
    of its neighbors, all of it is taken, and between them a share that rises linearly.

    Args:
        values: The image; non-finite pixels are left out.
        window: Side of a window in pixels; larger than sources are.

    Returns:
        None if there is no background.
    """

    def levels(mesh: Mesh, found: MeshImage | None, chosen: Chosen) -> WindowLevels:
        rest = values if found is None else values - found.pixels()
        return window_levels(mesh, rest, chosen=chosen)

    found = find_background(values.shape, window, levels)
    return None if found is None else found.pixels()


def find_background(
    shape: tuple[int, int],
    window: float,
    levels_of: Callable[[Mesh, MeshImage | None, Chosen], WindowLevels],
) -> MeshImage | None:
    """Returns the background of an image that need not be in memory.

    Args:
        shape: `(ny, nx)` of the image.
        window: See `background`.
        levels_of: Returns `window_levels` of all windows or of those that are chosen,
            of the image itself or without a background.
    """
    side = max(1, round(window))
    is_one_window = max(shape) <= FEW_WINDOWS * side
    if is_one_window:
        side = max(1, (max(shape) + 1) // 2)
    mesh = Mesh(shape, side)
    smooth = _plane if is_one_window else lambda levels: levels
    levels, sigmas = levels_of(mesh, None, None)
    if not (known := ~np.isnan(levels)).any():
        return None
    nearest = mesh.nearest(known)
    levels, sigmas = smooth(levels[nearest]), sigmas[nearest]
    # Also in the neighbors of a window, so that a slope is linear where it crosses 0.
    ratios = np.maximum(levels, -BOWL * levels) / np.where(sigmas > 0, sigmas, np.inf)
    ratios = ndimage.maximum_filter(ratios, 3)
    shares = ((ratios - NONE) / (FULL - NONE)).clip(0, 1)
    if not shares.any():
        return None
    found = MeshImage(mesh, (levels * shares,), extrapolate=True)
    # The median of a window is flatter than the background; the rest remains.
    needed = np.full(mesh.grid, is_one_window)  # For a plane, all.
    needed[tuple(place[shares > 0] for place in nearest)] = True
    rest = smooth(levels_of(mesh, found, needed)[0][nearest]) * shares
    rest = np.where(shares > 0, rest, 0.0)
    return MeshImage(mesh, (*found.levels, rest), extrapolate=True)


def window_levels(
    mesh: Mesh,
    values: Float[np.ndarray, "h w"],
    block: tuple[int, int, int, int] | None = None,
    *,
    chosen: Chosen = None,
) -> WindowLevels:
    """Returns background and noise of each window of a block, NaN where it is blank.

    Args:
        mesh: The windows.
        values: The pixels of the block.
        block: See `Mesh.blocks`; None for all windows.
        chosen: Which windows of the block are measured, others are NaN; None for all.
    """
    top, bottom, left, right = block or (0, mesh.grid[0], 0, mesh.grid[1])
    step = max(1, mesh.side // SAMPLES)
    levels = np.full((bottom - top) * (right - left), np.nan)
    sigmas = levels.copy()
    for numbers, rows in mesh.pixels_of_windows(
        values, block, step=step, chosen=chosen
    ):
        levels[numbers], sigmas[numbers] = _row_levels(rows)
    shape = bottom - top, right - left
    return levels.reshape(shape), sigmas.reshape(shape)


def _plane(
    levels: Float[np.ndarray, "rows columns"],
) -> Float[np.ndarray, "rows columns"]:
    """Returns the plane through most of the levels, by medians of slopes."""
    rows, columns = np.indices(levels.shape)
    tilt = _median_slope(levels) * rows + _median_slope(levels.T) * columns
    return np.add(tilt, np.median(levels - tilt))


def _median_slope(levels: Float[np.ndarray, "rows columns"]) -> float:
    """Returns the median slope along the first axis; 0 for a single row."""
    low, high = np.triu_indices(len(levels), 1)
    if not len(low):
        return 0.0
    return float(np.median((levels[high] - levels[low]) / (high - low)[:, None]))


def _row_levels(
    rows: Float[np.ndarray, "k n"],
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Returns background and noise of windows, of each from its finite pixels.

    A window of one value has no background and infinite noise.
    """
    levels, sigmas = middles_and_noises(rows)
    for row in np.flatnonzero(~_is_low(levels, sigmas)):
        levels[row], sigmas[row] = _clipped(rows[row], levels[row], sigmas[row])
    flat = ~(sigmas > 0)
    levels[flat], sigmas[flat] = 0.0, math.inf
    return levels, sigmas


def _clipped(
    kept: Float[np.ndarray, "n"], level: float, sigma: float
) -> tuple[float, float]:
    """Returns background and noise of a window without its sources.

    Args:
        kept: The pixels of the window.
        level: Median of them.
        sigma: Their noise.
    """
    for _ in range(ROUNDS):
        near = kept[np.abs(kept - float(level)) <= float(CLIP * sigma)]
        if len(near) == len(kept):
            break
        kept = near
        (level,), (sigma,) = middles_and_noises(kept[None])
        if _is_low(level, sigma):
            break
    return level, sigma


def _is_low(level: Any, sigma: Any) -> Any:
    """Returns whether a median is too low for a background, sources included."""
    return np.abs(level) <= NONE * sigma / 2
