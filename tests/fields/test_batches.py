"""Batches: the same for the same seed, with any workers, from any batch on."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from claran.fields.augmentation import AddNoise, DropInfrared, Move
from claran.fields.batches import (
    PipelineOptions,
    training_batches,
    validation_batches,
)
from claran.fields.channels import CHANNELS, Channels
from claran.fields.framing import Picture

AUGMENT = (Move(shift=3), AddNoise(), DropInfrared())
OPTIONS = PipelineOptions(batch_size=2, slots=4, size=(64, 64), seed=3)
TWO_WORKERS = dataclasses.replace(OPTIONS, workers=2)
INPUTS = Channels(beam_pixels=None, image_size=64)


@pytest.fixture(scope="module")
def fields(make_field):
    """Five fields with 0 to 2 objects, one of which is ignored."""
    sources = [[(20.5, 20.5)], [(40.5, 40.5), (50.5, 44.5)]]
    made = [make_field(*sources[: i % 3], seed=i) for i in range(5)]
    objects = made[2].objects
    made[2] = made[2].replace(
        objects=dataclasses.replace(objects, ignored=np.array([False, True]))
    )
    return made


def train(fields, options=OPTIONS, **changes):
    return training_batches(fields, INPUTS, augment=AUGMENT, options=options, **changes)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_batches_have_one_shape(fields):
    with train(fields) as batches:
        for batch in itertools.islice(batches, 4):
            found = {key: (value.shape, value.dtype) for key, value in batch.items()}
            assert found.pop("names")[0] == (2,)
            assert found == {
                "images": ((2, 64, 64, len(CHANNELS)), np.float32),
                "image_info": ((2, 3), np.float32),
                "boxes": ((2, 4, 4), np.float32),
                "labels": ((2, 4), np.int32),
                "valid": ((2, 4), bool),
                "ignored": ((2, 4), bool),
            }


def test_every_epoch_holds_every_field_in_another_order(fields):
    with train(fields) as batches:
        names = np.concatenate([b["names"] for b in itertools.islice(batches, 10)])
    epochs = names.reshape(4, 5)
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_augmentation_differs_between_epochs(fields):
    options = PipelineOptions(slots=4, size=(64, 64))
    with train(fields[:1], options) as batches:
        one, other = itertools.islice(batches, 2)
    assert not np.array_equal(one["images"], other["images"])


def test_seed_decides(fields):
    other = dataclasses.replace(OPTIONS, seed=4)
    with train(fields) as a, train(fields) as b, train(fields, other) as c:
        first, same, different = (list(itertools.islice(x, 3)) for x in (a, b, c))
    assert_same(first, same)
    assert not np.array_equal(first[0]["images"], different[0]["images"])


def test_resumes_in_the_middle_of_an_epoch(fields):
    with train(fields) as batches:
        expected = list(itertools.islice(batches, 7))
        assert batches.get_state()["next_batch"] == 7
    with train(fields) as batches:
        list(itertools.islice(batches, 4))
        state = json.loads(json.dumps(batches.get_state()))
    with train(fields) as batches:
        next(batches)  # Wherever it was before.
        batches.set_state(state)
        assert batches.get_state() == state
        assert_same(itertools.islice(batches, 3), expected[4:])


def test_worker_processes_change_nothing(fields):
    with train(fields) as batches:
        expected = list(itertools.islice(batches, 6))
        state = batches.get_state() | {"next_batch": 3}
    with train(fields, TWO_WORKERS) as batches:
        assert_same(itertools.islice(batches, 6), expected)
        batches.set_state(state)
        assert_same(itertools.islice(batches, 3), expected[3:])


def test_shards_are_the_parts_of_a_batch(fields):
    whole = dataclasses.replace(OPTIONS, batch_size=4)
    parts = [dataclasses.replace(whole, shard=i, shards=2) for i in range(2)]
    with (
        train(fields, whole) as one,
        train(fields, parts[0]) as a,
        train(fields, parts[1]) as b,
    ):
        b.set_state(a.get_state())  # All shards have one state.
        for _ in range(4):
            expected, halves = next(one), (next(a), next(b))
            joined = {key: np.concatenate([h[key] for h in halves]) for key in expected}
            assert_same([joined], [expected])


def test_state_of_other_batches_is_refused(fields):
    state = train(fields).get_state()
    other = dataclasses.replace(OPTIONS, batch_size=3)
    with pytest.raises(
        ValueError, match="its batch_size is 2, here it is 3; resume with the settings"
    ):
        train(fields, other).set_state(state)


@pytest.mark.parametrize("options", [OPTIONS, TWO_WORKERS], ids=["alone", "workers"])
def test_validation_shows_every_field_once_as_it_is(fields, options):
    with validation_batches(fields, INPUTS, options=options) as found:
        batches = list(found)
    names = np.concatenate([batch["names"] for batch in batches])
    assert names.tolist() == [field.name for field in fields] + [""]
    np.testing.assert_array_equal(
        batches[0]["images"][1], INPUTS(fields[1]).view().image
    )
    last = batches[-1]
    assert last["images"].shape == batches[0]["images"].shape
    assert not last["images"][1].any() and not last["valid"][1].any()
    assert last["image_info"][1].tolist() == [64, 64, 1]


def test_validation_resumes(fields):
    with validation_batches(fields, INPUTS, options=OPTIONS) as batches:
        expected = list(batches)
        batches.set_state(batches.get_state() | {"next_batch": 1})
        assert_same(batches, expected[1:])
        assert list(batches) == []


def test_boxes_labels_and_masks_belong_together(fields):
    with validation_batches(fields, INPUTS, options=OPTIONS) as batches:
        found = list(batches)[1]  # Fields 2 and 3.
    assert found["labels"].tolist() == [[1, 2, 0, 0], [0] * 4]
    assert found["valid"].tolist() == [[True, False, False, False], [False] * 4]
    assert found["ignored"].tolist() == [[False, True, False, False], [False] * 4]
    x0, y0, x1, y1 = fields[2].objects.boxes[0]
    np.testing.assert_allclose(found["boxes"][0, 0], [x0, 64 - y1, x1, 64 - y0])


def test_pictures_for_the_original_network(fields):
    inputs = Picture(method="D4", image_size=96)
    options = dataclasses.replace(OPTIONS, size=(96, 96))
    with validation_batches(fields, inputs, options=options) as batches:
        batch = next(batches)
    assert batch["images"].shape == (2, 96, 96, 3)
    assert batch["images"].min() >= 0 and batch["images"].max() > 200
    assert batch["image_info"].tolist() == [[96, 96, 0.75]] * 2


@pytest.mark.parametrize("workers", [0, 1])
def test_more_objects_than_places_are_refused(fields, workers):
    options = PipelineOptions(slots=1, size=(64, 64), workers=workers)
    with (
        validation_batches(fields, INPUTS, options=options) as batches,
        pytest.raises(ValueError, match="field2: has 2 objects, more than `slots`, 1"),
    ):
        list(batches)


@pytest.mark.parametrize("workers", [0, 1])
def test_fields_larger_than_the_batches_are_refused(fields, workers):
    options = PipelineOptions(slots=4, size=(64, 48), workers=workers)
    message = (
        "field0: is 64 x 64 pixels at the network's resolution, more than the batches' "
        "64 x 48; give `size` that holds it, or cut"
    )
    with (
        validation_batches(fields, INPUTS, options=options) as batches,
        pytest.raises(ValueError, match=message),
    ):
        list(batches)


def test_smaller_fields_lie_in_the_upper_left(make_field):
    """Of a wide field and a high one, at the resolution of the beam."""
    fields = [make_field([(20.5, 9.5)], shape=s) for s in ((32, 50), (64, 24))]
    inputs = Channels(beam_pixels=4.0)
    options = PipelineOptions(batch_size=2, slots=4, size=(64, 64))
    with validation_batches(fields, inputs, options=options) as batches:
        (batch,) = batches
    assert batch["image_info"].tolist() == [[32, 50, 1], [64, 24, 1]]
    valid = batch["images"][..., CHANNELS.index("valid")]
    for row, (height, width) in enumerate(((32, 50), (64, 24))):
        assert valid[row, :height, :width].all()
        assert valid[row].sum() == height * width
        assert not batch["images"][row, height:].any()


def test_empty_source_is_refused():
    with pytest.raises(ValueError, match="`source` must have at least one field"):
        validation_batches([], INPUTS)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"slots": 0}, "`slots` must be at least 1, got 0"),
        ({"seed": -1}, "`seed` must be at least 0, got -1"),
        ({"workers": -1}, "`workers` must be at least 0, got -1"),
        ({"ahead": 0}, "`ahead` must be at least 1, got 0"),
        ({"shard": 2, "shards": 2}, r"`shard` must be in \[0, 2\), got 2"),
        (
            {"batch_size": 3, "shards": 2},
            "`batch_size` must be a multiple of `shards`, 2, got 3",
        ),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PipelineOptions(**options)
