import contextlib
import io
import json

import numpy as np
import pytest

from claran.data.annotations_voc import read_voc
from claran.detection.detections import Detections
from claran.evaluation.average_precision import (
    COCO_IOU,
    average_precision,
    curve,
    max_recall,
)
from claran.evaluation.bootstrap import interval, resamples
from claran.evaluation.catalogs import detected_catalog, true_catalog
from claran.evaluation.matches import match_coco, match_voc
from claran.evaluation.prediction_files import coco_files
from claran.evaluation.voc_text import read_voc_detections

METRICS = {"area": "area", "voc07": "11_points"}


@pytest.mark.parametrize("decimals", [None, 1], ids=["distinct", "tied"])
def test_coco_agrees_with_pycocotools(random_fields, decimals, pycocotools):
    fields, found = random_fields(60, decimals=decimals)
    theirs = accumulate(pycocotools, fields, found, classes=3)
    true, detected = true_catalog(fields), detected_catalog(found)
    for label in (1, 2, 3):
        matches = match_coco(
            true, detected, label, field_count=60, iou_thresholds=COCO_IOU
        )
        ours = [
            average_precision(matches, metric="101_points", threshold=t)[0]
            for t in range(len(COCO_IOU))
        ]
        precision = theirs["precision"][:, :, label - 1, 0, -1]
        np.testing.assert_allclose(ours, precision.mean(axis=1), atol=1e-12)
        np.testing.assert_allclose(
            max_recall(matches), theirs["recall"][:, label - 1, 0, -1], atol=1e-12
        )
        assert 0.1 < ours[0] < 0.95  # The test is not trivial.


def accumulate(pycocotools, fields, found, *, classes):
    names = [str(label) for label in range(1, classes + 1)]
    truth, results = coco_files(fields, found, names)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = pycocotools.COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = pycocotools.COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval


@pytest.mark.parametrize("order", ["as_is", "stable"])
@pytest.mark.parametrize(
    "golden, files",
    [("shipped", "dets"), ("full", "dets"), ("full", "dets_noties")],
    indirect=["golden"],
)
def test_voc_agrees_with_the_original(golden, files, order, measured_field):
    voc = golden / "voc"
    expected = json.loads((voc / "expected.json").read_text())["ap"][files][order]
    curves = np.load(voc / "expected.npz")
    names = (voc / "imageset.txt").read_text().split()
    classes = list(expected["0.5"]["area"])
    found, _ = read_voc_detections(voc / files, names, classes)
    true = true_catalog(fields_of(voc / "Annotations", names, classes, measured_field))
    detected = detected_catalog(found)
    checked = 0
    for iou, metrics in expected.items():
        for label, code in enumerate(classes, start=1):
            matches = match_voc(
                true, detected, label, field_count=len(names),
                iou_threshold=float(iou), as_original=order == "as_is",
            )  # fmt: skip
            for metric, ours in METRICS.items():
                ap = average_precision(matches, metric=ours)[0]
                if not len(matches.scores):
                    assert metrics[metric][code] == -1 and ap == 0
                    continue
                np.testing.assert_allclose(ap, metrics[metric][code], atol=1e-6)
                checked += 1
            if iou == "0.5" and len(matches.scores):
                key = f"{files}__{order}__{code}__"
                recall, precision = curve(matches)
                kept = ~matches.ignored[0]
                np.testing.assert_allclose(recall, curves[key + "rec"][kept], atol=1e-9)
                np.testing.assert_allclose(
                    precision, curves[key + "prec"][kept], atol=1e-9
                )
    assert checked == 36


def fields_of(folder, names, classes, measured_field):
    labels = {field.name: field for field in read_voc(folder, classes=classes).fields}
    return [
        measured_field(
            name,
            boxes=[o.box for o in labels[name].objects],
            labels=[classes.index(o.code) + 1 for o in labels[name].objects],
            ignored=np.array([o.ignore for o in labels[name].objects], bool),
        )
        for name in names
    ]


def slow_average_precision(hits, positives):
    """Returns VOC's area by a loop over detections, in which fields are repeated."""
    area, found, points = 0.0, 0, []
    for i, hit in enumerate(hits, start=1):
        found += hit
        points.append((found / positives, found / i))
    before = 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - before) * max(p for _, p in points[i:])
        before = recall
    return area


def test_weights_are_fields_drawn_more_than_once(random_fields, rng):
    fields, found = random_fields(12)
    weights = resamples(12, count=20)
    true, detected = true_catalog(fields), detected_catalog(found)
    matches = match_voc(true, detected, 1, field_count=12)
    resampled = average_precision(matches, weights=weights)
    for row, ours in zip(weights, resampled, strict=True):
        times = row[matches.fields] * ~matches.ignored[0]
        hits = np.repeat(matches.hits[0], times)
        positives = (row * matches.positives).sum()
        assert ours == pytest.approx(slow_average_precision(hits, positives))


def test_resamples_repeat_and_their_spread_shrinks_with_more_fields(random_fields):
    np.testing.assert_array_equal(resamples(9, seed=3), resamples(9, seed=3))
    assert (resamples(9, seed=3) != resamples(9, seed=4)).any()
    assert (resamples(9).sum(axis=1) == 9).all()
    widths = []
    for count in (30, 480):
        fields, found = random_fields(count)
        matches = match_voc(
            true_catalog(fields), detected_catalog(found), 1, field_count=count
        )
        spread = average_precision(matches, weights=resamples(count))
        low, high = interval(spread)
        assert low < average_precision(matches)[0] < high
        widths.append(high - low)
    # With sixteen times the fields, the spread is a quarter.
    assert 0.15 < widths[1] / widths[0] < 0.4


@pytest.mark.parametrize("metric", ["area", "11_points", "101_points"])
def test_nothing_found_is_zero_and_nothing_to_find_is_nan(
    metric, measured_field, make_found
):
    box = [0.0, 0.0, 4.0, 4.0]
    one = true_catalog([measured_field(boxes=[box])])
    no_truth = true_catalog([measured_field()])
    found = detected_catalog([make_found(box, scores=[0.5])])
    nothing = detected_catalog([Detections.none()])

    def ap(true, detected):
        matches = match_voc(true, detected, 1, field_count=1)
        return average_precision(matches, metric=metric)[0]

    assert ap(one, found) == pytest.approx(1)
    assert ap(one, nothing) == 0
    expected = 0.0 if metric == "11_points" else np.nan
    np.testing.assert_equal(ap(no_truth, found), expected)
    np.testing.assert_equal(ap(no_truth, nothing), expected)
    matches = match_coco(
        no_truth, found, 1, field_count=1, iou_thresholds=np.array([0.5])
    )
    assert np.isnan(max_recall(matches)).all()
    assert np.isnan(interval(np.array([np.nan]))).all()
