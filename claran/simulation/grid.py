"""The pixel grid of a field, and sums of separable Gaussians on it."""

import numpy as np

from claran.simulation.observation import SimulatedSurvey

__all__ = ["pixel_axis", "sum_products"]

# OpenBLAS uses several threads from 2**18 products on. For matrices as small as ours
# that costs time: with another process on the same two cores a field took 20 ms, not 5.
_MIN_THREADED = 2**18


def pixel_axis(survey: SimulatedSurvey, size: int | None = None) -> np.ndarray:
    """Returns the pixel centers along an axis, (size,) float32, arcsec from its middle.

    >>> pixel_axis(SimulatedSurvey(pixel_arcsec=2.0), size=3).tolist()
    [-2.0, 0.0, 2.0]
    """
    size = size or survey.size
    pixels = np.arange(size, dtype=np.float32)
    return (pixels - (size - 1) / 2) * np.float32(survey.pixel_arcsec)


def sum_products(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns `rows @ columns.T`, (h, w), for (h, n) and (w, n), on one thread.

    >>> sum_products(np.ones((2, 3)), np.ones((1, 3))).tolist()
    [[3.0], [3.0]]
    """
    step = max(1, (_MIN_THREADED - 1) // (len(rows) * len(columns)))
    total = rows[:, :step] @ columns[:, :step].T
    for start in range(step, rows.shape[1], step):
        part = slice(start, start + step)
        total += rows[:, part] @ columns[:, part].T
    return total
