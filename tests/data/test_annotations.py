"""Problems with labels, and what is the same in all formats."""

import numpy as np
import pytest

from claran.data.annotations import (
    FieldLabels,
    LabelledObject,
    Report,
    gather,
    read_box,
    read_flag,
    read_name,
)
from claran.labels import RGZ_CLASSES


def make_field(*objects):
    return FieldLabels(
        name="F",
        objects=tuple(
            LabelledObject(box=np.array(box, np.float32), code=code)
            for box, code in objects
        ),
        y_up=True,
    )


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


def test_what_a_file_says_cannot_break_the_report():
    report = Report()
    report.add("malformed", "a\nb\x1b[2J\ud800" + 1000 * "c")
    (kept,) = report.messages["malformed"]
    assert kept.startswith("a?b?[2J?c") and kept.endswith("c ...") and len(kept) < 310
    str(report).encode()


@pytest.mark.parametrize(
    "words, meaning",
    [
        (["False", "no", "0.0", "Unspecified", "None", " ", None, 0, False], False),
        (["True", "yes", "1.0", "1", 1, True], True),
        (["maybe", "2", -1, [], {}, "nan0"], None),
    ],
)
def test_flags_in_words(words, meaning):
    assert [read_flag(word) for word in words] == [meaning] * len(words)


@pytest.mark.parametrize(
    "name", ["", " ", "a\0b", "a\nb", "\ud800", None, [], 1.5, True]
)
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match=r"its name (must be text|is empty or)"):
        read_name(name, "its name")


@pytest.mark.parametrize(
    "edges",
    [[0, 0, 1e300, 1], [-1e8, 0, 1, 1], [0, 0, np.nan, 1], [1e7, 0, 1e7 + 0.1, 1]],
)
def test_boxes_without_a_meaning(edges):
    with pytest.raises(ValueError, match="its box must"):
        read_box(edges)
