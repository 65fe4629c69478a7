"""The network that judges groups of islands."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from claran.fields.channels import channel_image
from claran.models.group_rcnn import KnownSources, group_targets, island_ratio
from claran.ops.island_groups import Groups

ISLANDS = np.float32([[10, 10, 16, 15], [40, 12, 46, 18], [44, 50, 50, 55]])


@pytest.fixture(scope="module")
def network(tiny_groups):
    keras.utils.set_random_seed(1)
    return tiny_groups().network


@pytest.fixture(scope="module")
def inputs():
    images = np.random.default_rng(5).normal(size=(1, 64, 64, 5)).astype(np.float32)
    return {"images": images, "image_info": np.float32([[64, 64, 1]])}


def padded(islands, slots):
    boxes = np.zeros((1, slots, 4), np.float32)
    boxes[0, : len(islands)] = islands
    return boxes


def scores(network, inputs, slots):
    """Returns the scores of each class by group, of islands in so many slots."""
    batch = inputs | {"islands": padded(ISLANDS, slots)}
    found = jax.device_get(jax.jit(network)(batch))
    groups = min(6 * slots, 2**slots - 1)
    assert found.boxes.shape == (1, 6 * groups, 4)
    rows = {}
    for i in np.flatnonzero(found.valid[0]):
        group = tuple(np.flatnonzero(found.members[0, i]).tolist())
        rows.setdefault(group, []).append(found.scores[0, i])
        low, high = ISLANDS[list(group), :2].min(0), ISLANDS[list(group), 2:].max(0)
        assert found.boxes[0, i].tolist() == [*low, *high]
    return rows


def test_each_group_has_all_classes_whatever_the_slots(network, inputs):
    found = scores(network, inputs, 4)
    assert {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)} <= set(found)
    other = scores(network, inputs, 8)
    assert found.keys() == other.keys()
    for group, rows in found.items():
        assert len(rows) == 6 and 0 < sum(rows) < 1
        np.testing.assert_allclose(rows, other[group], rtol=1e-4)


def test_the_signal_to_noise_is_read_off_the_channels():
    ratio = np.float32([[-3.0, 0.0, 5.1, 5.3, 40.0, 1000.0, 1e5, np.nan]])
    found = island_ratio(channel_image(ratio, None)[None])[0]
    expected = [[0, 0, 0, 5.3, 40, 1000, 1e5, 0]]  # Nothing below the first contour.
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_it_needs_islands(network, inputs):
    with pytest.raises(ValueError, match="`islands`"):
        network(inputs)


def test_a_group_is_a_source_only_with_exactly_its_islands():
    sets = [(0,), (0, 1), (0, 1, 2), (2,), (3,), (2, 3), (4,), (0, 3)]
    members = np.zeros((1, len(sets) + 1, 5), bool)
    for row, group in enumerate(sets):
        members[0, row, list(group)] = True
    valid = members.any(axis=2)
    known = np.zeros((1, 3, 5), bool)
    known[0, 0, [0, 1]] = known[0, 1, [2, 3]] = True  # The second is ignored.
    sources = KnownSources(
        jnp.array(known), jnp.array([[5, 3, 0]]),
        jnp.array([[True, False, False]]), jnp.array([[False, True, False]]),
    )  # fmt: skip
    labels, used = group_targets(Groups(jnp.array(members), jnp.array(valid)), sources)
    assert labels.tolist() == [[0, 5, 0, 0, 0, 0, 0, 0, 0]]
    # Not what is of an ignored source alone, nor an empty slot.
    assert used.tolist() == [[True, True, True, *[False] * 3, True, True, False]]
