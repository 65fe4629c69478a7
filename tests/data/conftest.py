import numpy as np
import pytest


@pytest.fixture
def contrast():
    """Measures mean brightness inside all boxes over that outside."""

    def measure(values, boxes) -> float:
        inside = np.zeros(values.shape, bool)
        for x0, y0, x1, y1 in np.asarray(boxes).round().astype(int).clip(0):
            inside[y0:y1, x0:x1] = True
        inner, outer = values[inside], np.abs(values[~inside])
        return float(np.nanmean(inner) / np.nanmean(outer))

    return measure
