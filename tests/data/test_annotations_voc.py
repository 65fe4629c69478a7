"""Labels in PASCAL VOC's XML."""

import pytest

from claran.data.annotations import Report
from claran.data.annotations_voc import parse_voc, read_voc
from claran.errors import ImageError

VOC = """<annotation><filename>F.png</filename>
<size><width>{width}</width><height>132</height><depth>3</depth></size>
<object><name>1_2</name><difficult>{difficult}</difficult>
<bndbox><xmin>{xmin}</xmin><ymin>11</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>
</object></annotation>"""


def voc(**changes) -> bytes:
    text = {"width": 132, "difficult": 0, "xmin": 1} | changes
    return VOC.format(**text).encode()


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


@pytest.mark.parametrize(
    "word, ignored, counts",
    [
        ("False", False, {}), ("no", False, {}), ("0.0", False, {}), ("", False, {}),
        ("Unspecified", False, {}), ("\n None ", False, {}), ("yes", True, {}),
        ("True", True, {}), ("1.0", True, {}), ("maybe", True, {"unclear flag": 1}),
    ],
)  # fmt: skip
def test_voc_flags_in_words(word, ignored, counts):
    field = parse_voc(voc(difficult=word), "F", report := Report())
    assert field is not None and field.objects[0].ignore is ignored
    assert report.counts == counts


@pytest.mark.parametrize(
    "xmin, x0, kind",
    [(0, 0, "counted from 0"), (0.5, 0, "counted from 0"), (-3, 0, "cut by the edge")],
)
def test_voc_box_that_begins_before_the_picture_is_kept(xmin, x0, kind):
    field = parse_voc(voc(xmin=xmin), "F", report := Report())
    assert field is not None
    assert field.boxes.tolist() == [[x0, 10, 20, 30]]
    assert report.counts == {kind: 1}


def test_voc_pixel_0_is_a_pixel_and_what_is_outside_is_not():
    content = voc(xmin=0).replace(b"<xmax>20", b"<xmax>0")
    field = parse_voc(content, "F", Report())
    assert field is not None and field.boxes.tolist() == [[0, 10, 1, 30]]
    content = voc(xmin=-9).replace(b"<xmax>20", b"<xmax>-1")
    parse_voc(content, "F", report := Report())
    assert "is outside of the picture" in str(report)


@pytest.mark.parametrize(
    "said, encoding",
    [
        ("gbk", "gbk"), ("gb2312", "gb2312"), ("big5", "big5"), ("shift_jis",) * 2,
        ("UTF8MB4", "utf-8"), ("iso-8859-1", "utf-8"), ("utf-16", "utf-16"),
        ("utf-16", "utf-8"), ("utf-8", "utf-8-sig"), (None, "utf-8-sig"),
        (None, "utf-16"), ("utf-16", "utf-16-le"), ("utf-16", "utf-16-be"),
    ],
)  # fmt: skip
def test_voc_in_the_encodings_that_occur(said, encoding):
    head = f'<?xml version="1.0" encoding="{said}"?>\n' if said else ""
    text = head + voc().decode().replace("1_2", "\u4e2d")
    if said == "iso-8859-1":
        text, encoding = text.replace("\u4e2d", "\u00e9"), said
    field = parse_voc(text.encode(encoding), "F", report := Report())
    assert field is not None and field.codes[0] in ("\u4e2d", "\u00e9")
    assert not report.counts


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0" encoding="utf8mb5"?>' + voc(),
        b'<?xml version="1.0" encoding="hex"?>' + voc(),
        b'<?xml version="1.0" encoding="gbk"?><annotation>\xff\xff</annotation>',
        voc().replace(b"1_2", b"\xe9"),
        b'<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + voc(),
        b"<!DOCTYPE annotation [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]>" + voc(),
        "\ufeff<!DOCTYPE annotation [<!ENTITY a 'x'>]><annotation/>".encode("utf-16"),
    ],
)
def test_voc_counts_a_file_and_reads_the_others(tmp_path, content):
    (tmp_path / "a.xml").write_bytes(content)
    (tmp_path / "b.xml").write_bytes(voc())
    labels = read_voc(tmp_path)
    assert [field.name for field in labels.fields] == ["b"]
    assert labels.report.counts == {"malformed": 1} and "a.xml" in str(labels.report)


def test_voc_files_of_one_name_are_two_fields(tmp_path):
    for name in ("train/a.xml", "val/a.xml", "val/b.XML", "val/._b.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(voc())
    labels = read_voc(tmp_path)
    assert [field.name for field in labels.fields] == ["train/a", "val/a", "b"]
