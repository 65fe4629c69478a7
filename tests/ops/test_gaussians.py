"""Fits of Gaussians, against SciPy and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from claran.ops.gaussians import Pixels, fit_gaussians

SIDE, LANES = 8, 16


def model(row, u, v):
    height, x, y, a, b, c = row
    du, dv = u - x, v - y
    return height * np.exp(-(a * du**2 + 2 * b * du * dv + c * dv**2) / 2)


def problems(rng, gaussians, side=SIDE):
    """Returns the arguments of a call with random sources in noise, and the truth."""
    grid = np.arange(side) - (side - 1) / 2
    u, v = (g.ravel() for g in np.meshgrid(grid, grid))
    truth = np.zeros((gaussians, 6, LANES))
    truth[:, 0] = rng.uniform(20, 60, (gaussians, LANES))
    apart = 4 * (np.arange(gaussians) - (gaussians - 1) / 2)
    truth[:, 1] = apart[:, None] + rng.uniform(-0.5, 0.5, (gaussians, LANES))
    truth[:, 2] = rng.uniform(-0.5, 0.5, (gaussians, LANES))
    truth[:, [3, 5]] = rng.uniform(0.5, 1.0, (gaussians, 2, LANES))
    truth[:, 4] = rng.uniform(-0.2, 0.2, (gaussians, LANES))
    data = rng.normal(size=(len(u), LANES))
    for lane in range(LANES):
        data[:, lane] += sum(model(row, u, v) for row in truth[:, :, lane])
    start = truth.copy()
    start[:, 0] *= 0.8
    start[:, 1:3] = np.rint(start[:, 1:3])
    start[:, 3:] = np.array([1, 0, 1])[:, None]
    shape = data.shape
    pixels = Pixels(
        *(np.broadcast_to(c[:, None], shape).astype(np.float32) for c in (u, v)),
        data.astype(np.float32), rng.uniform(0.5, 1, shape).astype(np.float32),
    )  # fmt: skip
    free = np.ones(start.shape, bool)
    return pixels, start.astype(np.float32), free, truth


@pytest.mark.parametrize("gaussians", [1, 2])
def test_fits_equal_those_of_scipy(rng, gaussians):
    pixels, start, free, _ = problems(rng, gaussians, side=8 if gaussians == 1 else 12)
    found = fit_gaussians(pixels, start, free)
    assert np.asarray(found.converged).all()
    for lane in range(4):
        u, v, data, weight = (part[:, lane].astype(float) for part in pixels)

        def residual(x, u=u, v=v, data=data, weight=weight):
            rows = x.reshape(gaussians, 6)
            return (data - sum(model(row, u, v) for row in rows)) * weight

        best = least_squares(residual, start[:, :, lane].ravel().astype(float))
        assert found.chi2[lane] == pytest.approx(2 * best.cost, rel=1e-3)
        error = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))
        ours = np.asarray(found.parameters)[:, :, lane].ravel()
        assert (np.abs(ours - best.x) < 0.1 * error).all()
        joint = np.asarray(found.joint)[:, :, lane].ravel()
        np.testing.assert_allclose(np.sqrt(joint), error, rtol=0.03)
        np.testing.assert_allclose(
            np.asarray(found.residual)[:, lane], residual(ours), atol=1e-3
        )


def test_fits_do_not_depend_on_their_neighbors(rng):
    pixels, start, free, _ = problems(rng, 2, side=12)
    found = fit_gaussians(pixels, start, free)
    order = rng.permutation(LANES)
    other = np.arange(LANES) < 5  # The others are replaced by nothing.
    mixed = Pixels(*(part[:, order] * other for part in pixels))
    moved = fit_gaussians(mixed, start[..., order], free[..., order])
    for first, second in zip(found, moved, strict=True):
        kept = np.asarray(first)[..., order[other]]
        assert kept.tobytes() == np.asarray(second)[..., other].tobytes()


def alone(lane, pixels, *others):
    return Pixels(*(p[..., [lane]] for p in pixels)), *(o[..., [lane]] for o in others)


def test_a_fit_alone_equals_that_in_lanes(rng):
    pixels, start, free, _ = problems(rng, 2, side=12)
    together = fit_gaussians(pixels, start, free)
    for lane in 0, 7:
        found = fit_gaussians(*alone(lane, pixels, start, free))
        for one, several in zip(found, together, strict=True):
            expected = np.asarray(several)[..., lane]
            np.testing.assert_allclose(one[..., 0], expected, rtol=2e-3, atol=2e-3)


def test_equal_gaussians_have_a_finite_fit(rng):
    pixels, start, free, _ = problems(rng, 2, side=12)
    start[1] = start[0]
    found = fit_gaussians(*alone(0, pixels, start, free))
    assert all(np.isfinite(part).all() for part in found)
    before = pixels.data[:, 0] * pixels.weight[:, 0]
    assert found.chi2[0] < (before**2).sum()


def test_fixed_parameters_stay(rng):
    pixels, start, free, _ = problems(rng, 1)
    free[:, 3:] = False
    found = fit_gaussians(pixels, start, free)
    assert (np.asarray(found.parameters)[:, 3:] == start[:, 3:]).all()
    assert (np.asarray(found.joint)[:, 3:] == 0).all()
    assert (np.asarray(found.joint)[:, :3] > 0).all()


def test_what_is_not_there_stays_away(rng):
    pixels, start, free, _ = problems(rng, 1)
    nothing = np.zeros_like(start)
    nothing[:, [3, 5]] = 1
    pair = np.concatenate([start, nothing])
    found = fit_gaussians(pixels, pair, np.concatenate([free, free & False]))
    assert (np.asarray(found.parameters)[1] == nothing[0]).all()
    assert (np.asarray(found.joint)[1] == 0).all()
    alone = fit_gaussians(pixels, start, free)
    np.testing.assert_allclose(found.chi2, alone.chi2, rtol=1e-4)


def test_neighbors_cost_certainty(rng):
    pixels, start, free, _ = problems(rng, 2, side=12)
    near = start.copy()
    near[:, 1] = np.array([[-0.6], [0.6]])
    for place, low, high in (start, 0.99, 1.3), (near, 1.3, np.inf):
        found = fit_gaussians(pixels, place, free & (np.arange(6) < 1)[:, None])
        ratio = np.asarray(found.joint / found.alone)[:, 0]
        assert (ratio > low).all() and (ratio < high).all()


def test_limits_hold_for_noise(rng):
    pixels, start, free, _ = problems(rng, 1)
    noise = pixels._replace(data=rng.normal(size=pixels.data.shape).astype(np.float32))
    parameters = np.asarray(fit_gaussians(noise, start, free).parameters)[0]
    assert np.isfinite(parameters).all() and (parameters[0] > 0).all()
    assert (np.hypot(*(parameters[1:3] - start[0, 1:3])) < 1.51).all()
    sizes = np.linalg.eigvalsh(parameters[[3, 4, 4, 5]].T.reshape(-1, 2, 2))
    assert (sizes > 1 / 145).all() and (sizes < 4.01).all()


def test_eager_equals_compiled(rng):
    pixels, start, free, _ = problems(rng, 1)
    compiled = fit_gaussians(pixels, start, free)
    arrays = jax.tree.map(jnp.asarray, (pixels, start, free))
    with jax.disable_jit():
        eager = fit_gaussians(*arrays)
    np.testing.assert_allclose(
        compiled.parameters, eager.parameters, rtol=2e-3, atol=1e-3
    )
