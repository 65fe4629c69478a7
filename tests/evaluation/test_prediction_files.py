import contextlib
import io
import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from claran.catalog.tables import write_table
from claran.detection.detections import Detections
from claran.errors import ImageError
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.evaluation.prediction_files import (
    coco_files,
    read_predictions,
    to_table,
    voc_files,
)
from claran.evaluation.voc_text import read_voc_detections

CLASSES = ("1_1", "2_3")


@pytest.fixture
def labelled(measured_field, make_found):
    """A FITS field, a picture and a field without detections; what was found."""
    fields = [
        measured_field(
            name, boxes=[[10, 4, 30, 24]], labels=[2], shape=(50, 60), islands=islands
        )
        for name, islands in (("f", ()), ("p", None), ("e", ()))
    ]
    box = [10.0, 5.0, 30.0, 25.0]
    found = [
        make_found(box, [1.0, 2.0, 3.5, 4.5], labels=[2, 1], scores=[0.875, 0.25]),
        make_found(box, labels=[2], scores=[0.5]),
        Detections.none(),
    ]
    return fields, found


def assert_equal(ours, expected):
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.scores, other.scores)


@pytest.mark.parametrize("sky", [False, True], ids=["pixels", "sky"])
@pytest.mark.parametrize("ending", [".ecsv", ".csv", ".fits", ".vot"])
def test_a_table_comes_back_as_it_was(labelled, tmp_path, ending, sky):
    fields, found = labelled
    table = to_table(fields, found, CLASSES)
    if sky:  # As of FITS files with a WCS.
        table["center"] = SkyCoord([1, 2, 3], [4, 5, 6], unit="deg")
    # y is up in FITS and down in pictures: 50 - 25 from the top.
    assert table["y0"].tolist() == [5, 2, 25]
    write_table(table, tmp_path / f"table{ending}")
    result = read_predictions(tmp_path / f"table{ending}", fields, CLASSES)
    assert_equal(result.fields, found)
    assert result.unknown == 0


def test_voc_text_comes_back_as_it_was(labelled, tmp_path):
    fields, found = labelled
    fields[0] = fields[0].replace(name="my field")
    files = voc_files(fields, found, CLASSES)
    # One is added to the first edges: VOC counts pixels from one.
    assert files["2_3.txt"] == (
        "my field 0.875 11.0 26.0 30.0 45.0\np 0.500 11.0 26.0 30.0 45.0\n"
    )
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    # Class by class: the rows of the first field change places.
    first, *others = read_predictions(tmp_path, fields, CLASSES).fields
    assert first.labels.tolist() == [1, 2]
    np.testing.assert_array_equal(first.boxes, found[0].boxes[::-1])
    assert_equal(others, found[1:])


def test_coco_comes_back_as_it_was_and_pycocotools_takes_it(
    labelled, tmp_path, pycocotools
):
    fields, found = labelled
    truth, results = coco_files(fields, found, CLASSES)
    for name, content in (("truth", truth), ("results", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    result = read_predictions(tmp_path / "results.json", fields, CLASSES)
    assert_equal(result.fields, found)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = pycocotools.COCO(tmp_path / "truth.json")
        results = coco.loadRes(str(tmp_path / "results.json"))
        theirs = pycocotools.COCOeval(coco, results, "bbox")
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    options = EvaluationOptions(resample_count=1)
    ours = evaluate(fields, found, CLASSES, options=options).coco
    np.testing.assert_allclose(
        [ours[name].value for name in ("AP", "AP50", "AP75")], theirs.stats[:3]
    )


def test_an_ignored_source_of_no_class_is_a_crowd_of_every_class(measured_field):
    field = measured_field(
        boxes=[[0, 0, 4, 2]], labels=[0], ignored=[True], shape=(10, 10)
    )
    content, results = coco_files([field], [Detections.none()], CLASSES)
    crowds = [(a["category_id"], a["iscrowd"]) for a in content["annotations"]]
    assert crowds == [(1, 1), (2, 1)]
    assert content["annotations"][0]["bbox"] == [0, 8, 4, 2]
    assert results == []


def test_a_table_may_name_files_and_hold_other_fields(labelled, tmp_path):
    fields, _ = labelled
    path = tmp_path / "table.csv"
    path.write_text(
        "image,label,score,x0,y0,x1,y1\n"
        "f.fits,1_1,0.5,0,0,1,1\n"
        "survey/f.fits.gz,2_3,0.4,0,0,2,2\n"
        "elsewhere.fits,FR-II,0.5,0,0,1,1\n"
    )
    result = read_predictions(path, fields, CLASSES)
    assert result.unknown == 1
    assert result.fields[0].labels.tolist() == [1, 2]


HEAD = "image,label,score,x0,y0,x1,y1\n"


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("t.csv", "image,label\nf,1_1\n", "no column score, x0"),
        ("t.csv", HEAD + "z,1_1,0.5,0,0,1,1\n", "none of its images .* 'z'"),
        ("t.csv", HEAD + "f,FR-II,0.5,0,0,1,1\n", "'FR-II' is no class of the data"),
        ("t.csv", HEAD + "f,1_1,nan,0,0,1,1\n", "row 1 has a score"),
        ("t.csv", HEAD + "f,1_1,,0,0,1,1\nf,1_1,0.5,0,0,1,1\n", "row 1 has a score"),
        ("t.csv", HEAD + "f,1_1,high,0,0,1,1\n", "has text in a column of numbers"),
        ("t.txt", HEAD, "cannot be read as a table .*must end in"),
        ("t.fits", "no table", "cannot be read as a table"),
        ("t.json", "{}[", "is not a list of COCO results"),
        ("t.json", '[{"image_id": 1}]', "is not a list of COCO results"),
        ("d/9_9.txt", "", "has no 1_1.txt"),
        ("d/1_1.txt", "f 0.5 1 2 3\n", "1_1.txt, line 1: must be name score"),
        ("d/1_1.txt", "f 0.5 1 2 nan 3\n", "1_1.txt, line 1: must be name score"),
    ],
)
def test_what_cannot_be_read_is_named(labelled, tmp_path, name, content, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path = path.parent if name.startswith("d/") else path
    with pytest.raises(ImageError, match=message):
        read_predictions(path, labelled[0], CLASSES)


def test_classes_without_a_file_have_no_detection(tmp_path):
    (tmp_path / "2_3.txt").write_text("a 0.5 1 1 2 2\nother 0.5 1 1 2 2\n")
    (found,) = read_voc_detections(tmp_path, ["a"], CLASSES)
    assert found.labels.tolist() == [2]
    np.testing.assert_array_equal(found.boxes, [[0, 0, 2, 2]])
