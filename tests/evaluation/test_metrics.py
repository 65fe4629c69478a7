import dataclasses
import json

import numpy as np
import pytest

from claran.evaluation.metrics import (
    EvaluationOptions,
    evaluate,
    mean_average_precision,
)
from claran.evaluation.truth import FieldDetections, FieldTruth, truth_of

CLASSES = ("1_1", "1_2", "2_3")
FEW = EvaluationOptions(resample_count=50)
BOX, OTHER = [[2.0, 2.0, 12.0, 12.0]], [[30.0, 2.0, 40.0, 12.0]]


def one_field(*, found=BOX, labels=(1,), **options):
    true = FieldTruth(name="a", boxes=np.array(BOX), labels=np.array([1]), **options)
    boxes = np.array(found, float).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9)
    return true, FieldDetections(
        boxes=boxes, labels=np.array(labels, int), scores=scores
    )


def perfect(truths):
    return [
        FieldDetections(
            boxes=truth.boxes[truth.labels > 0],
            labels=truth.labels[truth.labels > 0],
            scores=np.full((truth.labels > 0).sum(), 0.9),
        )
        for truth in truths
    ]


def test_the_truth_itself_is_perfect(random_fields):
    truths, _ = random_fields(40)
    result = evaluate(truths, perfect(truths), CLASSES, options=FEW)
    assert result.mean == result.mean_common == (1, 1, 1)
    assert {name: one.value for name, one in result.coco.items()} == dict.fromkeys(
        ("AP", "AP50", "AP75", "AR"), pytest.approx(1)
    )
    assert {one.mean.value for one in result.subsets if one.sources} == {1}
    assert (result.confusion == np.diag(result.confusion.diagonal())).all()
    assert result.calibration.error == pytest.approx(0.1)


def test_results_of_a_part_leave_the_rest_out(random_fields):
    truths, found = random_fields(40)
    result = evaluate(truths, found, CLASSES, options=FEW)
    subsets = {one.name: one for one in result.subsets}
    consensus = np.concatenate([t.consensus[~t.ignored] for t in truths])
    assert subsets["consensus >= 0.8"].sources == (consensus >= 0.8).sum()
    assert subsets["consensus >= 0.6"].mean == result.mean
    several = sum(n for t in truths if (n := (~t.ignored).sum()) >= 2)
    assert subsets["fields with two or more sources"].sources == several
    sizes = [name for name in subsets if name.startswith("extent")]
    assert sum(subsets[name].sources for name in sizes) == len(consensus)
    bare = [dataclasses.replace(t, consensus=None, pixel_arcsec=np.nan) for t in truths]
    (only,) = evaluate(bare, found, CLASSES, options=FEW).subsets
    assert only == subsets["fields with two or more sources"]


def test_same_seed_same_result_and_json_for_any_reader(random_fields):
    truths, found = random_fields(30)
    first, again = (
        evaluate(truths, found, CLASSES, options=FEW).to_json() for _ in range(2)
    )
    assert first == again
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    other = evaluate(
        truths, found, CLASSES, options=dataclasses.replace(FEW, seed=1)
    ).to_json()
    assert other["mean_ap"]["value"] == first["mean_ap"]["value"]
    assert other["mean_ap"]["low"] != first["mean_ap"]["low"]
    mean = mean_average_precision(truths, found, 3)
    assert mean == first["mean_ap"]["value"]


def test_unlabelled_detections_count_unless_told_otherwise():
    # A better score than the hit's, where nobody put a label.
    true, found = one_field(found=[*OTHER, *BOX], labels=(1, 1))
    found = dataclasses.replace(found, scores=np.array([0.99, 0.9]))
    lenient = dataclasses.replace(FEW, ignore_unlabelled=True)
    assert evaluate([true], [found], CLASSES, options=FEW).mean.value == 0.5
    result = evaluate([true], [found], CLASSES, options=lenient)
    assert result.mean.value == result.coco["AP"].value == 1
    assert result.confusion.sum() == 1


def test_a_class_without_detections_is_minus_one_where_the_original_says_so():
    true, found = one_field(found=[], labels=())
    result = evaluate([true], [found], CLASSES, options=FEW)
    assert result.classes[0].ap.value == result.mean.value == 0
    assert result.voc["area"]["mean"] == result.voc["11_points_rounded"]["1_1"] == -1


def test_boxes_that_end_with_a_pixel_are_longer_by_it_for_the_original():
    # y is up: in the picture the pixel is below. 7 of 10 columns, with it 8; of rows
    # 7 of 10, with it 8: an IoU of 0.49, then of 0.64.
    true, found = one_field(found=[[2.0, 5.0, 9.0, 12.0]])
    options = dataclasses.replace(FEW, inclusive_boxes=True)
    assert evaluate([true], [found], CLASSES, options=FEW).voc["area"]["1_1"] == 0
    result = evaluate([true], [found], CLASSES, options=options)
    assert result.voc["area"]["1_1"] == result.voc["area_rounded"]["mean"] == 1
    assert result.mean.value == 0


def test_without_a_source_nothing_is_known():
    true, found = one_field(ignored=np.array([True]))
    result = evaluate([true], [found], CLASSES, options=FEW)
    assert np.isnan([*result.mean, result.coco["AR"].value]).all()
    assert result.to_json()["mean_ap"] == {"value": None, "low": None, "high": None}
    assert "1C_1P                                     -" in result.table()


def test_rounding_as_in_the_originals_files_changes_the_order():
    # To three decimals both have the same score, and the first in the file goes first.
    true, found = one_field(found=[*OTHER, *BOX], labels=(1, 1))
    found = dataclasses.replace(found, scores=np.array([0.90001, 0.90002]))
    voc = evaluate([true], [found], CLASSES, options=FEW).voc
    assert voc["area"]["1_1"] == 1
    assert voc["area_rounded"]["1_1"] == 0.5


def test_table_names_classes_as_the_paper_does(random_fields):
    truths, found = random_fields(20)
    result = evaluate(truths, found, CLASSES, options=FEW)
    lines = result.table().splitlines()
    assert lines[1].split()[:2] == ["1C_1P", f"{result.classes[0].ap.value:.3f}"]
    assert lines[4].split()[0] == "mean"
    assert max(map(len, lines)) <= 80


def test_truth_of_a_field_has_its_islands(rng):
    radio = rng.normal(0, 1, (40, 40)).astype(np.float32)
    radio[10:16, 20:26] = 50
    element = {
        "name": "a", "radio": radio, "noise": 1.0, "pixel_arcsec": 1.8,
        "boxes": np.array([[20, 10, 26, 16]], np.float32),
        "labels": np.array([1], np.int32), "ignored": np.array([False]),
    }  # fmt: skip
    truth = truth_of(element)
    np.testing.assert_array_equal(truth.islands, [[20, 10, 26, 16]])
    assert truth.pixel_arcsec == 1.8 and truth.consensus is None
    assert truth_of(element | {"noise": 0.0}).islands is None


@pytest.mark.parametrize(
    "make, message",
    [
        pytest.param(lambda: one_field(found=[[0, 0, np.nan, 1]]), "finite", id="box"),
        pytest.param(lambda: one_field(labels=(1, 2)), r"`labels` must be", id="rows"),
        pytest.param(
            lambda: one_field(consensus=np.ones(2)), "`consensus` must be", id="levels"
        ),
        pytest.param(
            lambda: FieldTruth(
                name="a", boxes=np.full((1, 4), np.inf), labels=np.array([1])
            ),
            "a: `boxes` must be finite",
            id="truth",
        ),
        pytest.param(
            lambda: evaluate([], [], CLASSES), "at least one; got 0 and 0", id="none"
        ),
        pytest.param(
            lambda: evaluate([one_field()[0]], [one_field(labels=(4,))[1]], CLASSES),
            "from 1 to 3, got 4",
            id="label",
        ),
        pytest.param(
            lambda: EvaluationOptions(score_threshold=np.nan),
            "`score_threshold` must be",
            id="threshold",
        ),
        pytest.param(
            lambda: EvaluationOptions(resample_count=0),
            "`resample_count` must be",
            id="draws",
        ),
    ],
)
def test_nonsense_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
