"""Where hosts can be: on sources of a few Gaussians whose host is plain to see."""

import numpy as np
import pytest

from claran.errors import ImageError
from claran.hosts.landmarks import find_landmarks
from claran.hosts.position_density import (
    WEIGHTS,
    HostDensity,
    host_densities,
    read_network,
)
from claran.sky.islands import find_islands

BEAM = 3.0
SIZE = 96


def image_of(*blobs, noise=0.3):
    """Returns signal-to-noise of round blobs of (x, y, peak) with the beam's width."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    image = np.random.default_rng(0).normal(0, noise, (SIZE, SIZE))
    for x, y, peak in blobs:
        square = (columns - x) ** 2 + (rows - y) ** 2
        image += peak * np.exp(-4 * np.log(2) * square / BEAM**2)
    return image.astype(np.float32)


def landmarks_of(image):
    islands = find_islands(image, 1.0, min_pixels=4)
    return find_landmarks(image, islands, range(len(islands)), BEAM)


def density_of(image):
    (density,) = host_densities([landmarks_of(image)])
    return density


DOUBLE = image_of((38, 42, 60), (58, 50, 55))
TRIPLE = image_of((28, 40, 40), (47, 49, 90), (70, 60, 45))
TAIL = image_of((30, 40, 80), (36, 41, 40), (44, 44, 20), (52, 50, 12), (57, 57, 9))
SINGLE = image_of((47.3, 50.8, 30))
SOURCES = {"double": DOUBLE, "triple": TRIPLE, "tail": TAIL, "single": SINGLE}
each_source = pytest.mark.parametrize("image", SOURCES.values(), ids=SOURCES)

# Maps of an image, and what each does to (x, y).
TURNS = {
    "turned": (np.rot90, lambda x, y: (y, SIZE - x)),
    "upside down": (lambda image: image[::-1], lambda x, y: (x, SIZE - y)),
    "mirrored": (lambda image: image[:, ::-1], lambda x, y: (SIZE - x, y)),
    "transposed": (lambda image: image.T, lambda x, y: (y, x)),
}


@each_source
@pytest.mark.parametrize("turn, move", TURNS.values(), ids=TURNS)
def test_turned_and_mirrored_sources_have_the_same_density(image, turn, move):
    before, after = density_of(image), density_of(np.ascontiguousarray(turn(image)))
    points = np.random.default_rng(1).uniform(20, 76, (50, 2))
    moved = np.array([move(x, y) for x, y in points])
    expected = before.logpdf(points)
    np.testing.assert_allclose(after.logpdf(moved), expected, rtol=0.01, atol=0.05)
    place = np.array(move(*before.best()[0]))
    np.testing.assert_allclose(after.best()[0], place, atol=0.05)


def test_source_turned_by_any_angle_has_the_same_place():
    sin, cos = np.sin(0.6), np.cos(0.6)
    axes = np.array([[cos, sin], [-sin, cos]])
    blobs = np.array([(28, 40, 40), (47, 49, 90), (70, 60, 45)], float)
    before = density_of(image_of(*blobs, noise=0.0)).best()
    blobs[:, :2] = (blobs[:, :2] - SIZE / 2) @ axes + SIZE / 2
    after = density_of(image_of(*blobs, noise=0.0)).best()
    expected = (before[0] - SIZE / 2) @ axes + SIZE / 2
    np.testing.assert_allclose(after[0], expected, atol=0.1 * BEAM)
    assert after[1] == pytest.approx(before[1], rel=0.2)


def test_density_integrates_to_one():
    density = density_of(TRIPLE)
    # The widest Gaussian, of the hosts that are at no landmark, reaches beyond.
    axis = np.arange(-50.0, 150.0)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    # Points with an error of a pixel smooth what is narrower than the grid.
    assert np.exp(density.logpdf(points, 1.0)).sum() == pytest.approx(1, abs=0.01)
    assert density.weights.sum() == pytest.approx(1)


def test_host_of_a_double_is_in_the_middle():
    density = density_of(DOUBLE)
    place, error = density.best()
    assert np.hypot(*(place - (48, 46))) < 0.5 * BEAM
    assert BEAM / 4 < error < 2 * BEAM
    assert (
        density.logpdf(np.array([place])) > density.logpdf(np.array([[48, 60]]))
    ).all()


def test_bright_core_is_the_host():
    place, error = density_of(TRIPLE).best()
    assert np.hypot(*(place - (47, 49))) < 0.3 * BEAM
    assert error < BEAM


def test_host_of_a_single_source_is_in_it():
    place, error = density_of(SINGLE).best()
    assert np.hypot(*(place - (47.3, 50.8))) < 0.2 * BEAM
    assert error < 0.5 * BEAM


def test_one_island_of_two_is_looked_at_alone():
    islands = find_islands(DOUBLE, 1.0, min_pixels=4)
    (alone,) = host_densities([find_landmarks(DOUBLE, islands, [0], BEAM)])
    assert np.hypot(*(alone.best()[0] - (38, 42))) < 0.5 * BEAM


def test_sources_side_by_side_have_the_densities_they_have_alone():
    together = host_densities([landmarks_of(image) for image in SOURCES.values()])
    for density, image in zip(together, SOURCES.values(), strict=True):
        alone = density_of(image)
        np.testing.assert_allclose(density.weights, alone.weights, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(density.means, alone.means, atol=1e-3)


def test_no_sources_have_no_densities():
    assert host_densities([]) == []


ROUND = HostDensity(np.ones(1), np.array([[3.0, 5.0]]), np.array([np.eye(2) * 4.0]))


def test_round_gaussian_has_its_error_and_levels():
    place, error = ROUND.best()
    np.testing.assert_allclose(place, [3, 5])
    assert error == pytest.approx(2, rel=0.03)
    assert ROUND.level(np.array([3.0, 5.0])) == 0
    # Half of a round Gaussian is within 1.177 sigma.
    assert ROUND.level(np.array([3 + 2 * 1.177, 5.0])) == pytest.approx(0.5, abs=0.03)


def test_errors_of_points_widen_the_density():
    point = np.array([[4.0, 5.0]])
    wider = HostDensity(ROUND.weights, ROUND.means, ROUND.covariances + 9 * np.eye(2))
    np.testing.assert_allclose(
        ROUND.logpdf(point, np.array([3.0])), wider.logpdf(point)
    )


def test_scaled_and_shifted_densities_move_with_their_points():
    density, points = density_of(TAIL), np.array([[30.0, 41.0], [50.0, 48.0]])
    moved = density.shifted(7, -2)
    np.testing.assert_allclose(
        moved.logpdf(points + np.array([7, -2])), density.logpdf(points)
    )
    in_arcsec = density.scaled(1.8)
    expected = density.logpdf(points) - 2 * np.log(1.8)
    np.testing.assert_allclose(in_arcsec.logpdf(points * 1.8), expected)
    assert in_arcsec.best()[1] == pytest.approx(1.8 * density.best()[1])


def test_weights_that_come_with_claran_are_small_and_finite():
    assert WEIGHTS.stat().st_size < 300_000
    assert all(np.isfinite(array).all() for array in read_network().values())


def test_damaged_weights_are_named(tmp_path):
    path = tmp_path / "host_position.npz"
    path.write_bytes(b"PK no weights")
    with pytest.raises(ImageError, match=r"host_position\.npz: cannot read .* again"):
        read_network(path)
    with pytest.raises(ImageError, match=r"host_position\.npz: cannot read .* again"):
        read_network(tmp_path / "missing" / "host_position.npz")
