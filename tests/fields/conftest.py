"""Small fields that the tests of the input pipeline share."""

import dataclasses

import numpy as np
import pytest

from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.sky.images import SkyImage

SIGMA = 1.7  # Pixels: a beam of 4.


@pytest.fixture(scope="session")  # Hypothesis runs many examples on one.
def make_field():
    """Returns a function from sources, each a list of (x, y), to a field."""
    return field


@pytest.fixture(scope="session")
def make_objects():
    """Returns a function from boxes to objects of the classes 1, 2 ..."""
    return objects


@pytest.fixture(scope="session")
def with_values():
    """Returns a function that gives a field other pixels, and its noise of before."""

    def change(field, values):
        image = dataclasses.replace(field.image, values=values.astype(np.float32))
        return field.replace(image=image, noise=field.noise)

    return change


@pytest.fixture
def count_calls(monkeypatch):
    """Returns a function that counts the calls of a function in a module."""

    def count(module, name):
        calls, function = [], getattr(module, name)

        def counted(*arguments, **options):
            calls.append(arguments)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counted)
        return calls

    return count


def objects(boxes, **columns):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    columns = {
        "labels": np.arange(1, len(boxes) + 1, dtype=np.int32),
        "ignored": np.zeros(len(boxes), bool),
    } | columns
    return Objects(boxes=boxes, **columns)


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
    image = SkyImage(
        values=radio.astype(np.float32), pixel_arcsec=1.0, beam=(4.0, 4.0, 0.0)
    )
    return Field(
        f"field{seed}",
        image=image,
        picture=picture if infrared else None,
        objects=objects(boxes),
        noise=noise,
    )
