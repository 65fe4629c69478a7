"""Examples of a data set of TFDS as fields."""

import numpy as np
import pytest

from claran.data.records import Records, from_record, open_prepared
from claran.fields.framing import Picture


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
    assert field["name"] == "F1"
    assert field["labels"].tolist() == [6, 0]
    assert field["ignored"].tolist() == [False, True]
    assert field["beam"] == pytest.approx(2.0)
    np.testing.assert_array_equal(field["infrared"], record["infrared"][..., ::-1])
    np.testing.assert_array_equal(field["boxes"], record["objects"]["boxes"])
    assert field["pixel_arcsec"] == 1.5
    for key in ("consensus", "host", "component_positions", "component_objects"):
        np.testing.assert_array_equal(field[key], record["objects"][key])


def test_labels_of_another_class_list(record):
    # Its class 5 is the first of the other list; the rest is not in it.
    field = from_record(record, [0, 0, 0, 0, 0, 1])
    assert field["labels"].tolist() == [1, 0]
    assert from_record(record, [1, 0, 0, 0, 0, 0])["ignored"].tolist() == [True, True]


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
    assert field["infrared"] is None
    assert np.isnan(field["beam"])
    assert field["boxes"].shape == (0, 4)
    assert field["boxes"].dtype == np.float32


def test_ready_made_picture_reaches_the_network_with_its_boxes(record):
    picture = record["infrared"]
    field = from_record({"name": "P", "image": picture, "objects": record["objects"]})
    image, info, boxes, _ = Picture(method=None, size=100)(field)
    np.testing.assert_array_equal(image[:80], picture[..., ::-1])
    assert info.tolist() == [80, 100, 1]
    np.testing.assert_allclose(boxes, record["objects"]["boxes"])  # y down already.
    assert field["consensus"][0] == pytest.approx(0.75)


def test_records_decode_as_they_are_read(record):
    records = Records([record, record | {"name": "F2"}])
    assert len(records) == 2
    assert records[1]["name"] == "F2"


def test_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no prepared data set .* --mode=prep"):
        open_prepared(tmp_path, "train")
