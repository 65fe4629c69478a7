"""Small fields that the tests of the input pipeline share."""

import numpy as np
import pytest

SIGMA = 1.7  # Pixels: a beam of 4.


@pytest.fixture(scope="session")  # Hypothesis runs many examples on one.
def make_field():
    """Returns a function from sources, each a list of (x, y), to a field."""
    return field


def field(*sources, shape=(64, 64), flux=50.0, noise=1.0, infrared=True, seed=0):
    """Returns a field whose boxes are those of the rule; point sources of one flux."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    y, x = np.mgrid[:ny, :nx] + 0.5
    radio = np.zeros(shape)
    boxes = []
    for spots in sources:
        alone = np.zeros(shape)
        for x0, y0 in spots:
            distance = ((x - x0) ** 2 + (y - y0) ** 2) / SIGMA**2
            alone += flux * noise * np.exp(-distance / 2)
        rows, columns = np.nonzero(alone > 9 / 3**0.5 * noise)
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        radio += alone
    # Weak enough to leave the islands alone.
    radio += rng.normal(0, 1e-3 * noise, shape)
    picture = rng.integers(0, 256, (2 * ny, 2 * nx, 3), dtype=np.uint8)
    return {
        "name": f"field{seed}",
        "radio": radio.astype(np.float32),
        "noise": noise,
        "beam": 4.0,
        "infrared": picture if infrared else None,
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.arange(1, len(sources) + 1, dtype=np.int32),
        "ignored": np.zeros(len(sources), bool),
    }
