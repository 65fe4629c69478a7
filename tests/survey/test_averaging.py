"""The survey mode averages over the eight symmetries as the detector does."""

import copy
import pickle

import numpy as np
import pytest

import claran
from claran.detection.detector import Detector
from claran.survey.fingerprints import fingerprint
from claran.survey.run import SurveyOptions, run_survey
from claran.survey.survey_network import SurveyNetwork


@pytest.fixture(scope="module")
def averaging(detector):
    return Detector(detector.model, file=detector.file, average=True)


@pytest.fixture(scope="module")
def path(sky, tmp_path_factory):
    """A small mosaic that is no square, with four sources."""
    places = [(20, 70, 2e-3), (34, 70, 6e-3), (85, 20, 2e-3), (60, 40, 2e-3)]
    image = sky.draw((96, 112), [sky.source(*place) for place in places])
    return sky.write(tmp_path_factory.mktemp("mosaic") / "m.fits", image)


def test_as_the_detector_in_tiles(detector, averaging, path, tmp_path):
    (found,) = averaging.engine.detect([claran.read_field(path)], score_threshold=0.5)
    catalog = found.detections.catalog()
    assert len(catalog) == 4
    options = SurveyOptions(tile_size=64)
    survey = run_survey(averaging, [path], tmp_path, options, tell=lambda _: None)
    scores = np.sort(np.asarray(survey.sources["score"]))
    np.testing.assert_allclose(scores, np.sort(catalog.scores), atol=1e-6)
    assert (survey.sources.meta or {})["AVERAGE"] is True
    (once,) = detector.engine.detect([claran.read_field(path)], score_threshold=0.5)
    assert np.abs(once.detections.scores.sum() - catalog.scores.sum()) > 3e-6


def test_it_is_part_of_what_results_depend_on(detector, averaging):
    networks = [SurveyNetwork(one) for one in (detector, averaging)]
    assert len({fingerprint(one) for one in networks}) == 2
    assert detector.engine.settings != averaging.engine.settings
    again = pickle.loads(pickle.dumps(networks[1]))
    assert again.average and again.fingerprint == networks[1].fingerprint
    sent = copy.copy(networks[1])
    sent._file = None  # A model without a file is sent whole.
    assert pickle.loads(pickle.dumps(sent)).average
