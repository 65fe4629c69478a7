"""The background of a radio image: what is left without noise and sources."""

import math

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from claran.sky.mesh import Mesh
from claran.sky.noise import FEW_WINDOWS, middle_and_noise

__all__ = ["background"]

# In units of the noise. The windows of 153 real FIRST fields have -0.66 to 0.54.
NONE, FULL = 0.75, 1.5
CLIP = 3.0  # Sigma; pixels further from the median are sources.
ROUNDS = 5
LEAST_FILLED = 0.1  # Share of a window that must have values.
SAMPLES = 33  # Pixels along a side of a window; more are as good as one per beam.


def background(
    values: Float[np.ndarray, "ny nx"], window: float
) -> Float32[np.ndarray, "ny nx"] | None:
    """Returns the background about each pixel, in the unit of the image.

    It is the median of square windows half a window apart, without pixels beyond 3
    sigma, and linear between their centers and beyond. If the image is about one
    window, the windows have half its size, so that a slope is seen.

    A background up to three quarters of the noise is none: sidelobes and faint sources
    cause as much, and Radio Galaxy Zoo, whose labels claran's networks learned, took
    none off. From 1.5 times the noise on, in a window or one of its neighbors, all of
    it is taken, and between the two a share that rises linearly.

    Args:
        values: The image; non-finite pixels are left out.
        window: Side of a window in pixels; larger than sources are.

    Returns:
        None if there is no background.
    """
    side = max(1, round(window))
    longest = max(values.shape)
    if longest <= FEW_WINDOWS * side:
        side = max(1, (longest + 1) // 2)
    mesh, step = Mesh(values.shape, side), max(1, side // SAMPLES)
    levels, sigmas = _levels(values, mesh, step)
    # Also in the neighbors of a window, so that a slope is linear where it crosses 0.
    ratios = ndimage.maximum_filter(
        np.abs(levels) / np.where(sigmas > 0, sigmas, np.inf), 3
    )
    shares = ((ratios - NONE) / (FULL - NONE)).clip(0, 1)
    if not shares.any():
        return None
    found = mesh.interpolate(levels * shares, extrapolate=True)
    # The median of a window is flatter than the background; the rest remains.
    levels, _ = _levels(values - found, mesh, step)
    found += mesh.interpolate(levels * shares, extrapolate=True)
    return found


def _levels(
    values: Float[np.ndarray, "ny nx"], mesh: Mesh, step: int
) -> tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"]]:
    """Returns background and noise of each window."""
    found = np.array([_level(part[::step, ::step]) for part in mesh.windows(values)])
    levels, sigmas = found.T.reshape(2, *mesh.grid)
    return mesh.fill(levels), mesh.fill(sigmas)


def _level(values: Float[np.ndarray, "h w"]) -> tuple[float, float]:
    """Returns background and noise of a window; NaN if too little of it has values.

    A window of one value has no background and infinite noise.
    """
    kept = values[np.isfinite(values)]
    if len(kept) < LEAST_FILLED * values.size:
        return math.nan, math.nan
    level, sigma = middle_and_noise(kept)
    for _ in range(ROUNDS):
        if abs(level) <= NONE * sigma / 2:
            break
        near = kept[np.abs(kept - level) <= CLIP * sigma]
        if len(near) == len(kept):
            break
        kept = near
        level, sigma = middle_and_noise(kept)
    return (level, sigma) if sigma > 0 else (0.0, math.inf)
