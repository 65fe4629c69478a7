"""Probabilities of groups over all groupings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from claran.detection.groupings import MOST, group_probabilities


def test_between_evidence_and_beliefs():
    """A double of 0.5 and lobes of 0.5, which are both sources or none."""
    groups = np.array([[1, 1], [1, 0], [0, 1]], bool)
    double, *lobes = parted(groups, np.full(3, 0.5))
    as_evidence = 0.5 / (0.5 + 0.5**2)
    # Weights of 2 : 1 and of 1 : 1 have the mean of the square root of 2 to 1.
    assert double == pytest.approx(2**0.5 / (2**0.5 + 1), abs=0.02)
    assert 0.5 < double < as_evidence
    assert lobes == pytest.approx([1 - double] * 2, abs=0.01)


@st.composite
def hypotheses(draw, most=7):
    count, islands = draw(st.integers(1, most)), draw(st.integers(1, 5))
    groups = draw(arrays(bool, (count, islands)))
    groups[
        np.arange(count), draw(arrays(int, count, elements=st.integers(0, islands - 1)))
    ] = True
    return groups, draw(arrays(float, count, elements=st.floats(0.01, 1.0)))


def parted(groups, probabilities):
    """Takes groups as rows of a table of islands."""
    tuples = [tuple(np.flatnonzero(row).tolist()) for row in groups]
    return group_probabilities(tuples, probabilities)


@given(hypotheses())
@settings(deadline=None)
def test_probabilities_sum_over_all_groupings(by_brute_force, given):
    groups, probabilities = given
    found = parted(groups, probabilities)
    np.testing.assert_allclose(found, by_brute_force(groups, probabilities), atol=1e-9)
    assert (found @ groups <= 1 + 1e-9).all()


def test_groups_apart_do_not_matter_to_each_other():
    groups = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    both = parted(groups, np.array([0.4, 0.5, 0.7]))
    np.testing.assert_allclose(both[:2], parted(groups[:2], np.array([0.4, 0.5])))
    assert both[2] == pytest.approx(0.7)


def test_of_many_groups_the_weakest_links_go(rng):
    # A chain of 40 islands: every group holds two neighbors.
    groups = np.eye(40, dtype=bool) | np.eye(40, k=1, dtype=bool)
    probabilities = rng.uniform(0.1, 0.9, 40)
    found = parted(groups, probabilities)
    assert (found @ groups <= 1 + 1e-9).all()
    dropped = found == 0
    assert 40 / MOST - 1 <= dropped.sum() < 40 / 3
    # With any one that was left out, more than `MOST` would have hung together.
    left = np.flatnonzero(~dropped)
    for one in np.flatnonzero(dropped):
        stronger = left[probabilities[left] > probabilities[one]]
        right = one + 1
        while right in stronger:
            right += 1
        below = one - 1
        while below in stronger:
            below -= 1
        assert right - below - 1 > MOST


def test_a_group_of_very_many_islands():
    # The weight of none of them, 0.002 ** 400, is no float above 0.
    singles = np.eye(400, dtype=bool)
    groups = np.concatenate([singles[:9], np.ones((1, 400), bool)])
    found = parted(groups, np.full(10, 0.99))
    np.testing.assert_allclose(found, [0.0] * 9 + [1.0], atol=1e-9)
