"""Medians of rows against NumPy's."""

import numpy as np
import pytest

from claran.sky.medians import count_in_rows, row_medians

KINDS = {
    "noise": lambda noise: noise,
    "offset": lambda noise: noise * 1e-6 + 1,
    "skewed": lambda noise: np.abs(noise) ** 3,
    "sources": lambda noise: noise + np.where(noise > 1, 1e6, 0),
    "integers": lambda noise: np.round(3 * noise),
    "mostly one value": lambda noise: np.where(noise > 1, noise, 0),
    "sorted": lambda noise: np.sort(noise, axis=1),
    "huge": lambda noise: 3e38 * np.sign(noise),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 7, 1001, 1156, 10_001])
def test_medians_are_those_of_numpy(rng, kind, count):
    noise = rng.normal(size=(7, count)).astype(np.float32)
    rows = KINDS[kind](noise).astype(np.float32)
    found = row_medians(rows)
    ordered = np.sort(rows, axis=1)
    with np.errstate(over="ignore"):
        expected = (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
    if count % 2:
        expected = ordered[:, count // 2]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    alone = [row_medians(row[None])[0] for row in rows]
    np.testing.assert_array_equal(found, alone)


def test_numbers_in_64_bits(rng):
    rows = rng.normal(size=(3, 5000))
    np.testing.assert_array_equal(row_medians(rows), np.median(rows, axis=1))


def test_counts_in_rows(rng):
    marked = rng.random((4, 9001)) < [[0], [0.3], [0.9], [1.1]]
    assert count_in_rows(marked).tolist() == marked.sum(axis=1).tolist()
    assert count_in_rows(marked[:, ::7]).tolist() == marked[:, ::7].sum(1).tolist()
    assert count_in_rows(marked[:0]).tolist() == []
