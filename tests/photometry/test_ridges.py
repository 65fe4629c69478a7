import itertools

import numpy as np
import pytest

from claran.photometry.ridges import find_ridges


def slow_ridge(points, beam):
    """Length and parts of the longest cheapest way, by trying all ways."""
    longest = 0.0, (0,)
    for start, end in itertools.combinations(range(len(points)), 2):
        between = [i for i in range(len(points)) if i not in (start, end)]
        ways = []
        for size in range(len(between) + 1):
            for middle in itertools.permutations(between, size):
                way = (start, *middle, end)
                steps = [
                    float(np.hypot(*(points[a] - points[b])))
                    for a, b in itertools.pairwise(way)
                ]
                ways.append((sum(max(s, beam) ** 4 for s in steps), sum(steps), way))
        _, length, way = min(ways)
        longest = max(longest, (length, way))
    return longest


def ordered(ridges, start, stop):
    """The parts of a source along its ridge."""
    along = ridges.along[start:stop]
    passed = np.flatnonzero(~np.isnan(along))
    return tuple(passed[np.argsort(along[passed])].tolist())


def test_equals_the_best_of_all_ways(rng):
    counts = rng.integers(1, 6, 30)
    points = rng.uniform(0, 30, (counts.sum(), 2))
    ridges = find_ridges(points, counts, 4.0)
    stops = np.cumsum(counts)
    for i, (start, stop) in enumerate(zip(stops - counts, stops, strict=True)):
        length, way = slow_ridge(points[start:stop], 4.0)
        assert ridges.length[i] == pytest.approx(length)
        found = ordered(ridges, start, stop)
        assert found in (way, way[::-1])
        assert ridges.ends[i].tolist() == [start + found[0], start + found[-1]]
        inward = [found[min(1, len(found) - 1)], found[max(len(found) - 2, 0)]]
        assert ridges.inward[i].tolist() == [start + one for one in inward]


def test_bent_ridge_is_followed():
    turns = np.radians(np.linspace(0, 180, 13))
    points = 30 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    order = np.random.default_rng(0).permutation(13)
    ridges = find_ridges(points[order], np.array([13]), 3.0)
    assert ridges.length[0] == pytest.approx(30 * np.pi, rel=0.01)
    assert set(order[ridges.ends[0]]) == {0, 12}


def test_parts_within_a_beam_make_no_zigzag():
    points = np.array([[0, 0], [20, 0], [21, 1], [20.5, -1], [40, 0]])
    ridges = find_ridges(points, np.array([5]), 3.0)
    assert ridges.length[0] < 40.5


def test_no_sources():
    ridges = find_ridges(np.zeros((0, 2)), np.zeros(0, np.int64), 3.0)
    assert len(ridges.length) == len(ridges.along) == 0
