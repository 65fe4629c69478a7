"""Hosts that are looked for in an evaluation of a detector."""

import dataclasses

import keras
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.wcs import WCS

from claran.detection.classical_engine import ClassicalEngine
from claran.detection.detector import Detector
from claran.errors import ImageError
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.running import evaluate_detector, evaluate_predictions
from claran.hosts.host_search import HostSearch

OPTIONS = EvaluationOptions(score_threshold=0.05, resample_count=5)
HOST = (37.0, 15.0)  # In the second island of a double.


@pytest.fixture(scope="module")
def detector(tiny_channels):
    keras.utils.set_random_seed(2)  # Of this one the double is one source.
    return Detector(tiny_channels())


@pytest.fixture
def source(make_field, list_source):
    """Three fields on the sky, with a double each; one of them is not seen."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [180, 30], [32, 30]
    wcs.wcs.cdelt = [-1.8 / 3600, 1.8 / 3600]
    fields = [make_field("a"), make_field("b", faint=True), make_field("c")]
    for number, field in enumerate(fields):
        own = wcs.deepcopy()
        own.wcs.crval = [180 + number, 30]
        field.image = dataclasses.replace(field.image, wcs=own, pixel_arcsec=None)
        field.objects = dataclasses.replace(field.objects, host=np.array([HOST]))
    return list_source(fields)


@pytest.fixture
def catalog(source, tmp_path):
    """A table with the hosts, and some unrelated sources far from them."""
    places = np.array([HOST, (5, 50), (60, 55)])
    sky = [source.fields[i].wcs.wcs_pix2world(places - 0.5, 0) for i in (0, 2)]
    ra, dec = np.concatenate(sky).T
    path = tmp_path / "w1.csv"
    Table({
        "designation": [f"W{i}" for i in range(6)], "ra": ra, "dec": dec,
        "sigra": np.full(6, 0.3), "w1mpro": np.full(6, 14.0),
    }).write(path)  # fmt: skip
    return path


def evaluate(detector, source, output=None, **options):
    return evaluate_detector(
        detector.engine, source, output, options=OPTIONS, **options
    )


def test_hosts_are_compared_with_those_of_the_labels(
    detector, source, catalog, tmp_path
):
    told = []
    search = HostSearch(catalog=catalog)
    found = evaluate(detector, source, tmp_path / "e", hosts=search, tell=told.append)
    assert found.hosts.detected.tolist() == [True, False, True]
    assert found.hosts.right.tolist() == [True, False, True]
    assert told == []
    assert "<h2>Hosts</h2>" in (tmp_path / "e" / "report.html").read_text()
    table = QTable.read(tmp_path / "e" / "detections.ecsv")
    # Detections below the threshold, and alternatives, have no host.
    probable = table["probability"] > OPTIONS.score_threshold
    catalog_rows = probable & ~table["alternative"]
    assert 0 < catalog_rows.sum() < len(table)
    assert np.isnan(table["host_probability"][~catalog_rows]).all()
    # As in a table of its own.
    again = evaluate_predictions(tmp_path / "e" / "detections.ecsv", source)
    assert again.to_json()["hosts"] == found.to_json()["hosts"]


def test_places_are_those_of_a_table(detector, source, tmp_path):
    """By the radio image alone; other numbers of the evaluation stay the same."""
    told = []
    found = evaluate(detector, source, tmp_path, hosts=HostSearch(), tell=told.append)
    assert "hosts have a place at most" in told[0] and len(told) == 1
    expected = evaluate(detector, source).to_json()
    assert found.to_json() | {"hosts": None} == expected
    table = QTable.read(tmp_path / "detections.ecsv")
    alone = detector.detect(
        source[0], score_threshold=OPTIONS.score_threshold, hosts=HostSearch()
    )
    own = table[(table["image"] == "a") & np.isfinite(table["place_ra"])]
    assert len(own) == len(alone)
    assert own["place_dec"].value == pytest.approx(alone["place_dec"].value)


def test_an_interrupted_run_goes_on(detector, source, catalog, tmp_path):
    """Without detecting anew, should the candidates be away at first."""
    search = HostSearch(catalog=catalog)
    expected = evaluate(detector, source, hosts=search)

    away = HostSearch(fetch="allwise", cache=tmp_path / "cache", offline=True)
    with pytest.raises(ImageError, match="this sky is not in the cache"):
        evaluate(detector, source, tmp_path, hosts=away)
    told = []
    found = evaluate(detector, source, tmp_path, hosts=search, tell=told.append)
    assert told == ["Resuming: 3 of 3 fields are done."]
    assert found.to_json() == expected.to_json()


def test_a_damaged_table_is_said_first(detector, source, tmp_path):
    (tmp_path / "w1.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ImageError, match=r"w1\.csv"):
        evaluate(
            detector, source, tmp_path / "e",
            hosts=HostSearch(catalog=tmp_path / "w1.csv"),
        )  # fmt: skip
    assert not (tmp_path / "e").exists()


def test_the_classical_finder_has_none(source):
    with pytest.raises(ValueError, match="`hosts` needs a model"):
        evaluate_detector(ClassicalEngine(), source, hosts=HostSearch())
