import dataclasses
import json

import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.evaluation.catalogs import read_fields
from claran.evaluation.metrics import (
    EvaluationOptions,
    evaluate,
    mean_average_precision,
)

CLASSES = ("1_1", "1_2", "2_3")
FEW = EvaluationOptions(resample_count=50)
BOX, OTHER = [[2.0, 2.0, 12.0, 12.0]], [[30.0, 2.0, 40.0, 12.0]]


@pytest.fixture
def one_field(measured_field, make_found):
    """Makes a field with one source, and what was found in it."""

    def make(*, found=BOX, labels=(1,), scores=None, **options):
        true = measured_field("a", boxes=BOX, **options)
        return true, make_found(*found, labels=labels, scores=scores)

    return make


def perfect(fields):
    return [
        Detections(
            boxes=known.boxes, labels=known.labels, scores=np.full(len(known), 0.9)
        )
        for field in fields
        for known in [field.objects.take(np.flatnonzero(field.objects.labels))]
    ]


def test_the_truth_itself_is_perfect(random_fields):
    fields, _ = random_fields(40)
    result = evaluate(fields, perfect(fields), CLASSES, options=FEW)
    assert result.mean == result.mean_common == (1, 1, 1)
    assert {name: one.value for name, one in result.coco.items()} == dict.fromkeys(
        ("AP", "AP50", "AP75", "AR"), pytest.approx(1)
    )
    assert {one.mean.value for one in result.subsets if one.sources} == {1}
    assert (result.confusion == np.diag(result.confusion.diagonal())).all()
    assert result.calibration.error == pytest.approx(0.1)


def test_results_of_a_part_leave_the_rest_out(random_fields, measured_field):
    fields, found = random_fields(40)
    result = evaluate(fields, found, CLASSES, options=FEW)
    subsets = {one.name: one for one in result.subsets}
    objects = [field.objects for field in fields]
    consensus = np.concatenate([one.consensus[~one.ignored] for one in objects])
    assert subsets["consensus >= 0.8"].sources == (consensus >= 0.8).sum()
    assert subsets["consensus >= 0.6"].mean == result.mean
    several = sum(n for one in objects if (n := (~one.ignored).sum()) >= 2)
    assert subsets["fields with two or more sources"].sources == several
    sizes = [name for name in subsets if name.startswith("extent")]
    assert sum(subsets[name].sources for name in sizes) == len(consensus)
    bare = [
        measured_field(boxes=one.boxes, labels=one.labels, ignored=one.ignored)
        for one in objects
    ]
    (only,) = evaluate(bare, found, CLASSES, options=FEW).subsets
    assert only == subsets["fields with two or more sources"]


def test_same_seed_same_result_and_json_for_any_reader(random_fields):
    fields, found = random_fields(30)
    first, again = (
        evaluate(fields, found, CLASSES, options=FEW).to_json() for _ in range(2)
    )
    assert first == again
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    other = evaluate(
        fields, found, CLASSES, options=dataclasses.replace(FEW, seed=1)
    ).to_json()
    assert other["mean_ap"]["value"] == first["mean_ap"]["value"]
    assert other["mean_ap"]["low"] != first["mean_ap"]["low"]
    mean = mean_average_precision(fields, found, 3)
    assert mean == first["mean_ap"]["value"]


def test_unlabelled_detections_count_unless_told_otherwise(one_field):
    # A better score than the hit's, where nobody put a label.
    true, found = one_field(found=[*OTHER, *BOX], labels=(1, 1), scores=[0.99, 0.9])
    lenient = dataclasses.replace(FEW, ignore_unlabelled=True)
    strict = evaluate([true], [found], CLASSES, options=FEW)
    assert strict.mean.value == 0.5
    text = "<Evaluation: 1 fields, 1 sources, mean AP 0.500 at an IoU of 0.5>"
    assert repr(strict) == text
    result = evaluate([true], [found], CLASSES, options=lenient)
    assert result.mean.value == result.coco["AP"].value == 1
    assert result.confusion.sum() == 1


def test_a_class_without_detections_is_minus_one_where_the_original_says_so(one_field):
    true, found = one_field(found=[], labels=())
    result = evaluate([true], [found], CLASSES, options=FEW)
    assert result.classes[0].ap.value == result.mean.value == 0
    assert result.voc["area"]["mean"] == result.voc["11_points_rounded"]["1_1"] == -1


def test_boxes_that_end_with_a_pixel_are_longer_by_it_for_the_original(one_field):
    # y is up: in the picture the pixel is below. 7 of 10 columns, with it 8; of rows
    # 7 of 10, with it 8: an IoU of 0.49, then of 0.64.
    true, found = one_field(found=[[2.0, 5.0, 9.0, 12.0]])
    options = dataclasses.replace(FEW, inclusive_boxes=True)
    assert evaluate([true], [found], CLASSES, options=FEW).voc["area"]["1_1"] == 0
    result = evaluate([true], [found], CLASSES, options=options)
    assert result.voc["area"]["1_1"] == result.voc["area_rounded"]["mean"] == 1
    assert result.mean.value == 0


def test_without_a_source_nothing_is_known(one_field):
    true, found = one_field(ignored=np.array([True]))
    result = evaluate([true], [found], CLASSES, options=FEW)
    assert np.isnan([*result.mean, result.coco["AR"].value]).all()
    assert result.to_json()["mean_ap"] == {"value": None, "low": None, "high": None}
    assert "1C_1P                                     -" in result.table()


def test_rounding_as_in_the_originals_files_changes_the_order(one_field):
    # To three decimals both have the same score, and the first in the file goes first.
    true, found = one_field(
        found=[*OTHER, *BOX], labels=(1, 1), scores=[0.90001, 0.90002]
    )
    voc = evaluate([true], [found], CLASSES, options=FEW).voc
    assert voc["area"]["1_1"] == 1
    assert voc["area_rounded"]["1_1"] == 0.5


def test_table_names_classes_as_the_paper_does(random_fields):
    fields, found = random_fields(20)
    result = evaluate(fields, found, CLASSES, options=FEW)
    lines = result.table().splitlines()
    assert lines[1].split()[:2] == ["1C_1P", f"{result.classes[0].ap.value:.3f}"]
    assert lines[4].split()[0] == "mean"
    assert max(map(len, lines)) <= 80


def test_fields_keep_what_is_measured_and_lose_their_pixels(make_field):
    source = [make_field("a"), make_field("b", infrared=False)]
    first, second = read_fields(source)
    for field, whole in ((first, source[0]), (second, source[1])):
        np.testing.assert_array_equal(
            field.islands.boxes, [[20, 10, 26, 16], [34, 12, 40, 18]]
        )
        assert field.island_peaks.tolist() == whole.island_peaks.tolist()
        assert field.shape == (60, 64) and field.noise == 1.0
        assert field.pixel_arcsec == 1.8 and field.objects is whole.objects
        assert field.image.values.size == 0 and field.picture is None
    assert (first.name, second.name) == ("a", "b")


def test_pictures_have_no_islands(measured_field):
    field = measured_field(shape=(9, 5))
    assert not field.has_radio and field.shape == (9, 5)
    assert len(field.islands) == 0 and field.picture.size == 0


@pytest.mark.parametrize(
    "change, message",
    [
        pytest.param({"fields": []}, "at least 1, got 0 and 1", id="none"),
        pytest.param({"labels": (4,)}, "from 1 to 3, got 4", id="label"),
        pytest.param({"labels": (0,)}, "from 1 to 3, got 0", id="zero"),
    ],
)
def test_fields_and_detections_that_do_not_fit_are_refused(one_field, change, message):
    true, found = one_field(labels=change.get("labels", (1,)))
    with pytest.raises(ValueError, match=message):
        evaluate(change.get("fields", [true]), [found], CLASSES)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"score_threshold": np.nan},
            r"`score_threshold` must be in \[0, 1\], got nan",
        ),
        ({"resample_count": 0}, "`resample_count` must be at least 1, got 0"),
    ],
    ids=["threshold", "draws"],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EvaluationOptions(**options)
