"""By how much sources too faint to be found add to the noise of a crowded image.

The noise of an image is measured such that sources do not raise it. In a deep image
with several faint sources in each window, what lifts a peak to five sigma is mostly
not noise but them. Their spread is on the positive side alone, so it is sought there.
"""

import numpy as np
from jaxtyping import Float

from claran.sky.background import SAMPLES
from claran.sky.medians import count_in_rows
from claran.sky.mesh import Mesh

__all__ = ["confusion", "window_spreads"]

FAINT = 5.0  # Spreads; brighter pixels are sources that are found.
FEWEST = 9  # Windows. A small image is often cut out around one large source.
# What sparse images reach: FIRST and VLASS 1.02, LoTSS at 144 MHz 1.07. The 560 MHz
# image of the first SKA data challenge, of 1,000 hours, has 1.5.
LEAST = 1.1
STEPS = 50


def window_spreads(
    mesh: Mesh,
    values: Float[np.ndarray, "h w"],
    sigmas: Float[np.ndarray, "rows columns"],
    zeros: Float[np.ndarray, "rows columns"],
    block: tuple[int, int, int, int] | None = None,
) -> Float[np.ndarray, "rows columns"]:
    """Returns the spread of positive pixels in units of the noise, for each window.

    It is the root mean square of the pixels above the zero level that are fainter than
    five times itself: 1 in noise alone. NaN where a window has no zero level.

    Args:
        mesh: The windows.
        values: The pixels of the block, without background.
        sigmas: Noise of the windows, from `claran.sky.noise.window_noises`.
        zeros: From `claran.sky.zero_levels.window_zeros`.
        block: See `Mesh.blocks`; None for all windows.
    """
    step = max(1, mesh.side // SAMPLES)
    found = np.full(sigmas.size, np.nan)
    for numbers, pixels in mesh.pixels_of_windows(
        values, block, step=step, chosen=np.isfinite(zeros)
    ):
        zero, sigma = (one.ravel()[numbers, None] for one in (zeros, sigmas))
        found[numbers] = _spreads((pixels - zero) / sigma)
    return found.reshape(sigmas.shape)


def confusion(spreads: Float[np.ndarray, "rows columns"]) -> float:
    """Returns the noise with confusion over that without, 1 in a sparse image.

    It is the median of all windows, so that single bright or large sources do not
    count.

    Args:
        spreads: See `window_spreads`.
    """
    known = spreads[np.isfinite(spreads)]
    if len(known) < FEWEST:
        return 1.0
    middle = float(np.median(known))
    return middle if middle > LEAST else 1.0


def _spreads(ratios: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k"]:
    """Returns the spread of each row. It grows from 1 until no pixel is added."""
    spreads, squares = np.ones(len(ratios)), ratios**2
    for _ in range(STEPS):
        near = (ratios > 0) & (ratios < FAINT * spreads[:, None])
        total = np.where(near, squares, 0).sum(axis=1)
        before = spreads
        spreads = np.sqrt(total / np.maximum(count_in_rows(near), 1)).clip(1)
        if (spreads <= before).all():
            break
    return spreads
