"""Hosts in tables against those of the labels."""

import dataclasses

import numpy as np
import pytest
from astropy.wcs import WCS

from claran.catalog.tables import write_table
from claran.evaluation.host_shares import judge_hosts
from claran.evaluation.metrics import evaluate
from claran.evaluation.prediction_files import read_predictions, to_table

CLASSES = ("1_1", "2_3")
BOXES = [[10, 10, 20, 20], [40, 40, 60, 60], [70, 10, 80, 20]]


@pytest.fixture
def field(measured_field):
    """A field with pixels of an arcsec; the host of the last source is unknown."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [180, 30], [50, 50]
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    field = measured_field("f", boxes=BOXES, labels=[1, 2, 2], islands=BOXES)
    field.image = dataclasses.replace(field.image, wcs=wcs, pixel_arcsec=None)
    hosts = np.array([[15, 15], [50, 50], [np.nan, np.nan]])
    field.objects = dataclasses.replace(field.objects, host=hosts)
    return field


def with_hosts(found, field, places, probability):
    ra, dec = field.wcs.wcs_pix2world(np.array(places, float) - 0.5, 0).T
    return found.with_columns(
        host_ra=ra, host_dec=dec, host_probability=np.array(probability),
        place_ra=ra, place_dec=dec + 2.5 / 3600,
    )  # fmt: skip


def test_shares(field, make_found):
    found = make_found(*BOXES[:2], [0, 0, 5, 5])
    found = with_hosts(found, field, [(15, 16), (50, 54), (1, 1)], [0.8, 0.6, 0.1])
    shares = judge_hosts([field], [found], CLASSES, 0.5)
    assert shares.right.tolist() == [True, False]
    assert shares.place.tolist() == [False, False]  # 3.5 and 6.5 arcsec off.
    assert list(shares.rows()) == [
        ("all", 2, 0.0, 0.5, pytest.approx(0.7)), ("1_1", 1, 0.0, 1.0, 0.8),
        ("2_3", 1, 0.0, 0.0, 0.6),
    ]  # fmt: skip
    assert shares.calibration_error == pytest.approx(0.2)


def test_what_is_not_detected_is_wrong(field, make_found):
    found = make_found(*BOXES[:2], scores=[0.9, 0.3])
    found = with_hosts(found, field, [(15, 15), (50, 50)], [0.9, 0.9])
    shares = judge_hosts([field], [found], CLASSES, 0.5)
    assert shares.right.tolist() == [True, False]
    assert shares.detected.tolist() == [True, False]
    assert shares.calibration_error == pytest.approx(0.1)


def test_there_may_be_no_hosts(field, make_found):
    assert judge_hosts([field], [make_found(*BOXES)], CLASSES, 0.5) is None
    places = [(15, 15), (50, 50), (1, 1)]
    found = with_hosts(make_found(*BOXES), field, places, [np.nan] * 3)
    assert judge_hosts([field], [found], CLASSES, 0.5).probability.tolist() == [0, 0]
    field.objects = dataclasses.replace(field.objects, host=None)
    assert judge_hosts([field], [found], CLASSES, 0.5) is None


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot"])
def test_tables_of_all_formats(field, make_found, ending, tmp_path):
    """Without a host where there is none."""
    table = to_table([field], [make_found(*BOXES[:2])], CLASSES)
    places = [(15, 16), (np.nan, np.nan)]
    found = with_hosts(make_found(*BOXES[:2]), field, places, [0.8, np.nan])
    for name, column in found.columns.items():
        table[name] = column
    path = tmp_path / f"t.{ending}"
    write_table(table, path)
    read = read_predictions(path, [field], CLASSES).fields
    evaluation = evaluate([field], read, CLASSES)
    assert evaluation.hosts.right.tolist() == [True, False]
    assert "hosts within 3 arcsec" in evaluation.table()
    hosts = evaluation.to_json()["hosts"]
    assert hosts["classes"][0]["right_share"] == 0.5
