"""The zero level that photometry needs, beyond the background of the islands.

Islands are found as Radio Galaxy Zoo found them, and an offset of less than the noise
stays in the image. Fluxes need it taken off: between its sources, the 560 MHz image of
the first SKA data challenge lies 0.8 of its noise below zero, for want of short
baselines, and a source of 10 uJy would lose 6%.
"""

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy import ndimage

from claran.sky.background import SAMPLES
from claran.sky.medians import count_in_rows
from claran.sky.mesh import Mesh, MeshImage
from claran.sky.noise import noise_mesh, window_noises

__all__ = ["window_zeros", "zero_image", "zero_level"]

# Sigmas beyond which pixels are sources. Fainter ones show in the mean, from which
# the mode is known: with 3 sigma, the zero level of SDC1 is too high by 0.08 of them.
CLIP = 5.0
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
    taken = ((rows + top) % 2 == 0) & ((columns + left) % 2 == 0) & (sigmas > 0)
    found = np.full(sigmas.size, np.nan)
    for numbers, pixels in mesh.pixels_of_windows(
        values, block, step=step, chosen=taken
    ):
        found[numbers] = _modes(pixels, sigmas.ravel()[numbers])
    return found.reshape(sigmas.shape)


def zero_image(mesh: Mesh, zeros: Float[np.ndarray, "rows columns"]) -> MeshImage:
    """Returns the zero level about each pixel, from that of the windows.

    Medians of 3 x 3 windows are taken, as single ones scatter by a tenth of the noise.

    Args:
        mesh: The windows.
        zeros: See `window_zeros`.
    """
    smooth = ndimage.median_filter(mesh.fill(zeros), 3, mode="nearest")
    return MeshImage(mesh, (smooth,), extrapolate=False)


def zero_level(
    values: Float32[np.ndarray, "ny nx"], window: float, whole: np.float32
) -> MeshImage:
    """Returns the zero level of an image in one piece.

    Args:
        values: Brightness above the background of the islands; NaN is blank.
        window: Side of a window, pixels, as for the noise.
        whole: Noise of the whole image, for one of about one window.
    """
    mesh = noise_mesh(values.shape, window)
    if mesh is None:
        mesh = Mesh(values.shape, max(values.shape))
        sigmas = np.full(mesh.grid, whole)
    else:
        sigmas = window_noises(mesh, values)
    return zero_image(mesh, window_zeros(mesh, values, sigmas))


def _modes(
    rows: Float[np.ndarray, "k n"], sigmas: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "k"]:
    """Returns the zero level of windows, of each from its finite pixels."""
    ordered = np.sort(rows, axis=1)
    places = np.arange(rows.shape[1])
    first, count = np.zeros(len(rows), int), np.full(len(rows), rows.shape[1])
    reach = (CLIP * sigmas).astype(rows.dtype)[:, None]
    for _ in range(ROUNDS):
        off = np.abs(ordered - _middles(ordered, first, count)[:, None])
        near = (off <= reach) & (places >= first[:, None])
        near &= places < (first + count)[:, None]
        left = count_in_rows(near)
        some = left > 0
        first[some], count[some] = near.argmax(axis=1)[some], left[some]
    lowest, highest = (_at(ordered, one)[:, None] for one in (first, first + count - 1))
    kept = (rows >= lowest) & (rows <= highest)
    means = [
        np.mean(row[own], dtype=np.float64) for row, own in zip(rows, kept, strict=True)
    ]
    middles = _middles(ordered, first, count).astype(np.float64)
    zeros = 3 * middles - 2 * np.array(means)
    return np.clip(zeros, -FARTHEST * sigmas, FARTHEST * sigmas)


def _middles(
    ordered: Float[np.ndarray, "k n"],
    first: Int[np.ndarray, "k"],
    count: Int[np.ndarray, "k"],
) -> Float[np.ndarray, "k"]:
    """Returns medians of parts of rows that are in order."""
    upper = _at(ordered, first + count // 2)
    lower = _at(ordered, first + (count - 1) // 2)
    return (lower + upper) / 2


def _at(
    ordered: Float[np.ndarray, "k n"], places: Int[np.ndarray, "k"]
) -> Float[np.ndarray, "k"]:
    return np.take_along_axis(ordered, places[:, None], 1)[:, 0]
