"""Files of VOC's text: their names, and what is in them."""

import unicodedata

import numpy as np

from claran.evaluation.voc_text import file_names, read_voc_detections

CODES = (
    "1_1", "FR-I", "FR I", "\u00e9", "../../x", "..", ".", "", "a/b", "a\\b", "a%2Fb",
    "con", "Con.x", "a\0b", "fr-i", "~", "-rf", "C:x", "a:b", 500 * "x",
    500 * "x" + "y", "\ud800", "fr-i\x02", "Fr-i", "%", "%~2",
)  # fmt: skip


def test_every_class_has_a_file_of_its_own_in_the_folder(tmp_path):
    names = file_names(CODES)
    assert names[:4] == ["1_1.txt", "FR-I.txt", "FR I.txt", "\u00e9.txt"]
    folded = {unicodedata.normalize("NFKC", name).casefold() for name in names}
    assert len(folded) == len(CODES)
    for name in names:
        path = tmp_path / name
        path.write_text("")  # Each is a name of a file.
        assert path.resolve().parent == tmp_path and not name.startswith((".", "-"))
    assert len(list(tmp_path.iterdir())) == len(CODES)


def test_classes_without_a_file_have_no_detection(tmp_path):
    (tmp_path / "2_3.txt").write_text("a 0.5 1 1 2 2\nother 0.5 1 1 2 2\n")
    (found,), unknown = read_voc_detections(tmp_path, ["a"], ("1_1", "2_3"))
    assert unknown == 1
    assert found.labels.tolist() == [2]
    np.testing.assert_array_equal(found.boxes, [[0, 0, 2, 2]])
