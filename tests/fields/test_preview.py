"""Pages to look at before training."""

import dataclasses

import numpy as np
import pytest

from claran.fields.batches import PipelineOptions, validation_batches
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.preview import (
    field_picture,
    preview_page,
    to_picture,
    write_preview,
)
from claran.sky.images import read_picture

SOURCES = ([(20.5, 20.5)], [(40.5, 40.5)])


@pytest.mark.parametrize(
    "inputs", [Channels(beam_pixels=4.0), Picture(image_size=96)], ids=str
)
def test_pages_are_pictures(tmp_path, make_field, inputs):
    fields = [make_field(*SOURCES[: i % 3], seed=i) for i in range(5)]
    ignored = dataclasses.replace(
        fields[2].objects,
        labels=np.zeros(2, np.int32),
        ignored=np.array([True, False]),
    )
    fields[2] = fields[2].replace(objects=ignored)
    options = PipelineOptions(batch_size=3, slots=2, size=(96, 96))
    with validation_batches(fields, inputs, options=options) as batches:
        paths = write_preview(batches, tmp_path / "new", pages=7)
    assert [path.name for path in paths] == ["batch_0000.png", "batch_0001.png"]
    assert all(read_picture(path).std() > 1 for path in paths)


def test_no_more_batches_are_taken_than_pages(tmp_path, make_field):
    options = PipelineOptions(slots=2)
    with validation_batches([make_field()] * 5, Channels(), options=options) as batches:
        assert len(write_preview(batches, tmp_path, pages=2)) == 2
        assert batches.get_state()["next_batch"] == 2


def test_boxes_are_drawn_on_the_source(make_field):
    with validation_batches(
        [make_field(SOURCES[0])],
        Channels(beam_pixels=4.0),
        options=PipelineOptions(slots=2, size=(64, 64)),
    ) as batches:
        (batch,) = batches
    (axes,) = preview_page(batch).axes
    (box,) = axes.patches
    x0, y0, x1, y1 = batch["boxes"][0, 0]
    assert box.get_bbox().extents.tolist() == [x0, y0, x1, y1]
    picture = to_picture(batch["images"][0])
    row, column = np.unravel_index(picture[..., 1].argmax(), (64, 64))
    assert x0 <= column <= x1 and y0 <= row <= y1
    assert axes.texts[0].get_text() == "1C_1P"


def test_a_background_is_not_in_the_picture(make_field, with_values):
    field = make_field(SOURCES[0])
    raised = with_values(field, field.image.values + 30 * np.float32(field.noise))
    difference = field_picture(raised).astype(int) - field_picture(field)
    assert np.abs(difference).mean() < 10


def test_colors_of_a_picture_are_as_they_are(rng):
    bgr = rng.integers(0, 256, (4, 5, 3))
    np.testing.assert_array_equal(to_picture(bgr.astype(np.float32)), bgr[..., ::-1])


def test_settings_of_the_user_change_nothing(make_field, tmp_path, hostile_settings):
    """Above all, they do not turn the picture under its boxes."""
    fields = [make_field(SOURCES[0], seed=1)]
    options = PipelineOptions(slots=2, size=(64, 64))
    with validation_batches(fields, Channels(), options=options) as batches:
        (batch,) = batches
    batch["names"][0] = "$x_1$"
    (expected,) = write_preview([batch], tmp_path / "a", pages=1)
    with hostile_settings():
        (found,) = write_preview([batch], tmp_path / "b", pages=1)
    np.testing.assert_array_equal(read_picture(found), read_picture(expected))
