import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.evaluation.catalogs import detected_catalog, true_catalog
from claran.evaluation.matches import match_voc
from claran.evaluation.scores import calibration, confusion, score_curve

A, B, C, EMPTY = ([0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [0, 30, 9, 39])


@pytest.fixture
def field(measured_field, make_found):
    """Classes 1, 2, 1: the first is found, the second confused, the third missed."""
    true = measured_field(boxes=[A, B, C], labels=[1, 2, 1])
    found = make_found(
        A, A, B, EMPTY, labels=[1, 1, 1, 2], scores=[0.95, 0.85, 0.9, 0.45]
    )
    return true_catalog([true]), detected_catalog([found])


def matches_of(field):
    return [match_voc(*field, label, field_count=1) for label in (1, 2)]


def test_completeness_and_reliability_of_a_catalog_cut_at_a_score(field):
    curve = score_curve(matches_of(field), points=11)
    np.testing.assert_allclose(curve.completeness, [1 / 3] * 10 + [0])
    # At 0.9 and above, one of two detections is right.
    np.testing.assert_allclose(
        curve.reliability, [1 / 4] * 5 + [1 / 3] * 4 + [1 / 2, np.nan]
    )


def test_calibration_compares_score_and_hit_rate(field):
    result = calibration(matches_of(field), bins=2)
    assert result.counts.tolist() == [1, 3]
    np.testing.assert_allclose(result.mean_score, [0.45, 0.9])
    np.testing.assert_allclose(result.hit_rate, [0, 1 / 3])
    assert result.error == pytest.approx((0.45 + 3 * (0.9 - 1 / 3)) / 4)


def test_a_score_that_is_the_probability_of_a_hit_is_calibrated(rng, measured_field):
    count = 20_000
    scores = rng.uniform(size=count)
    boxes = np.where((rng.uniform(size=count) < scores)[:, None], A, EMPTY)
    true = measured_field(boxes=[A])
    parts = [
        Detections(
            boxes=boxes[[i]].astype(float), labels=np.array([1]), scores=scores[[i]]
        )
        for i in range(count)
    ]
    true, found = true_catalog([true] * count), detected_catalog(parts)
    matches = match_voc(true, found, 1, field_count=count)
    assert calibration([matches]).error < 0.02


def test_confusion_counts_every_source_and_detection_once(field):
    true, found = field
    table = confusion(true, found.catalog(0.5), class_count=2)
    # The second detection of A is a false alarm. That at 0.45 is not in the catalog.
    assert table.tolist() == [[1, 0, 1], [1, 0, 0], [1, 0, 0]]
    table = confusion(true, found.catalog(0.4), class_count=2)
    assert table[2].tolist() == [1, 1, 0]


def test_a_detection_on_an_ignored_source_is_not_counted(measured_field, make_found):
    true = true_catalog([measured_field(boxes=[A], labels=[0], ignored=[True])])
    found = detected_catalog([make_found(A, B, labels=[1, 2])])
    table = confusion(true, found, class_count=2)
    assert table.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_no_sources_and_no_detections(measured_field):
    true = true_catalog([measured_field()])
    found = detected_catalog([Detections.none()])
    matches = [match_voc(true, found, 1, field_count=1)]
    assert np.isnan(score_curve(matches).completeness).all()
    assert np.isnan(score_curve(matches).reliability).all()
    assert np.isnan(calibration(matches).error)
    assert confusion(true, found, class_count=1).sum() == 0
