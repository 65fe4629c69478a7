"""The zero level that photometry needs, beyond the background of the islands.

Islands are found as Radio Galaxy Zoo found them, and an offset of less than the noise
stays in the image. Fluxes need it taken off: between its sources, the 560 MHz image of
the first SKA data challenge lies 0.7 of its noise below zero, for want of short
baselines, and a source of 10 uJy would lose 6%.
"""

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from claran.sky.mesh import Mesh
from claran.sky.noise import LEAST_FILLED, middle_and_noise

__all__ = ["take_zero_off", "window_zero", "zero_levels"]

CLIP = 3.0  # Noises beyond which pixels are sources.
ROUNDS = 10
FARTHEST = 1.0  # Of a zero level, in units of the noise; more is emission.


def window_zero(signal_to_noise: Float[np.ndarray, "h w"]) -> float:
    """Returns the zero level of a window, in units of the noise.

    It is the mode, `3 median - 2 mean` of the pixels without sources; NaN if too little
    of the window has values.

    Args:
        signal_to_noise: Brightness over noise; NaN is blank.
    """
    pixels = signal_to_noise[np.isfinite(signal_to_noise)].astype(np.float64)
    if len(pixels) < max(1, LEAST_FILLED * signal_to_noise.size):
        return np.nan
    for _ in range(ROUNDS):
        middle, sigma = middle_and_noise(pixels)
        kept = pixels[np.abs(pixels - middle) <= CLIP * sigma]
        if len(kept) in (0, len(pixels)):
            break
        pixels = kept
    zero = 3 * np.median(pixels) - 2 * np.mean(pixels)
    return float(np.clip(zero, -FARTHEST, FARTHEST))


def zero_levels(
    signal_to_noise: Float32[np.ndarray, "ny nx"], window: float
) -> Float[np.ndarray, "rows columns"]:
    """Returns the zero levels of the windows of an image in one piece.

    They are medians of 3 x 3 windows, as those of single ones scatter.

    Args:
        signal_to_noise: Brightness over noise; NaN is blank.
        window: Side of a window, pixels, as for the noise.
    """
    mesh = Mesh(signal_to_noise.shape, max(1, round(window)))
    levels = [window_zero(part) for part in mesh.windows(signal_to_noise)]
    table = mesh.fill(np.array(levels).reshape(mesh.grid))
    return ndimage.median_filter(table, 3, mode="nearest")


def take_zero_off(
    values: Float32[np.ndarray, "ny nx"],
    noise: Float32[np.ndarray, "ny nx"],
    window: float,
) -> Float32[np.ndarray, "ny nx"]:
    """Returns an image in one piece above its zero level.

    Args:
        values: Brightness above the background of the islands; NaN is blank.
        noise: About each pixel.
        window: See `zero_levels`.
    """
    levels = zero_levels(values / noise, window)
    mesh = Mesh(values.shape, max(1, round(window)))
    return values - mesh.interpolate(levels, extrapolate=False) * noise
