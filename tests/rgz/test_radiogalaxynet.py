"""Pictures of RadioGalaxyNET as fields with a radio image."""

import json

import cv2
import numpy as np
import pytest

from claran.data.records import from_record
from claran.errors import ImageError
from claran.fields.island_rows import island_owners
from claran_rgz.prepare import prepare

SIDE = 96
HOST = 30, 20  # Column and row.


def picture():
    """A double, and a compact source in the box around it; W1 has a star."""
    y, x = np.mgrid[:SIDE, :SIDE]
    packed = np.zeros((SIDE, SIDE, 3), np.uint8)
    for x0, y0, radius in ((20, 20, 6), (40, 20, 5), (30, 28, 3.5)):
        inside = np.hypot(x - x0, y - y0) <= radius
        shape = np.round(65535 * (1 - np.hypot(x - x0, y - y0) / radius / 1.01))
        shape = np.where(inside, shape, 0).astype(int)
        packed[..., 0] += (shape // 256).astype(np.uint8)
        packed[..., 1] += (shape % 256).astype(np.uint8)
    packed[HOST[1], HOST[0], 2] = 200
    return packed


def lobe(x, y, radius):
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    points = np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])
    return points.ravel().tolist()


def labels(name, **marks):
    return {
        "images": [
            {"id": 1, "file_name": f"{name}.webp", "height": SIDE, "width": SIDE},
            {"id": 2, "file_name": f"{name}_2.webp", "height": SIDE, "width": SIDE},
        ],
        "categories": [{"id": 1, "name": "FR-II"}, {"id": 2, "name": "FR-I"}],
        "annotations": [
            {
                "id": number, "image_id": number, "category_id": number,
                "bbox": [12.5, 12.5, 34, 15], "num_keypoints": 1,
                "keypoints": [*HOST, 2],
                "segmentation": [lobe(20, 20, 6), lobe(40, 20, 5)],
            }
            for number in (1, 2)
        ],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Two images for training and two for validation, one of each marked."""
    folder = tmp_path / "radiogalaxynet"
    (folder / "images").mkdir(parents=True)
    for name, file in (("a", "train"), ("b", "val")):
        found = labels(name)
        for image in found["images"]:
            cv2.imwrite(str(folder / "images" / image["file_name"]), picture(),
                        [cv2.IMWRITE_WEBP_QUALITY, 101])  # fmt: skip
            image |= {"overlaps_test": int(image["id"] == 2), "overlaps_val": 0}
        (folder / f"{file}.json").write_text(json.dumps(found))
    return folder


def test_islands_boxes_and_hosts(folder, by_name, tmp_path):
    builder = prepare("rgz/radiogalaxynet", data_dir=tmp_path, manual_dir=folder)
    assert set(by_name(builder, "validation")) == {"b", "b_2"}
    record = by_name(builder, "train")["a"]
    field = from_record(record)
    assert (field.pixel_arcsec, field.noise) == (2, 1)
    packed = picture()[::-1]
    np.testing.assert_array_equal(field.islands.labels > 0, packed[..., :2].any(axis=2))
    found = {
        tuple(box.tolist()): owner
        for box, owner in zip(field.islands.boxes, island_owners(field), strict=True)
    }
    # The compact source is in the box of the double, but not in its polygons.
    assert found == {
        (14, SIDE - 27, 27, SIDE - 14): 0,
        (35, SIDE - 26, 46, SIDE - 15): 0,
        (27, SIDE - 32, 34, SIDE - 25): -1,
    }
    (box,), (host,) = field.objects.boxes, field.objects.host
    assert box.tolist() == [13, SIDE - 28, 47, SIDE - 13]
    assert host.tolist() == [HOST[0] + 0.5, SIDE - HOST[1] - 0.5]
    assert record["infrared"][HOST[1], HOST[0]].tolist() == [200] * 3


def test_images_of_sky_in_other_splits_are_left_out(folder, by_name, tmp_path):
    builder = prepare("rgz/radiogalaxynet_clean", data_dir=tmp_path, manual_dir=folder)
    assert set(by_name(builder, "train")) == {"a"}
    assert set(by_name(builder, "validation")) == {"b"}
    assert builder.report.counts["left out"] == 2


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda f: (f / "val.json").unlink(), r"val\.json: no such file; --manual_dir"),
        (lambda f: (f / "images" / "a.webp").unlink(), "has no readable a.webp"),
        (lambda f: (f / "images" / "a.webp").write_bytes(b"x"), "readable a.webp"),
        (
            lambda f: (f / "train.json").write_text(json.dumps(labels("a"))),
            r"train\.json: has images without overlaps_test and overlaps_val",
        ),
    ],
)
def test_what_is_missing_is_said(folder, tmp_path, break_it, message):
    break_it(folder)
    with pytest.raises(ImageError, match=message):
        prepare("rgz/radiogalaxynet_clean", data_dir=tmp_path, manual_dir=folder)
