"""Shapes of islands, against NumPy and against Gaussians that are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from claran.ops.island_shapes import IslandShapes, island_shapes, looks_from

ROWS, COLUMNS = 60, 90


def gaussian(x, y, *, long, short, degrees, peak=100.0):
    """Returns the image of an elongated Gaussian above 5; angle from x toward y."""
    columns, rows = np.meshgrid(np.arange(COLUMNS) + 0.5 - x, np.arange(ROWS) + 0.5 - y)
    angle = np.radians(degrees)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    image = peak * np.exp(-((along / long) ** 2 + (across / short) ** 2) / 2)
    return np.where(image > 5, image, 0).astype(np.float32)


def box_of(image):
    rows, columns = np.nonzero(image)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def measured(*images):
    """Returns the shapes of images with one island each, in one more slot."""
    boxes = [*map(box_of, images), [0, 0, 0, 0]]
    return island_shapes(jnp.array(sum(images)), jnp.float32(boxes))


def test_moments_are_those_of_the_pixels():
    image = gaussian(31.3, 20.8, long=6, short=2, degrees=30)
    shapes = measured(image)
    rows, columns = np.nonzero(image)
    weight = image[rows, columns].astype(float)
    points = np.stack([columns, rows], axis=1) + 0.5
    center = np.average(points, axis=0, weights=weight)
    xx, xy, _, yy = np.cov(points.T, aweights=weight, ddof=0).ravel()
    assert float(shapes.flux[0]) == pytest.approx(weight.sum(), rel=1e-5)
    assert float(shapes.brightness[0]) == pytest.approx(
        (weight**2).sum() / weight.sum(), rel=1e-5
    )
    np.testing.assert_allclose(shapes.centers[0], center, atol=1e-3)
    np.testing.assert_allclose(shapes.covariances[0], [xx, yy, xy], rtol=1e-4)
    np.testing.assert_allclose(shapes.shifts[0], 0, atol=0.05)  # It is symmetric.
    for values in shapes:  # Of an empty slot.
        assert np.isfinite(values).all() and not np.asarray(values[1]).any()


def test_the_bright_end_of_an_island():
    faint = gaussian(30, 20, long=8, short=2, degrees=0, peak=50)
    bright = gaussian(40, 20, long=2, short=2, degrees=0, peak=200)
    (x, y), _ = measured(faint + bright).shifts.tolist()
    assert 1 < x < 10 and abs(y) < 0.05


def test_it_does_not_matter_where_in_a_large_image_an_island_is():
    image = gaussian(31.3, 20.8, long=6, short=2, degrees=30)
    large = np.zeros((ROWS + 3000, COLUMNS + 5000), np.float32)
    large[3000:, 5000:] = image
    moved = island_shapes(jnp.array(large), jnp.float32([box_of(large)]))
    own = measured(image)
    np.testing.assert_allclose(moved.covariances[0], own.covariances[0], rtol=1e-4)
    np.testing.assert_allclose(
        moved.centers[0], own.centers[0] + jnp.array([5000, 3000])
    )


@pytest.mark.parametrize("degrees", [0, 37, 90, 145])
def test_lobes_point_at_the_middle_and_a_neighbor_across(degrees):
    angle = np.radians(degrees)
    lobes = [
        gaussian(
            45 + sign * 14 * np.cos(angle), 30 + sign * 14 * np.sin(angle),
            long=3, short=1.3, degrees=degrees,
        )
        for sign in (-1, 1)
    ]  # fmt: skip
    across = np.radians(degrees + 90)
    other = gaussian(
        45 + 14 * np.cos(across), 30 + 14 * np.sin(across),
        long=3, short=1.3, degrees=degrees,
    )  # fmt: skip
    shapes = measured(*lobes, other)
    pair = jnp.float32([[1, 1, 0, 0], [1, 0, 0, 0]])
    looks = np.asarray(looks_from(pair, shapes))
    far, weight, stretch, outward = looks[0, :3].T
    np.testing.assert_allclose(far, np.log1p(14) / 3, atol=0.01)
    assert (weight > 0.9).all() and np.abs(outward).max() < 0.1
    assert (stretch[:2] > 1).all() and stretch[2] < -1
    np.testing.assert_allclose(looks[1, 0], 0, atol=0.01)  # It is its own middle.
    assert np.isfinite(looks).all()


def test_empty_slots_and_groups_are_finite():
    empty = IslandShapes(*(jnp.zeros(s) for s in [(3,), (3,), (3, 2), (3, 3), (3, 2)]))
    assert np.isfinite(looks_from(jnp.zeros((2, 3)), empty)).all()
