"""Labels from CSV, COCO and VOC files, and what is said about bad ones."""

import json

import numpy as np
import pytest

from claran.data.annotations import FieldLabels, LabelledObject, Report, gather
from claran.data.annotations_coco import read_coco
from claran.data.annotations_csv import read_csv
from claran.data.annotations_voc import parse_voc, read_voc
from claran.errors import ImageError
from claran.labels import RGZ_CLASSES
from claran.sky.images import read_picture, read_sky_image

HEADER = "first_id,cls,box_x0,box_y0,box_x1,box_y1"
VOC = """<annotation><filename>F.png</filename>
<size><width>{width}</width><height>132</height><depth>3</depth></size>
<object><name>1_2</name><difficult>{difficult}</difficult>
<bndbox><xmin>{xmin}</xmin><ymin>11</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>
</object></annotation>"""


@pytest.fixture
def write_csv(tmp_path):
    def write(*lines: str, header: str = HEADER):
        path = tmp_path / "annotations.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write


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


def make_field(*objects):
    return FieldLabels(
        name="F",
        objects=tuple(
            LabelledObject(box=np.array(box, np.float32), code=code)
            for box, code in objects
        ),
        y_up=True,
    )


def voc(**changes) -> bytes:
    text = {"width": 132, "difficult": 0, "xmin": 1} | changes
    return VOC.format(**text).encode()


def contrast(values, boxes) -> float:
    """Returns mean brightness inside all boxes over that outside."""
    inside = np.zeros(values.shape, bool)
    for x0, y0, x1, y1 in np.asarray(boxes).round().astype(int).clip(0):
        inside[y0:y1, x0:x1] = True
    inner, outer = values[inside], np.abs(values[~inside])
    return float(np.nanmean(inner) / np.nanmean(outer))


def test_csv_of_real_fields_has_its_boxes_on_the_sources(real_data):
    labels = read_csv(real_data / "rgz_first_dev/annotations.csv")
    assert labels.classes == RGZ_CLASSES
    assert len(labels.fields) == 153
    assert sum(len(field.objects) for field in labels.fields) == 168
    assert not labels.report.counts
    right, wrong = [], []
    for field in labels.fields:
        path = real_data / f"rgz_first_dev/fits/{field.name}.fits"
        values = read_sky_image(path).values
        right.append(contrast(values, field.boxes))
        wrong.append(contrast(values[::-1], field.boxes))
    # A field has other sources than the labelled ones, so that some contrasts are low.
    assert np.median(right) > 8
    assert min(right) > 1
    assert np.median(right) > 2 * np.median(wrong)


def test_coco_of_real_fields_has_its_boxes_on_the_sources(real_data):
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


def test_csv_reads_the_optional_columns(write_csv):
    header = (
        "name,num_cpnts,num_peaks,consensus,peak_ras,peak_decs,host_ra,host_dec,ignore,"
        "split,infrared,box_x0,box_y0,box_x1,box_y1"
    )
    path = write_csv(
        "F,2,3,0.75,10.5;10.6,-1;-2,10.55,-1.5,1,validation,ir.png,0.5,1,2.5,3",
        header=header,
    )
    (field,) = read_csv(path).fields
    (entry,) = field.objects
    assert (field.name, field.split, field.infrared) == ("F", "validation", "ir.png")
    assert (entry.code, entry.components, entry.peaks) == ("2_3", 2, 3)
    assert (entry.consensus, entry.ignore) == (0.75, True)
    assert entry.box.tolist() == [0.5, 1, 2.5, 3]
    assert entry.component_sky.tolist() == [[10.5, -1], [10.6, -2]]
    assert entry.host_sky == (10.55, -1.5)


@pytest.mark.parametrize(
    "text, expected",
    [("0", False), ("False", False), ("0.0", False), ("", False), ("TRUE", True)],
)
def test_csv_reads_flags_as_others_write_them(write_csv, text, expected):
    header = "name,cls,ignore,box_x0,box_y0,box_x1,box_y1"
    (field,) = read_csv(write_csv(f"F,1_1,{text},0,1,2,3", header=header)).fields
    assert field.objects[0].ignore is expected


@pytest.mark.parametrize(
    "column, message",
    [
        ("ignore", "ignore must be 1 or 0, got 'maybe'"),
        ("peak_decs", "must be numbers with ;"),
    ],
)
def test_csv_reports_what_makes_no_sense(write_csv, column, message):
    header = f"name,cls,{column},box_x0,box_y0,box_x1,box_y1"
    labels = read_csv(write_csv("F,1_1,maybe,0,1,2,3", "G,1_1,,0,1,2,3", header=header))
    assert [field.name for field in labels.fields] == ["G"]
    assert labels.report.counts == {"malformed": 1} and message in str(labels.report)


def test_csv_takes_impossible_places_for_unknown(write_csv):
    header = "name,cls,host_ra,host_dec,box_x0,box_y0,box_x1,box_y1"
    (field,) = read_csv(write_csv("F,1_1,-99,-99,0,1,2,3", header=header)).fields
    assert field.objects[0].host_sky is None
    header = "name,cls,peak_ras,peak_decs,box_x0,box_y0,box_x1,box_y1"
    lines = ("F,1_1,10,-999,0,1,2,3", "G,1_1,10,-9,0,1,2,3")
    labels = read_csv(write_csv(*lines, header=header))
    assert "peak_decs must be degrees from -90 to 90" in str(labels.report)


def test_csv_keeps_a_field_without_a_source(write_csv):
    (field,) = read_csv(write_csv("F,,,,,")).fields
    assert field.boxes.shape == (0, 4)
    assert field.split == ""


@pytest.mark.parametrize(
    "line, message",
    [
        ("F,1_1,1,2,3", "has more or fewer columns"),
        ("F,1_1,1,2,3,4,5", "has more or fewer columns"),
        (",1_1,1,2,3,4", "has no name of a field"),
        ("F,1_1,1,x,3,4", "box_y0 must be a number, got 'x'"),
        ("F,1_1,1,,3,4", "must satisfy x0 < x1 and y0 < y1, got .1.0, nan, 3.0, 4.0."),
        ("F,1_1,3,2,1,4", "must satisfy x0 < x1 and y0 < y1"),
        ("F,1_1,-inf,2,1,4", "must satisfy x0 < x1 and y0 < y1"),
        ("F,,1,2,3,4", "has no class"),
    ],
)
def test_csv_counts_malformed_lines(write_csv, line, message):
    labels = read_csv(write_csv("G,1_1,1,2,3,4", line))
    assert [field.name for field in labels.fields] == ["G"]
    assert labels.report.counts == {"malformed": 1}
    with pytest.raises(ValueError, match=message):
        raise ValueError(labels.report.messages["malformed"][0])


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("num_peaks", "1.5", "num_peaks must be a whole number, got '1.5'"),
        ("num_cpnts", "inf", "num_cpnts must be a whole number, got 'inf'"),
        ("peak_ras", "1;x", "peak_ras must be numbers with ;, got '1;x'"),
        ("split", "dev", "split must be one of train, validation, test, got 'dev'"),
        ("training", "2", "training must be 1 or 0, got '2'"),
        ("peak_ras", "1;2", "peak_ras and peak_decs differ in length"),
    ],
)
def test_csv_counts_malformed_extras(write_csv, column, value, message):
    path = write_csv(f"F,1_1,1,2,3,4,{value}", header=f"{HEADER},{column}")
    with pytest.raises(ImageError, match=f"no valid line; 1 malformed .*{message}"):
        read_csv(path)


def test_csv_puts_a_field_of_two_splits_into_test(write_csv):
    header = f"{HEADER},training"
    path = write_csv("F,1_1,1,2,3,4,1", "F,1_1,5,6,7,8,0", header=header)
    labels = read_csv(path)
    assert [field.split for field in labels.fields] == ["test"]
    assert labels.report.messages == {"conflicting": ["F: is in test, train"]}


@pytest.mark.parametrize(
    "header, missing",
    [
        ("first_id,cls,box_x0,box_y0,box_x1", "box_y1"),
        ("cls,box_x0,box_y0,box_x1,box_y1", "first_id"),
        ("name,num_peaks,box_x0,box_y0,box_x1,box_y1", "cls"),
    ],
)
def test_csv_without_a_column_is_refused(write_csv, header, missing):
    with pytest.raises(ImageError, match=rf"lacks the column\(s\) {missing}; has "):
        read_csv(write_csv(header=header))


def test_csv_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"none[.]csv: cannot be read as a table"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImageError, match=r"bytes[.]csv: cannot be read as a table"):
        read_csv(tmp_path / "bytes.csv")


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


def test_voc_counts_from_one_and_includes_the_last_pixel():
    field = parse_voc(voc(), "F", report := Report())
    assert field is not None
    assert field.boxes.tolist() == [[0, 10, 20, 30]]
    assert (field.codes, field.shape, field.image) == (("1_2",), (132, 132), "F.png")
    assert not field.objects[0].ignore
    assert not report.counts


def test_voc_keeps_difficult_objects_to_ignore():
    field = parse_voc(voc(difficult=1), "F", Report())
    assert field is not None
    assert field.objects[0].ignore


@pytest.mark.parametrize(
    "content, message",
    [
        pytest.param(b"<annotation>", "F.xml: not XML", id="cut"),
        pytest.param(
            b'<?xml version="1.0" encoding="x"?><annotation/>',
            "F.xml: not XML",
            id="encoding",
        ),
        pytest.param(b"<html/>", "F.xml: <html>, not <annotation>", id="html"),
        pytest.param(voc(xmin="a"), "object 1: <bndbox/xmin> must be a n", id="text"),
        pytest.param(voc(xmin=21), "object 1: its box must satisfy", id="inverted"),
        pytest.param(voc().replace(b"1_2", b""), "object 1: has no name", id="name"),
    ],
)
def test_voc_counts_malformed_files_and_objects(content, message):
    parse_voc(content, "F", report := Report())
    assert report.counts["malformed"] == 1
    assert message in report.messages["malformed"][0]


@pytest.mark.parametrize("width", ["", "inf", "nan", "0"])
def test_voc_without_a_size_has_no_shape(width):
    field = parse_voc(voc(width=width), "F", Report())
    assert field is not None
    assert field.shape is None


def test_voc_folder(tmp_path):
    (tmp_path / "a.xml").write_bytes(voc())
    (tmp_path / "b.xml").write_bytes(b"<annotation/>")
    labels = read_voc(tmp_path, classes=("1_1", "1_2"))
    assert [field.name for field in labels.fields] == ["a", "b"]
    assert labels.classes == ("1_1", "1_2")
    assert labels.report.counts == {"unlabelled": 1}


def test_voc_folder_without_voc_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"no such folder, or no [.]xml file in it"):
        read_voc(tmp_path)
    (tmp_path / "a.xml").write_text("")
    with pytest.raises(ImageError, match="has no PASCAL VOC file; 1 malformed"):
        read_voc(tmp_path)


def test_equal_boxes_are_counted_and_the_first_stays():
    field = make_field(
        ([0, 0, 1, 1], "1_1"), ([0, 0, 1, 1], "1_1"), ([0, 0, 1, 1], "1_2")
    )
    labels = gather([field], None, Report())
    assert labels.fields[0].codes == ("1_1",)
    assert labels.report.counts == {"duplicated": 1, "conflicting": 1}


def test_class_list_of_its_own():
    labels = gather([make_field(([0, 0, 1, 1], "FR-II"))], None, Report())
    assert labels.classes == ("FR-II",)


def test_object_of_another_class_is_ignored_and_counted():
    labels = gather([make_field(([0, 0, 1, 1], "4_5"))], RGZ_CLASSES, Report())
    assert labels.fields[0].objects[0].ignore
    assert str(labels.report) == "1 unknown class (F: '4_5')"


def test_report_keeps_the_first_messages_and_counts_all():
    report = Report(keep=2)
    for number in range(3):
        report.add("malformed", f"line {number}")
    other = Report(keep=2)
    other.merge(report)
    other.merge(report)
    assert str(other) == "6 malformed (line 0; line 1; ...)"
    assert other.to_dict() == {"malformed": {"count": 6, "first": ["line 0", "line 1"]}}
    assert str(Report()) == "no problems"
