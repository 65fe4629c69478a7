import itertools
import json

import numpy as np
import pytest

from claran.sky import contours as radio
from claran.sky.images import read_sky_image
from claran.sky.noise import noise


def gaussian(ny, nx, x, y, width=2.0):
    """A source of peak one whose center is at `(x, y)`, in pixel edges."""
    rows, columns = np.mgrid[:ny, :nx] + 0.5
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))


def test_log_minmax():
    values = np.array([[-1.0, 0.0, 3.0, np.nan, np.inf]], np.float32)
    expected = [0, np.log(251) / np.log(1001), 1, np.nan, np.nan]
    np.testing.assert_allclose(radio.log_minmax(values)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("fill, expected", [(7.0, 0.0), (np.nan, np.nan)])
def test_log_minmax_of_a_constant(fill, expected):
    np.testing.assert_array_equal(radio.log_minmax(np.full((2, 3), fill)), expected)


def test_levels():
    levels = radio.contour_levels(0.5, start=4.0, ratio=3.0, count=3)
    assert levels.tolist() == [2.0, 6.0, 18.0]
    assert len(radio.contour_levels(1.0)) == 14


@pytest.mark.parametrize(
    "sigma, start, ratio",
    [(0.0, 5.0, 2.0), (np.nan, 5.0, 2.0), (1.0, 0.0, 2.0), (1.0, 5.0, 1.0)],
)
def test_refuses_levels(sigma, start, ratio):
    with pytest.raises(ValueError, match="must be above 0 and `ratio` above 1, got"):
        radio.contour_levels(sigma, start=start, ratio=ratio)


@pytest.mark.parametrize("levels", [[1.0, 1.0], [2.0, 1.0], [1.0, np.nan]])
def test_refuses_levels_that_do_not_increase(levels):
    with pytest.raises(ValueError, match="`levels` must increase, got"):
        radio.contours(np.eye(3), np.array(levels))


def test_frame_of_contours():
    values = gaussian(30, 40, x=25.0, y=10.0)
    (component,) = radio.contours(values, np.array([0.25, 0.5, 1.1]))
    assert component.levels == (0, 1)
    for line, level in zip(component.lines, (0.25, 0.5), strict=True):
        np.testing.assert_array_equal(line[0], line[-1])
        distance = np.hypot(*(line - [25.0, 10.0]).T)
        expected = 2.0 * np.sqrt(-2 * np.log(level))
        np.testing.assert_allclose(distance, expected, atol=0.06)
    radius = 2.0 * np.sqrt(2 * np.log(4))
    expected = 25 - radius, 10 - radius, 25 + radius, 10 + radius
    assert component.bbox == pytest.approx(expected, abs=0.06)


def test_components_and_their_lines():
    values = gaussian(30, 60, 15, 15) + 0.6 * gaussian(30, 60, 40, 15)
    components = radio.contours(values, np.array([0.3, 0.5, 0.9]))
    assert sorted(c.levels for c in components) == [(0, 1), (0, 1, 2)]


def test_min_extent():
    values = gaussian(30, 60, 15, 15, width=3.0) + gaussian(30, 60, 40, 15, width=1.0)
    levels = np.array([0.5])
    # Diagonals: sqrt(2) * 2.355 * width.
    assert len(radio.contours(values, levels, min_extent=3.0)) == 2
    assert len(radio.contours(values, levels, min_extent=4.0)) == 1
    assert len(radio.contours(values, levels, min_extent=11.0)) == 0


@pytest.mark.parametrize("blank", [np.nan, np.inf])
def test_lines_stay_open_at_blank_pixels_and_edges(blank):
    values = gaussian(30, 30, 0.0, 15.0) + gaussian(30, 30, 20.0, 15.0)
    values[:, 20:] = blank
    components = radio.contours(values, np.array([0.1, 0.4]))
    assert len(components) == 2
    for component in components:
        line = component.lines[0]
        assert (line[0] != line[-1]).any() and np.isfinite(line).all()
    assert max(c.bbox[2] for c in components) == 19.5  # Center of the last good column.


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.zeros((9, 9)), id="below"),
        pytest.param(np.full((9, 9), np.nan), id="blank"),
        pytest.param(np.full((1, 9), 7.0), id="one row"),
        pytest.param(np.full((9, 9), 7.0), id="above"),
    ],
)
def test_no_contours(values):
    assert radio.contours(values, np.array([1.0, 2.0])) == ()


def slow_crossings(values, level):
    """All points where a contour crosses a grid line between two pixel centers."""
    ny, nx = values.shape
    points = []
    for y in range(ny):
        for x in range(nx):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < ny and x + dx < nx:
                    a, b = values[y, x] - level, values[y + dy, x + dx] - level
                    if (a > 0) != (b > 0):
                        t = a / (a - b)
                        points.append((x + t * dx + 0.5, y + t * dy + 0.5))
    return points


def test_against_loop(rng):
    values = rng.normal(size=(12, 15))
    components = radio.contours(values, np.array([0.8]))
    points = np.concatenate([line for c in components for line in c.lines])
    centers = points - 0.5
    on_grid = points[(np.abs(centers - np.rint(centers)) < 1e-12).any(axis=1)]
    expected = slow_crossings(values, 0.8)
    found = {tuple(point) for point in on_grid.round(9).tolist()}
    assert found == {tuple(point) for point in np.round(expected, 9).tolist()}


def golden_lines(folder, name):
    """Components of the original, in our frame: a list of (level index, points)."""
    content = json.loads((folder / f"{name}.json").read_text())
    # Theirs: rows from the top, the center of the first pixel at (1, 1).
    to_ours = lambda line: np.array(line) * [1, -1] + [-0.5, content["height"] + 0.5]
    return [
        [(line["k"], to_ours(line["arr"])) for line in component]
        for component in content["components"]
    ]


def same_points(a, b):
    distance = np.abs(a[:, None] - b[None]).max(axis=-1)
    return max(distance.min(axis=0).max(), distance.min(axis=1).max()) < 1e-3


@pytest.mark.parametrize(
    "golden, index, sigma_level",
    [("shipped", 1, 5), *itertools.product(["full"], range(4), [4, 5])],
    indirect=["golden"],
)
def test_golden_contours(golden, index, sigma_level):
    folder = golden / "fuse"
    image = read_sky_image(folder / f"FIRSTJ{index}.fits")
    sigma = noise(image.values)
    with np.load(folder / "expected.npz") as expected:
        assert sigma == pytest.approx(float(expected[f"sigma_{index}"]), rel=1e-12)
    found = radio.contours(
        image.values, radio.contour_levels(sigma, start=float(sigma_level))
    )
    expected = golden_lines(folder, f"FIRSTJ{index}_contours_sigma{sigma_level}")
    expected = [_tidy(component, np.isnan(image.values)) for component in expected]
    expected = [component for component in expected if component]
    assert len(found) == len(expected)
    for component in expected:
        (match,) = (c for c in found if same_points(c.lines[0], component[0][1]))
        assert sorted(match.levels) == [level for level, _ in component]
        for level, line in component:
            assert any(
                k == level and same_points(ours, line)
                for k, ours in zip(match.levels, match.lines, strict=True)
            )


def _tidy(component, blank):
    """Returns a component without two by-products of the original's tracing.

    It joins points closer than 1e-5 px and leaves the rest as a line of that length;
    and it takes a blank corner, and the middle of such a cell, to be on every level.
    """
    cells = np.zeros(blank.shape, bool)
    for dy in (0, 1):
        for dx in (0, 1):
            cells[:-1, :-1] |= blank[dy:, dx:][
                : blank.shape[0] - 1, : blank.shape[1] - 1
            ]
    lines = []
    for level, points in component:
        column, row = np.floor(points - 0.5).astype(int).T
        inside = (points - 0.5) % 1 > 0
        bad = cells[row.clip(0), column.clip(0)] & inside.all(axis=1)
        corner = blank[row.clip(0), column.clip(0)] & ~inside.any(axis=1)
        good = points[~bad & ~corner]
        if len(good) and np.ptp(good, axis=0).max() > 1e-4:
            lines.append((level, good))
    return lines
