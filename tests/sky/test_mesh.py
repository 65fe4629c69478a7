"""Windows that cover an image, and interpolation between them."""

import numpy as np
import pytest

from claran.sky.mesh import Mesh


@pytest.mark.parametrize("shape", [(40, 90), (7, 31), (100, 5)])
@pytest.mark.parametrize("side", [1, 10, 40])
def test_windows_cover_the_image_and_overlap_by_half(shape, side):
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    mesh = Mesh(shape, side)
    windows = list(mesh.windows(values))
    assert len(windows) == np.prod(mesh.grid)
    assert {w.shape for w in windows} == {(min(side, shape[0]), min(side, shape[1]))}
    assert set(np.concatenate([w.ravel() for w in windows])) == set(values.ravel())
    starts = sorted({int(w[0, 0]) % shape[1] for w in windows})
    assert (np.diff(starts) <= max(1, round(side / 2))).all()


@pytest.mark.parametrize("extrapolate", [True, False])
def test_a_plane_is_a_plane(extrapolate):
    mesh, (y, x) = Mesh((60, 90), 20), np.indices((60, 90), float)
    plane = 3 + 0.5 * x - 0.2 * y
    levels = np.array([w.mean() for w in mesh.windows(plane)]).reshape(mesh.grid)
    found = mesh.interpolate(levels, extrapolate=extrapolate)
    assert found.shape == plane.shape and found.dtype == np.float32
    inner = np.s_[10:50, 10:80]
    np.testing.assert_allclose(found[inner], plane[inner], atol=1e-4)
    if extrapolate:
        np.testing.assert_allclose(found, plane, atol=1e-4)
    else:
        assert np.ptp(found[30, :9]) == 0 and found.max() <= levels.max()


def test_one_window_is_a_constant():
    assert (
        Mesh((5, 8), 20).interpolate(np.array([[4.0]]), extrapolate=True) == 4
    ).all()


def test_unknown_levels_are_those_of_the_nearest_window():
    mesh = Mesh((10, 100), 20)
    levels = np.full(mesh.grid, np.nan)
    levels[0, [1, 8]] = 5, 7
    assert mesh.fill(levels)[0].tolist() == [5, 5, 5, 5, 5, 7, 7, 7, 7]
    assert (mesh.fill(np.full(mesh.grid, np.nan)) == 0).all()
