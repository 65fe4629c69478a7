"""The zero level that photometry needs, beyond the background of the islands.

Islands are found as Radio Galaxy Zoo found them, and an offset of less than the noise
stays in the image. Fluxes need it taken off: between its sources, the 560 MHz image of
the first SKA data challenge lies 0.7 of its noise below zero, for want of short
baselines, and a source of 10 uJy would lose 6%.
"""

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from claran.sky.background import SAMPLES
from claran.sky.mesh import Mesh, MeshImage
from claran.sky.noise import LEAST_FILLED, window_noises

__all__ = ["take_zero_off", "window_zeros", "zero_image"]

CLIP = 3.0  # Sigmas beyond which pixels are sources.
ROUNDS = 2
FARTHEST = 1.0  # Of a zero level, in units of the noise; more is emission.


def window_zeros(
    mesh: Mesh,
    values: Float[np.ndarray, "h w"],
    sigmas: Float[np.ndarray, "rows columns"],
    block: tuple[int, int, int, int] | None = None,
) -> Float[np.ndarray, "rows columns"]:
    """Returns the zero level of every second window of a block; NaN elsewhere.

    It is the mode of the pixels, `3 median - 2 mean` without sources.

    Args:
        mesh: The windows.
        values: The pixels of the block, without background.
        sigmas: Noise of the windows, from `claran.sky.noise.window_noises`.
        block: See `Mesh.blocks`; None for all windows.
    """
    step = max(1, mesh.side // SAMPLES)
    top, _, left, _ = block or (0, 0, 0, 0)
    rows, columns = np.indices(sigmas.shape)
    # Windows overlap by half: every second one along each axis holds all pixels.
    taken = ((rows + top) % 2 == 0) & ((columns + left) % 2 == 0)
    windows = mesh.windows(values, block)
    found = [
        _mode(part[::step, ::step], float(sigma)) if chosen else np.nan
        for part, sigma, chosen in zip(
            windows, sigmas.ravel(), taken.ravel(), strict=True
        )
    ]
    return np.array(found).reshape(sigmas.shape)


def zero_image(mesh: Mesh, zeros: Float[np.ndarray, "rows columns"]) -> MeshImage:
    """Returns the zero level about each pixel, from that of the windows.

    Medians of 3 x 3 windows are taken, as single ones scatter by a tenth of the noise.

    Args:
        mesh: The windows.
        zeros: See `window_zeros`.
    """
    smooth = ndimage.median_filter(mesh.fill(zeros), 3, mode="nearest")
    return MeshImage(mesh, (smooth,), extrapolate=False)


def take_zero_off(
    values: Float32[np.ndarray, "ny nx"], window: float
) -> Float32[np.ndarray, "ny nx"]:
    """Returns an image in one piece above its zero level.

    Args:
        values: Brightness above the background of the islands; NaN is blank.
        window: Side of a window, pixels, as for the noise.
    """
    mesh = Mesh(values.shape, max(1, round(window)))
    zeros = window_zeros(mesh, values, window_noises(mesh, values))
    return values - zero_image(mesh, zeros).pixels()


def _mode(values: Float[np.ndarray, "h w"], sigma: float) -> float:
    pixels = values[np.isfinite(values)]
    if not sigma > 0 or len(pixels) < max(1, LEAST_FILLED * values.size):
        return np.nan
    for _ in range(ROUNDS):
        middle = np.median(pixels)
        kept = pixels[np.abs(pixels - middle) <= CLIP * sigma]
        if len(kept) in (0, len(pixels)):
            break
        pixels = kept
    zero = 3 * float(np.median(pixels)) - 2 * float(np.mean(pixels, dtype=np.float64))
    return min(max(zero, -FARTHEST * sigma), FARTHEST * sigma)
