"""Labels in COCO's JSON."""

import json
import time

import numpy as np
import pytest

from claran.data.annotations_coco import read_coco
from claran.errors import ImageError
from claran.sky.images import read_picture


@pytest.fixture
def write_coco(tmp_path):
    def write(**changes):
        content = {
            "images": [
                {"id": 7, "file_name": "a.png", "height": 50, "width": 40},
                {"id": 8, "file_name": "b.png"},
            ],
            "categories": [{"id": 2, "name": "FR-I"}, {"id": 1, "name": "FR-II"}],
            "annotations": [{
                "id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2.5, 3, 4],
                "num_keypoints": 1, "keypoints": [2, 3, 2],
            }],
        }  # fmt: skip
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(content | changes))
        return path

    return write


def test_coco_of_real_fields_has_its_boxes_on_the_sources(real_data, contrast):
    folder = real_data / "radiogalaxynet_dev"
    labels = read_coco(folder / "annotations.json")
    assert labels.classes == ("FR-II", "FR-I", "FR-X", "R")
    assert len(labels.fields) == 100
    right, wrong, hosts = [], [], 0
    for field in labels.fields:
        assert not field.y_up
        picture = read_picture(folder / "images" / field.image).astype(float)
        assert field.shape == picture.shape[:2]
        radio = 256 * picture[..., 0] + picture[..., 1]
        hosts += sum(entry.host is not None for entry in field.objects)
        # Sources near the middle line stay in their boxes when the picture is turned.
        low, high = field.boxes[:, 1], field.boxes[:, 3]
        aside = field.boxes[(high < 200) | (low > 250)]
        if len(aside):
            right.append(contrast(radio, aside))
            wrong.append(contrast(radio[::-1], aside))
    assert len(right) > 20
    assert np.median(right) > 5
    assert np.median(right) > 3 * np.median(wrong)
    assert hosts == sum(len(field.objects) for field in labels.fields)


def test_coco_boxes_become_edges(write_coco):
    labels = read_coco(write_coco())
    first, second = labels.fields
    assert labels.classes == ("FR-II", "FR-I")
    assert first.boxes.tolist() == [[1, 2.5, 4, 6.5]]
    assert (first.codes, first.shape) == (("FR-I",), (50, 40))
    assert first.objects[0].host == (2.5, 3.5)
    assert (second.objects, second.shape) == ((), None)
    assert labels.report.counts == {"unlabelled": 1}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bbox": [1, 2, 0, 4]}, "annotation 5: its bbox must be x, y, width, height"),
        ({"bbox": [1, 2, 3]}, "annotation 5: not enough values"),
        ({"bbox": None}, "annotation 5: "),
        ({"image_id": 99}, "annotation 5: 99 is missing or unknown"),
        ({"category_id": 3}, "annotation 5: 3 is missing or unknown"),
    ],
)
def test_coco_counts_malformed_annotations(write_coco, change, message):
    entry = {"id": 5, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]} | change
    report = read_coco(write_coco(annotations=[entry])).report
    assert report.counts["malformed"] == 1
    assert report.messages["malformed"][0].startswith(message)


def test_coco_counts_bad_images(write_coco):
    images = [{"id": 7, "file_name": "a.png"}] * 2 + [{"id": 9}]
    images += [{"id": [1], "file_name": "b.png"}]
    images += [{"id": 2, "file_name": "c.png", "height": np.inf, "width": 1}]
    report = read_coco(write_coco(images=images)).report
    assert report.counts == {"duplicated": 1, "malformed": 3}
    assert repr(report) == "<Report: {'duplicated': 1, 'malformed': 3}>"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"images": {}}, "is not COCO; it must have the lists images, categories"),
        ({"images": []}, "has no valid image"),
    ],
)
def test_other_json_is_refused(write_coco, changes, message):
    with pytest.raises(ImageError, match=message):
        read_coco(write_coco(**changes))


def test_no_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ImageError, match=r"a[.]json: cannot be read as JSON"):
        read_coco(tmp_path / "a.json")


@pytest.mark.parametrize("category", [2, "2", 2.0, " 2"])
@pytest.mark.parametrize("image", [7, "7", 7.0])
def test_coco_ids_are_the_same_as_numbers_and_as_text(write_coco, image, category):
    entry = {"id": 5, "image_id": image, "category_id": category, "bbox": [1, 2, 3, 4]}
    labels = read_coco(write_coco(annotations=[entry]))
    assert labels.fields[0].codes == ("FR-I",)
    assert labels.report.counts == {"unlabelled": 1}


def test_coco_orders_odd_ids(write_coco):
    ids = ("b", 10, "9", 2)
    content = [{"id": number, "name": f"class {number}"} for number in ids]
    labels = read_coco(write_coco(categories=content, annotations=[]))
    assert labels.classes == ("class 2", "class 9", "class 10", "class b")


@pytest.mark.parametrize("number", [None, True, [1], {"a": 1}, [[[]]], 1.5, np.nan, ""])
def test_coco_counts_ids_that_are_none(write_coco, number):
    entry = {"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]}
    for changes in (
        {"images": [{"id": 7, "file_name": "a.png"}, {"id": number, "file_name": "b"}]},
        {"categories": [{"id": number, "name": "x"}, {"id": 2, "name": "y"}]},
        {"annotations": [entry, entry | {"image_id": number}]},
        {"annotations": [entry, entry | {"category_id": number}]},
    ):
        labels = read_coco(write_coco(**({"annotations": [entry]} | changes)))
        assert labels.report.counts["malformed"] == 1
        assert len(labels.fields[0].objects) == 1


def test_coco_image_that_is_listed_twice_keeps_all_boxes(write_coco):
    images = [{"id": number, "file_name": "a.png"} for number in (7, 8)]
    boxes = [
        {"id": i, "image_id": i, "category_id": 2, "bbox": [i, 2, 3, 4]} for i in (7, 8)
    ]
    labels = read_coco(write_coco(images=images, annotations=boxes))
    (field,) = labels.fields
    assert len(field.objects) == 2
    assert labels.report.counts == {"duplicated": 1}


def test_coco_id_of_two_images_is_used_for_none(write_coco):
    images = [{"id": i, "file_name": f} for i, f in ((7, "a"), (7, "b"), (8, "c"))]
    labels = read_coco(write_coco(images=images))
    assert [field.name for field in labels.fields] == ["c"]
    assert labels.report.counts == {"duplicated": 1, "malformed": 1, "unlabelled": 1}


@pytest.mark.parametrize(
    "value, ignored, counts",
    [
        ("0", False, {}), ("False", False, {}), (None, False, {}), (0.0, False, {}),
        ("1", True, {}), ("yes", True, {}), (True, True, {}),
        ("maybe", True, {"unclear flag": 1}), ([[]], True, {"unclear flag": 1}),
    ],
)  # fmt: skip
def test_coco_crowds_in_words(write_coco, value, ignored, counts):
    entry = {"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]}
    labels = read_coco(write_coco(annotations=[entry | {"iscrowd": value}]))
    assert labels.fields[0].objects[0].ignore is ignored
    assert labels.report.counts == {"unlabelled": 1} | counts


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox": [10**400, 2, 3, 4]}, {"bbox": [1, 2, 1e300, 4]}, {"bbox": 4},
        {"bbox": {"x": 1}}, {"keypoints": [10**400, 1, 2], "num_keypoints": 1},
        {"keypoints": 3, "num_keypoints": 1}, {"keypoints": "abc", "num_keypoints": 1},
    ],
)  # fmt: skip
def test_coco_counts_numbers_that_are_none(write_coco, changes):
    entry = {"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]} | changes
    labels = read_coco(write_coco(annotations=[entry, "", None, [], 3]))
    assert labels.report.counts == {"malformed": 5, "unlabelled": 2}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"[" * 100_000, "brackets in brackets"),
        (b'{"images": ' + b"9" * 5000 + b"}", "cannot be read as JSON .*digits"),
        (b"\xff\xfe", "is not COCO|cannot be read as JSON"),
        (b"\x80", "cannot be read as JSON"),
        (b"[]", "is not COCO"),
    ],
)
def test_hostile_json_is_refused_in_a_line(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_coco(path)


def test_json_of_100_mb_is_refused_by_its_size(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    start = time.monotonic()
    with pytest.raises(ImageError, match="has 100 MB, more than the 64 MB"):
        read_coco(path)
    assert time.monotonic() < start + 0.5


def test_coco_in_utf_16(write_coco):
    path = write_coco()
    path.write_bytes(path.read_text().encode("utf-16"))
    assert len(read_coco(path).fields) == 2
