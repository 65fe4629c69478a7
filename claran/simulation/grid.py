"""The pixel grid of a field, and sums of separable spots on it."""

import numpy as np

from claran.simulation.observation import Survey

__all__ = ["pixel_axis", "sum_products"]

# OpenBLAS starts its threads from 2**18 products. For matrices as small as ours they
# only wait: with another process on the same two cores a field took 20 ms, not 5.
_UNTHREADED = 2**18


def pixel_axis(survey: Survey, size: int | None = None) -> np.ndarray:
    """Returns the centres of pixels along an axis, (size,) float32, arcsec.

    >>> pixel_axis(Survey(pixel_arcsec=2.0), size=3).tolist()
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
    step = max(1, (_UNTHREADED - 1) // (len(rows) * len(columns)))
    total = rows[:, :step] @ columns[:, :step].T
    for start in range(step, rows.shape[1], step):
        part = slice(start, start + step)
        total += rows[:, part] @ columns[:, part].T
    return total
