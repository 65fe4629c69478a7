"""Seeds of blends."""

import numpy as np
import pytest

from claran.photometry.seeds import find_seeds, split_seeds

SIGMAS = np.eye(2) / 1.27


@pytest.mark.parametrize(
    "row, columns",
    [
        pytest.param([4, 9, 5, 8, 4], [1, 3], id="deep"),
        pytest.param([4, 9, 7, 8, 4], [1], id="shallow"),
        pytest.param([4, 100, 94, 99, 4], [1, 3], id="bright"),
        pytest.param([4, 100, 95.5, 99, 4], [1], id="bright and shallow"),
        pytest.param([9, 9, 9, 9, 9], [0], id="flat"),
        pytest.param([3.5, 3.6, 3.5, 3.2, 3.1], [1], id="faint"),
        pytest.param([4, 9, 8.5] + [8] * 8 + [8.5, 8.6], [1, 12], id="distant"),
    ],
)
def test_seeds(row, columns):
    ratio = np.zeros((3, len(row)), np.float32)
    ratio[1] = row
    found = find_seeds(ratio, ratio > 3, SIGMAS)
    assert found.tolist() == [[1, column] for column in columns]


def test_seeds_lie_in_their_island():
    ratio = np.array([[9, 4, 4, 4, 50]], np.float32)
    inside = np.array([[True, True, True, False, False]])
    assert find_seeds(ratio, inside, SIGMAS).tolist() == [[0, 0]]


def test_split_seeds(rng):
    seeds = rng.uniform(0, 50, (30, 2))
    groups = split_seeds(seeds, 8)
    assert sorted(np.concatenate(groups).tolist()) == list(range(30))
    assert max(map(len, groups)) <= 8 and groups[0][0] == 0
    assert [g.tolist() for g in split_seeds(seeds[:8], 8)] == [list(range(8))]
