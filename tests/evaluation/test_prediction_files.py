import contextlib
import importlib.util
import io
import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from claran.catalog.tables import write_table
from claran.detection.detections import Detections
from claran.errors import ImageError
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.evaluation.origin import Origin
from claran.evaluation.prediction_files import (
    coco_files,
    read_origin,
    read_predictions,
    to_table,
    voc_files,
)
from claran.labels import RGZ_CLASSES

CLASSES = ("1_1", "2_3")
PARQUET = pytest.param(
    ".parquet",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed"
    ),
)


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
@pytest.mark.parametrize("ending", [".ecsv", ".csv", ".fits", ".vot", PARQUET])
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


@pytest.mark.parametrize("ending", [".ecsv", ".fits", ".vot", PARQUET])
@pytest.mark.parametrize("names", [RGZ_CLASSES, ("FR-I", "FR-II"), ("\u00e9 x", "a;b")])
def test_what_a_table_says_of_its_detector_comes_back(tmp_path, ending, names):
    for length in range(1, 70, 4):  # Lines of a VOTable may break anywhere.
        meta = {
            "MODEL": length * "m", "ROWS": "catalog", "MINSCORE": 0.5, "CATSCORE": 0.8,
            "CLASSES": ",".join(names), "INCLBOX": True, "NOTES": "ROWS = x; MODEL = y",
        }  # fmt: skip
        path = tmp_path / f"table{ending}"
        write_table(to_table([], [], names, meta=meta), path)
        assert read_origin(path) == Origin(names, 0.8, True, 0.5, True)


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
        ("t.json", "{}[", "cannot be read as JSON"),
        ("t.json", "{}", "is not a list of COCO results"),
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


@pytest.mark.parametrize("ending", [".csv", ".ecsv", ".fits", ".vot", PARQUET])
def test_names_that_a_spreadsheet_would_run_come_back(tmp_path, labelled, ending):
    names = ("=HYPERLINK(1)", "'=a", "-1", "@x", "001", "+", "a, b", "'90s", "1e5")
    fields = [labelled[0][0].replace(name=name) for name in names]
    found = [labelled[1][0]] * len(names)
    path = tmp_path / f"table{ending}"
    write_table(to_table(fields, found, ("=1_1", "-2_3")), path)
    result = read_predictions(path, fields, ("=1_1", "-2_3"))
    assert_equal(result.fields, found)
    if ending == ".csv":
        cells = [line.split(",") for line in path.read_text().splitlines()[1:]]
        assert not [cell for line in cells for cell in line if cell[0] in "=+-@"]
        assert {line[-1] for line in cells} == {"25.0", "4.5"}  # Numbers stay.


def test_predictions_match_names_in_folders(labelled, tmp_path):
    fields = [labelled[0][0].replace(name=name) for name in ("train/a", "val/a", "b")]
    path = tmp_path / "table.csv"
    rows = ("images/val/a.png", "train/a.png", "b_radio.fits", "a", "other/a", "c")
    path.write_text(HEAD + "".join(f"{row},1_1,0.5,0,0,1,1\n" for row in rows))
    result = read_predictions(path, fields, CLASSES)
    assert [len(found) for found in result.fields] == [1, 1, 1]
    assert result.unknown == 3  # "a" may be either.
    text = "".join(f"{row} 0.5 1 1 2 2\n" for row in rows)
    (tmp_path / "1_1.txt").write_text(text + "\n")
    assert read_predictions(tmp_path, fields, CLASSES).unknown == 3


def test_boxes_that_look_wrong_are_said(labelled, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        HEAD + "f,1_1,0.5,9,2,3,4\nf,1_1,0.5,3,4,9,2\nf,2_3,0.5,70,2,80,4\n"
        "f,1_1,0.5,3,2,9,4\n"
    )
    result = read_predictions(path, labelled[0], CLASSES)
    assert result.fields[0].boxes[[0, 1, 3]].tolist() == [[3, 2, 9, 4]] * 3
    assert result.report.counts == {"reversed box": 2, "outside the image": 1}


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("t.json", "[" * 100_000, "brackets in brackets"),
        ("t.json", '[{"image_id":1,"category_id":1,"score":1,"bbox":[1' + "0" * 400
         + ",1,2,2]}]", "number 1: OverflowError"),
        ("t.json", '[{"image_id":true,"category_id":1,"score":1,"bbox":[1,1,2,2]}]',
         "no number of an image"),
        ("t.json", '[{"image_id":1.5,"category_id":1,"score":1,"bbox":[1,1,2,2]}]',
         "no number of an image"),
        ("t.json", '[{"image_id":0,"category_id":1,"score":1,"bbox":[1,1,2,2]}]',
         "0 is no number of an image or a class, from 1"),
        ("t.json", "[1]", "not a list of COCO results"),
        ("t.csv", HEAD + "f,1_1,0.5,0,0,1,1e300\n", "row 1 has a score or a box edge"),
        ("t.csv", HEAD + "f,1_1,0.5,0,0,1\n", "line 2 has not 7 columns"),
        ("t.csv", HEAD + f"f,{'x' * 10_000},0.5,0,0,1,1\n", "'x{300} ...' is no class"),
        ("t.csv", "http://localhost:1/t.csv", "has no column image"),
        ("t.csv", "\x1f\x8b\x08\x00", "has no column image"),
        ("t.ecsv", "http://localhost:1/t.csv", "cannot be read as a table"),
        ("t.fits", "\x1f\x8b\x08\x00", "it is not FITS"),
        ("d/1_1.txt", "z 0.5 1 2 3 4\n", "none of its 1 lines is of a field"),
        ("d/1_1.txt", b"\xff\xff", "1_1.txt: cannot be read as text"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_a_line(
    labelled, tmp_path, name, content, message
):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path = path.parent if name.startswith("d/") else path
    with pytest.raises(ImageError, match=message) as caught:
        read_predictions(path, labelled[0], CLASSES)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


VOTABLE = """<?xml version="1.0"?>{dtd}
<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="image" datatype="char"
arraysize="*"/><DATA><BINARY><STREAM {more} href="{href}"/></BINARY></DATA></TABLE>
</RESOURCE></VOTABLE>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("more", ["", "encoding='>'", "ID='href'"])
def test_no_address_in_a_table_is_opened(
    labelled, tmp_path, monkeypatch, encoding, more
):
    opened = []
    monkeypatch.setattr(urllib.request, "urlopen", opened.append)
    for href in ("http://localhost:1/x", "file:///etc/passwd", "ftp://x"):
        text = VOTABLE.format(dtd="", more=more, href=href)
        (tmp_path / "t.vot").write_bytes(text.encode(encoding))
        with pytest.raises(ImageError, match=f"its data are elsewhere, at {href}"):
            read_predictions(tmp_path / "t.vot", labelled[0], CLASSES)
    for name in ("http://localhost:1/t.csv", "file:///etc/t.vot", "ftp://x/t.fits"):
        with pytest.raises(ImageError, match="no such file"):
            read_predictions(Path(name), labelled[0], CLASSES)
    assert not opened


def test_entities_in_a_table_are_refused(labelled, tmp_path):
    bomb = "".join(f'<!ENTITY a{i + 1} "{9 * f"&a{i};"}">' for i in range(9))
    dtd = f'<!DOCTYPE x [<!ENTITY a0 "x">{bomb}]>'
    text = VOTABLE.format(dtd=dtd, more="", href="&a9;")
    (tmp_path / "t.xml").write_text(text)
    with pytest.raises(ImageError, match="it defines the entity a0"):
        read_predictions(tmp_path / "t.xml", labelled[0], CLASSES)


def test_classes_with_odd_names_come_back(labelled, tmp_path):
    fields, _ = labelled
    codes = ("../../x", "a/b", "FR", "fr")
    rows = np.tile([1.0, 2.0, 30.0, 40.0], (4, 1))
    found = [
        Detections(boxes=rows, labels=np.arange(1, 5), scores=np.full(4, 0.5)),
        *labelled[1][1:],
    ]
    for name, text in voc_files(fields, found, codes).items():
        (tmp_path / name).write_text(text)
    result = read_predictions(tmp_path, fields, codes)
    assert_equal(result.fields[:1], found[:1])
    # Others call the files by the names alone, where these are names of files.
    (tmp_path / "fr%~2.txt").rename(tmp_path / "fr.txt")
    assert_equal(read_predictions(tmp_path, fields, codes).fields[:1], found[:1])


@pytest.mark.parametrize(
    "nrows, arraysize", [("20000000", "1"), ("1", "100000000"), ("1", "1000x1000x100")]
)
def test_a_table_that_claims_too_much_is_refused(labelled, tmp_path, nrows, arraysize):
    text = VOTABLE.format(dtd="", more="", href="").replace(' href=""', "")
    text = text.replace("<TABLE>", f'<TABLE nrows="{nrows}">')
    text = text.replace('arraysize="*"', f'arraysize="{arraysize}"')
    (tmp_path / "t.vot").write_text(text)
    with pytest.raises(ImageError, match="are more than it holds"):
        read_predictions(tmp_path / "t.vot", labelled[0], CLASSES)
