"""Labels in a table."""

import numpy as np
import pytest

from claran.data.annotations_csv import read_csv
from claran.errors import ImageError
from claran.labels import RGZ_CLASSES
from claran.sky.images import read_sky_image

HEADER = "first_id,cls,box_x0,box_y0,box_x1,box_y1"


@pytest.fixture
def write_csv(tmp_path):
    def write(*lines: str, header: str = HEADER):
        path = tmp_path / "annotations.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write


def test_csv_of_real_fields_has_its_boxes_on_the_sources(real_data, contrast):
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
    (field, other) = read_csv(write_csv("F,,,,,", "G,,nan,NaN,nan,nan")).fields
    assert not other.objects
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
        ("F,1_1,-inf,2,1,4", "must be within 10,000,000 pixels, got .-inf"),
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


@pytest.mark.parametrize("word", ["", "nan", "None", "NULL", "n/a", "unknown", "-"])
def test_csv_takes_no_word_for_nothing(write_csv, word):
    columns = "split,training,cl,ignore,num_peaks,peak_ras,peak_decs,host_ra,image"
    lines = (f"F,1_1,1,2,3,4{9 * f',{word}'}", f"G{6 * f',{word}'},1{7 * ','}")
    labels = read_csv(write_csv(*lines, header=f"{HEADER},{columns}"))
    assert [field.split for field in labels.fields] == ["", "train"]
    assert [len(field.objects) for field in labels.fields] == [1, 0]
    assert labels.fields[0].image == "" and not labels.report.counts


def test_csv_classes_may_have_the_names_of_nothing(write_csv):
    labels = read_csv(write_csv("NA,unknown,1,2,3,4", "-,None,1,2,3,4"))
    assert [field.name for field in labels.fields] == ["NA", "-"]
    assert labels.classes == ("None", "unknown")


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", ",;\t")
def test_csv_as_spreadsheets_save_it(tmp_path, encoding, delimiter):
    text = f"{HEADER}\r\nF\u00e9,1_1,1,2,3,4\r\n".replace(",", delimiter)
    path = tmp_path / "annotations.csv"
    path.write_bytes(text.encode(encoding))
    (field,) = read_csv(path).fields
    assert (field.name, field.boxes.tolist()) == ("F\u00e9", [[1, 2, 3, 4]])


def test_csv_in_another_encoding_says_what_to_do(tmp_path):
    path = tmp_path / "annotations.csv"
    path.write_bytes(f"{HEADER}\nF\u00e9,1_1,1,2,3,4\n".encode("latin-1"))
    with pytest.raises(ImageError, match=r"0xe9 .*save it as UTF-8"):
        read_csv(path)


def test_csv_with_its_header_alone_says_so(write_csv):
    with pytest.raises(ImageError, match="has no line after the names of the columns"):
        read_csv(write_csv())


def test_csv_with_a_column_twice_is_refused(write_csv):
    with pytest.raises(ImageError, match="has the column cls twice"):
        read_csv(write_csv(header=f"{HEADER},cls"))


@pytest.mark.parametrize(
    "line, message",
    [
        ("a\0b,1_1,1,2,3,4", "line 3: the name of the field is empty or has control"),
        ("F,a\0b,1,2,3,4", "line 3: its class is empty or has control"),
        (f"{200_000 * 'x'},1_1,1,2,3,4", "line 3: field larger than field limit"),
        ("F,1_1,1,2,3,1e300", "line 3: its box must be within"),
    ],
)
def test_csv_counts_a_hostile_line_and_reads_the_others(write_csv, line, message):
    labels = read_csv(write_csv("G,1_1,1,2,3,4", line, "H,1_1,1,2,3,4"))
    assert [field.name for field in labels.fields] == ["G", "H"]
    assert labels.report.counts == {"malformed": 1}
    assert message in str(labels.report)


def test_csv_says_which_lines_a_quotation_mark_took(write_csv):
    labels = read_csv(write_csv("G,1_1,1,2,3,4", '"H,1_1,1,2,3,4', "I,1_1,1,2,3,4"))
    assert [field.name for field in labels.fields] == ["G"]
    assert "lines 3 to 4: has more or fewer columns" in str(labels.report)
    assert "a quotation mark begins it" in str(labels.report)


def test_csv_reads_splits_as_others_write_them(write_csv):
    lines = [f"{word},1_1,1,2,3,4,{word}" for word in ("Train", "val", "TEST", "")]
    fields = read_csv(write_csv("x,1_1,1,2,3,4,", *lines[:3], header=HEADER + ",split"))
    splits = [field.split for field in fields.fields]
    assert splits == ["", "train", "validation", "test"]
