"""Examples of a data set of TFDS as fields."""

import numpy as np
import pytest

from claran.data.records import Records, from_record, open_prepared
from claran.fields.framing import Picture
from claran.fields.preprocessing import network_boxes
from claran.sky.surveys import SURVEYS


@pytest.fixture
def record(rng):
    return {
        "name": b"F1",
        "radio": rng.normal(size=(40, 50)).astype(np.float32),
        "infrared": rng.integers(0, 256, (80, 100, 3), dtype=np.uint8),
        "has_infrared": True,
        "noise": np.float32(2e-4),
        "beam": np.array([6.0, 1.5, 10.0], np.float32),
        "pixel_arcsec": np.float32(1.5),
        "objects": {
            "boxes": np.array([[1, 2, 8, 9], [10, 20, 30, 25]], np.float32),
            "labels": np.array([5, -1]),
            "ignore": np.array([False, False]),
            "consensus": np.array([0.75, np.nan], np.float32),
            "host": np.array([[4, 5], [np.nan, np.nan]], np.float32),
            "component_positions": np.array([[3, 4], [7, 8], [20, 22]], np.float32),
            "component_objects": np.array([0, 0, 1]),
        },
    }


def test_field_of_a_pair(record):
    field = from_record(record)
    objects = field.objects
    assert field.name == field.image.name == "F1"
    assert objects.labels.tolist() == [6, 0]
    assert objects.ignored.tolist() == [False, True]
    assert field.image.beam == (6.0, 1.5, 10.0)
    assert field.beam_pixels == pytest.approx(2.0)
    assert field.noise == pytest.approx(2e-4)
    np.testing.assert_array_equal(field.image.values, record["radio"])
    np.testing.assert_array_equal(field.picture, record["infrared"][..., ::-1])
    assert field.pixel_arcsec == 1.5
    for key in (
        "boxes", "consensus", "host", "component_positions", "component_objects",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(objects, key), record["objects"][key])


def test_labels_of_another_class_list(record):
    # Its class 5 is the first of the other list; the rest is not in it.
    field = from_record(record, [0, 0, 0, 0, 0, 1])
    assert field.objects.labels.tolist() == [1, 0]
    assert from_record(record, [1, 0, 0, 0, 0, 0]).objects.ignored.tolist() == [
        True,
        True,
    ]


def test_field_without_infrared_beam_and_objects(record):
    record |= {
        "has_infrared": False,
        "beam": np.full(3, np.nan, np.float32),
        "objects": {
            "boxes": np.empty((0, 4)),
            "labels": [],
            "ignore": [],
            "consensus": [],
            "host": np.empty((0, 2)),
            "component_positions": np.empty((0, 2)),
            "component_objects": [],
        },
    }
    field = from_record(record)
    assert field.picture is None
    assert field.image.beam is None
    assert field.assumptions == ("no beam: assumed FIRST's, 5.4 arcsec",)
    assert field.objects.boxes.shape == (0, 4)
    assert field.objects.boxes.dtype == np.float32


def test_a_survey_says_what_a_record_does_not(record):
    emu = SURVEYS["emu"]
    assert from_record(record, survey=emu).beam_pixels == pytest.approx(2.0)
    record |= {"beam": np.full(3, np.nan, np.float32)}
    assert from_record(record, survey=emu).beam_pixels == pytest.approx(10.0)
    record |= {"pixel_arcsec": np.float32(np.nan)}
    (field,) = (Records([record], survey=emu)[i] for i in range(1))
    assert field.image.pixel_arcsec is None
    assert (field.beam_pixels, field.assumptions) == (7.5, ())


def test_ready_made_picture_reaches_the_network_with_its_boxes(record):
    picture = record["infrared"]
    field = from_record({"name": "P", "image": picture, "objects": record["objects"]})
    assert not field.has_radio and field.shape == (80, 100)
    scene = Picture(image_size=100)(field)
    image, info, *_ = scene.view()
    np.testing.assert_array_equal(image, picture[..., ::-1])
    assert info.tolist() == [80, 100, 1]
    boxes = network_boxes(field.objects.boxes, scene, field)
    np.testing.assert_allclose(boxes, record["objects"]["boxes"])  # y down already.
    assert field.objects.consensus[0] == pytest.approx(0.75)


def test_records_decode_as_they_are_read(record):
    records = Records([record, record | {"name": "F2"}])
    assert len(records) == 2
    assert records[1].name == "F2"


def test_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no prepared data set .* --mode=prep"):
        open_prepared(tmp_path, "train")
