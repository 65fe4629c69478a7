from typing import Any

import contourpy
import numpy as np
import pytest

from claran import read_field
from claran.sky import peak_counts
from claran.sky.islands import LEVEL_RATIO, THRESHOLD, find_all_peaks, find_islands
from claran.sky.peak_counts import GRIDS, count_peaks, leaf_counts

RGZ_BEAM = 5.4 / 1.375


def counts(image, *, beam, min_pixels=4):
    islands = find_islands(image, 1.0, min_pixels=min_pixels)
    own = find_all_peaks(image, islands, 1.0).counts(len(islands))
    return own, count_peaks(image, islands, own, beam=beam)


def gaussians(size, *places, beam=3.0):
    """Point sources `(x, y, peak)`."""
    y, x = np.mgrid[:size, :size]
    sigma = beam / 2.3548
    each = [
        peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))
        for x0, y0, peak in places
    ]
    return np.sum(each, axis=0)


def drawn_leaves(grid):
    """Leaves of contours that contourpy draws through four triangles a square."""
    drawing = contourpy.contour_generator(z=grid, name="serial", quad_as_tri=True)
    levels = THRESHOLD * LEVEL_RATIO ** np.arange(14)
    outer = [
        [line for line in drawing.lines(level) if area(line) > 0] for level in levels
    ]
    above = [*outer[1:], []]
    return sum(
        not any(contains(line, inner[0]) for inner in inside)
        for lines, inside in zip(outer, above, strict=True)
        for line in lines
    )


def area(line):
    """The area in a closed line; negative if it goes around a hole."""
    x, y = line.T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def contains(line, point):
    """Whether a point is inside a closed line, by the crossings of a ray."""
    (x0, y0), (x1, y1) = line[:-1].T, line[1:].T
    crosses = (y0 > point[1]) != (y1 > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (point[1] - y0) / (y1 - y0) * (x1 - x0)
    return (crosses & (point[0] < at)).sum() % 2 == 1


@pytest.mark.parametrize("seed", range(4))
def test_leaves_are_those_of_drawn_contours(seed):
    """Of a surface with dozens of peaks, saddles and holes."""
    rng = np.random.default_rng(seed)
    grids = np.zeros((2, 40, 31))
    grids[:, 1:-1, 1:-1] = np.exp(rng.normal(2.0, 1.5, (2, 38, 29)))
    found = leaf_counts(grids)
    assert found.min() > 30
    assert found.tolist() == [drawn_leaves(grid) for grid in grids]


def test_equal_pixels_are_one_leaf():
    grids = np.zeros((2, 9, 9))
    grids[0, 3:6, 3:6] = 20.0
    grids[1, 2, 2] = grids[1, 3, 3] = (
        20.0  # Their mean, 10, is above two contours less.
    )
    assert leaf_counts(grids).tolist() == [1, 2]
    assert leaf_counts(np.zeros((2, 9, 9))).tolist() == [0, 0]


def test_contours_of_radio_galaxy_zoo(real_data):
    """Its own file for this subject has two components with three leaves."""
    path = real_data / "rgz_subject_fits" / "FIRSTJ124646.7+224554.fits"
    image: Any = read_field(path).image
    lowest = 0.847e-3  # Jy/beam.
    _, found = counts(image.values / lowest * THRESHOLD, beam=RGZ_BEAM)
    assert sorted(found[found.sum(axis=1) > GRIDS, 1].tolist()) == [2]


def test_clear_peaks_are_counted_in_all_grids():
    image = gaussians(60, (12, 12, 50), (16.5, 12, 60), (40, 41, 300), (44.4, 15.2, 8))
    own, found = counts(image, beam=3.0)
    assert own.tolist() == [2, 1, 1]
    np.testing.assert_array_equal(found, np.repeat(own[:, None], GRIDS, axis=1))


def test_where_the_grid_decides_counts_differ():
    """Two sources three pixels apart, whose saddle is near a contour."""
    differ = 0
    for peak in np.linspace(20, 60, 41):
        _, found = counts(
            gaussians(40, (18.3, 20.1, peak), (21.9, 20.1, peak)), beam=3.0
        )
        assert set(found.ravel()) <= {1, 2}
        differ += len(set(found.ravel())) > 1
    assert differ >= 3


def test_other_islands_and_blank_pixels_beside_it_do_not_count():
    image = gaussians(60, (20, 20, 50), (26, 20, 55))
    alone = gaussians(60, (20, 20, 50))
    image[:, 23] = np.nan  # Apart, but within the margin of each other.
    own, found = counts(image, beam=3.0)
    assert own.tolist() == [1, 1]
    assert (found == 1).all() and (counts(alone, beam=3.0)[1] == 1).all()


@pytest.mark.parametrize("beam", [0.5, 2.0, 5.0, 9.0])
def test_of_any_beam_and_at_the_edge(beam):
    image = gaussians(50, (0, 0, 90), (49, 30, 90), (25, 25, 90), beam=max(beam, 1.0))
    own, found = counts(image, beam=beam, min_pixels=1)
    assert own.tolist() == [1, 1, 1] and (found == 1).all()


def test_counts_do_not_depend_on_the_cutout(rng):
    image = np.exp(rng.normal(1.0, 1.5, (60, 60)))
    image = np.where(np.hypot(*(np.mgrid[:60, :60] - 30)) < 20, image, 0.0)
    _, found = counts(image, beam=3.0)
    _, part = counts(image[5:56, 4:55], beam=3.0)
    assert (found.min(axis=1) < found.max(axis=1)).any()
    # Islands of a part may be in another order.
    assert sorted(found.tolist()) == sorted(part.tolist())


def test_islands_that_are_large_or_have_many_peaks_keep_their_own_counts(monkeypatch):
    image = gaussians(40, *((4 + 4.5 * i, 20.3, 60) for i in range(4)))
    assert (counts(image, beam=3.0)[1][:, 1:] != 9).all()
    islands = find_islands(image, 1.0, min_pixels=4)
    for limit, given in ((2**20, 12), (200, 9)):
        monkeypatch.setattr(peak_counts, "LARGE", limit)
        own = np.array([given])
        assert (count_peaks(image, islands, own, beam=3.0) == given).all()


def test_without_islands():
    assert counts(np.zeros((9, 9)), beam=3.0)[1].shape == (0, GRIDS)
