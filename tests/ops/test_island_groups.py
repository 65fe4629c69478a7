"""Groups of islands that may be one source."""

import jax.numpy as jnp
import numpy as np
import pytest

from claran.ops.island_groups import bin_shares, candidate_groups, group_boxes

# A core between two lobes, a neighbor off their line, one far away, and no island.
LOW = [[0, 0], [10, 0], [20, 0], [10, 30], [200, 0], [0, 0]]
HIGH = [[4, 4], [14, 4], [24, 4], [14, 34], [204, 4], [0, 0]]
ISLANDS = np.concatenate([LOW, HIGH], axis=1).astype(np.float32)
NONE = np.zeros((0, 4), np.float32), np.zeros(0, bool)


def groups(islands=ISLANDS, rois=NONE, *, count=30, reach=64.0, known=None):
    known = None if known is None else jnp.array(known)
    boxes, exist = map(jnp.array, rois)
    found = candidate_groups(
        jnp.array(islands), boxes, exist, count=count, reach=reach, known=known
    )
    members, valid = map(np.asarray, found)
    assert not members[~valid].any()
    return [tuple(np.flatnonzero(row).tolist()) for row in members[valid]]


def test_single_islands_pairs_and_what_lies_between():
    found = groups()
    assert found[:5] == [(0,), (1,), (2,), (3,), (4,)]
    pairs = {(0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)}
    assert found[5:7] == [(0, 1), (1, 2)]  # The nearest first.
    assert set(found[5:]) == pairs | {(0, 1, 2), (0, 1, 3), (1, 2, 3), (0, 2, 3)}
    # With a core in their middle two lobes are likelier one source than alone.
    assert found[7:9] == [(0, 1, 2), (0, 2)]


def test_a_core_between_lobes_without_the_neighbor_beside_it():
    low = np.float32([[0, 0], [40, 20], [21, 11], [10, 15], [30, 3]])
    found = groups(np.concatenate([low, low + 3], axis=1))
    others = [group for group in found if len(group) > 2 and {0, 1} <= set(group)]
    assert others[0] == (0, 1, 2) and (0, 1, 2, 3, 4) in others


def test_a_core_beside_the_box_of_its_lobes():
    low = np.float32([[0, 0], [40, 2], [20, 9], [60, 60]])
    assert (0, 1, 2) in groups(np.concatenate([low, low + 3], axis=1))


def test_lobes_with_a_core_among_many_nearer_islands(rng):
    crowd = rng.uniform(0, 100, (14, 2))
    crowd = crowd[np.abs(crowd - 50).max(axis=1) > 12]
    low = np.concatenate([[[20, 30], [80, 70], [49, 51]], crowd]).astype(np.float32)
    found = groups(np.concatenate([low, low + 3], axis=1), count=6 * len(low))
    assert (0, 1, 2) in found


def test_proposals_hold_islands_that_are_more_than_half_inside():
    rois = np.float32([[0, 0, 13, 4], [9, 0, 30, 40], [0, 0, 13, 5], [0, 0, 999, 99]])
    exist = np.array([True, True, True, False])
    found = groups(rois=(rois, exist))
    assert found[5:7] == [(0, 1), (1, 2, 3)]
    assert len(set(found)) == len(found) and (0, 1, 2, 3, 4) not in found


def test_known_groups_come_before_proposals_and_the_first_are_kept():
    known = np.zeros((2, 6), bool)
    known[0, [0, 4]] = True
    assert groups(known=known, count=6)[5:] == [(0, 4)]


@pytest.mark.parametrize("slots", [2, 20])
def test_other_numbers_of_slots(rng, slots):
    low = rng.uniform(0, 100, (slots, 2))
    islands = np.concatenate([low, low + rng.uniform(2, 9, (slots, 2))], axis=1)
    found = groups(islands.astype(np.float32), count=4 * slots, reach=200.0)
    assert found[:slots] == [(i,) for i in range(slots)]
    assert len(found) == len(set(found)) == {2: 3, 20: 80}[slots]


def test_box_of_a_group():
    members = np.array([[True, True, False, False, False, False], [False] * 6])
    boxes = group_boxes(jnp.array(members), jnp.array(ISLANDS))
    assert boxes.tolist() == [[0, 0, 14, 4], [0, 0, 0, 0]]


def test_shares_of_bins():
    regions = jnp.float32([[0, 0, 8, 16]])
    islands = jnp.float32([[1, 4, 4, 8], [0, 0, 0, 0]])
    rows, columns = bin_shares(regions, islands, size=4)
    covered = np.asarray(rows)[0, 0, :, None] * np.asarray(columns)[0, 0]
    expected = np.zeros((4, 4))
    expected[1, :2] = [0.5, 1]
    np.testing.assert_allclose(covered, expected)
    assert not np.asarray(rows)[0, 1].any()
