"""The islands of a field in a batch, and which source each is of."""

import dataclasses

import numpy as np
import pytest

from claran.fields.channels import Channels
from claran.fields.field import Field
from claran.fields.island_rows import island_owners, pad_islands
from claran.fields.objects import Objects
from claran.sky.images import SkyImage

PLACES = [(20, 20), (50, 20), (35, 24), (80, 80)]  # Two lobes, one between, one alone.


@pytest.fixture
def field(rng):
    values = rng.normal(size=(100, 100)).astype(np.float32)
    y, x = np.mgrid[:100, :100] + 0.5
    for number, (x0, y0) in enumerate(PLACES):
        values += (60 + 40 * number) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 3.2)
    objects = Objects(
        boxes=np.float32([[16, 16, 54, 28], [76, 76, 84, 84]]),
        labels=np.int32([4, 1]),
        ignored=np.zeros(2, bool),
    )
    return Field("f", image=SkyImage(values=values), objects=objects)


def owners_by_place(field):
    """Returns the owner of the island at each of `PLACES`."""
    own = island_owners(field)
    return [int(own[field.islands.labels[y, x] - 1]) for x, y in PLACES]


def test_without_components_the_box_decides(field):
    assert owners_by_place(field) == [0, 0, 0, 1]


def test_components_tell_a_neighbor_in_the_box(field):
    objects = dataclasses.replace(
        field.objects,
        component_positions=np.float32([[20, 20], [50.3, 20.2], [500, 3]]),
        component_objects=np.int32([0, 0, 0]),
    )
    assert owners_by_place(field.replace(objects=objects)) == [0, 0, -1, 1]


def test_the_largest_are_kept(field):
    scene = Channels()(field)
    padded = pad_islands(field, scene, slots=6)
    assert padded["owners"].tolist()[4:] == [-1, -1] and not padded["islands"][4:].any()
    few = pad_islands(field, scene, slots=1)
    size = (padded["islands"][:, 2:] - padded["islands"][:, :2]).prod(axis=1)
    np.testing.assert_array_equal(few["islands"][0], padded["islands"][size.argmax()])
