"""A mosaic is searched as a field is, and empty sky has no sources."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import claran
from claran.detection.detector import Detector
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.observation import FIRST, FIRST_NATIVE, SimulatedSurvey
from claran.simulation.populations import BALANCED
from claran.simulation.simulated_field import simulate
from claran.simulation.simulated_files import write_field
from claran.simulation.simulated_mosaic import write_mosaic
from claran.sky.surveys import SURVEYS
from claran.survey.survey_metadata import survey_notes
from claran.survey.survey_network import SurveyNetwork

# After claran, which chooses Keras's backend.
import keras  # isort: skip

EXAMPLE = Path(claran.__file__).parent / "examples" / "simulated_radio.fits"
EDGES = ("x0", "y0", "x1", "y1")


def detect(detector, path):
    """The sources that `predict` and `Detector.detect` make tables of."""
    field = claran.read_field(path)
    (found,) = detector.engine.detect([field], score_threshold=0.5, measured=True)
    return found.detections


def assert_as_detected(found, detections):
    """Boxes, classes, scores and all measurements are those of `Detector.detect`."""
    order, other = np.lexsort(detections.boxes.T), np.lexsort(found.sources["boxes"].T)
    np.testing.assert_array_equal(
        found.sources["boxes"][other], detections.boxes[order]
    )
    scores = detections.scores[order]
    np.testing.assert_allclose(found.sources["score"][other], scores, atol=1e-4)
    names = detections.columns.keys()
    some = {"flux", "snr", "flags", "p_1_1", "islands"}
    assert some <= names <= found.sources.keys()
    assert ("ra" in names) == (found.mosaic.wcs is not None)
    for name in names:
        wanted, own = detections[name][order], found.sources[name][other]
        if wanted.dtype.kind == "f":
            # The network's rounding differs with the size of its input.
            loose = 1e-4 if name[:2] in ("p_", "pr") else 0.0
            np.testing.assert_allclose(own, wanted, rtol=1e-12, atol=loose)
        else:
            assert own.tolist() == wanted.tolist(), name


FIELDS = {
    "FIRST": FIRST_NATIVE,
    "of other pixels": FIRST,  # Brought to another resolution for the network.
    "of another beam": SimulatedSurvey.of(SURVEYS["lotss"]),
}


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_as_a_field(detector, search, tmp_path, kind, seed):
    made = simulate(
        np.random.default_rng(seed), population=BALANCED, survey=FIELDS[kind]
    )
    path, _ = write_field(made, tmp_path, "m")
    detected = detect(detector, path)
    assert_as_detected(search(path, 64), detected)


def test_as_the_example(detector, search):
    detected = detect(detector, EXAMPLE)
    assert len(detected)
    assert_as_detected(search(EXAMPLE), detected)


def test_as_a_field_with_windows(detector, search, tmp_path):
    """Some clusters of a wider field are shown to the network by themselves."""
    write_mosaic(MosaicPlan(shape=(500, 500), seed=5, density=1.5), tmp_path / "m.fits")
    detected = detect(detector, tmp_path / "m.fits")
    assert len(detected) > 2
    assert_as_detected(search(tmp_path / "m.fits", 200), detected)


def test_groups_that_a_network_judges(tiny_groups, search, tmp_path):
    """As a field; also where many islands are near each other."""
    keras.utils.set_random_seed(1)
    detector = Detector(tiny_groups())
    write_mosaic(MosaicPlan(shape=(500, 500), seed=5, density=1.5), tmp_path / "m.fits")
    detected = detect(detector, tmp_path / "m.fits")
    assert len(detected) > 2
    found = search(tmp_path / "m.fits", 200, network=SurveyNetwork(detector))
    assert_as_detected(found, detected)


def test_labels_follow_from_signal_to_noise(detector, search, tmp_path):
    """As in a field: fluxes are measured above a zero level, but peaks counted not."""
    survey = dataclasses.replace(
        FIRST_NATIVE, beam_major_arcsec=8.1, beam_angle_deg=32.3
    )
    plan = MosaicPlan(
        shape=(574, 270), seed=12, density=4.0, survey=survey, blank=("border", "holes")
    )
    write_mosaic(plan, tmp_path / "m.fits")
    detected = detect(detector, tmp_path / "m.fits")
    assert_as_detected(search(tmp_path / "m.fits"), detected)


HEADERS = {
    "galactic": {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN", "BPA": 30.0},
    "in mJy": {"BUNIT": "mJy/beam"},
    "in K": {"BUNIT": "K", "RESTFRQ": 1.4e9},
    "without beam": {"BMAJ": None, "BMIN": None, "BUNIT": None},
}


@pytest.mark.parametrize("header", HEADERS)
def test_of_any_header(detector, search, sky, tmp_path, header):
    """Also a source of three islands, one that the edge cuts and one beside blanks."""
    lobes = [
        (40.2, 130.1, 0.02, 5, 4, 104),
        (64.4, 136.3, 0.02, 5, 4, 104),
        (52, 133, 0.004),
    ]
    others = [(150, 2, 0.02), (120, 60, 0.01, 8, 3), (133, 61, 0.01), (40.3, 30, 9e-4)]
    image = sky.draw((170, 180), [sky.source(*one) for one in lobes + others])
    image[50:55, 110:126] = np.nan
    path = sky.write(tmp_path / "m.fits", image, **HEADERS[header])
    found = search(path)
    assert len(found.sources["x"]) >= 4 and max(found.sources["n_components"]) > 1
    assert np.bitwise_or.reduce(found.sources["flags"]) & 3 == 3
    assert_as_detected(found, detect(detector, path))


def test_without_sky(detector, search, sky, tmp_path):
    path = tmp_path / "m.fits"
    image = sky.draw((120, 110), [sky.source(60.2, 50.1, 0.02, 6, 4)])
    fits.writeto(path, image)
    detected = detect(detector, path)
    assert len(detected) == 1
    assert_as_detected(search(path), detected)


@pytest.mark.parametrize("kind", ["noise", "uneven"])
def test_empty_sky(search, tmp_path, kind):
    """Also where noise rises, has steps, strips and spots."""
    plan = MosaicPlan(shape=(640, 700), seed=7, kind=kind)
    write_mosaic(plan, tmp_path / "m.fits")
    found = search(tmp_path / "m.fits")
    assert len(found.sources["x"]) == len(found.outlines) == len(found.corners) == 0
    assert {"las", "ra", "p_1_1"} <= found.sources.keys()
    assert len(found.components["x"]) < 5


def test_no_emission(search, sky, tmp_path):
    found = search(sky.write(tmp_path / "m.fits", sky.draw((200, 210))))
    assert len(found.sources["x"]) == len(found.components["x"]) == 0


def test_sources_and_their_components(search, sky, tmp_path):
    lobes = [
        (100.2, 200.1, 0.02, 6, 4, 90),
        (150.4, 200.3, 0.02, 6, 4, 90),
        (125, 200, 0.004),
    ]
    image = sky.draw((400, 400), [sky.source(*one) for one in lobes])
    found = search(sky.write(tmp_path / "m.fits", image))
    sources, components = found.sources, found.components
    assert sources["label"].tolist() == ["3_3"]
    assert sources["probability"] == pytest.approx(
        sum(sources[name] for name in sources if name.startswith("p_"))
    )
    own = components["source"] == 0
    assert own.sum() == sources["n_gaussians"] == 3
    assert components["flux"][own].sum() == pytest.approx(sources["flux"][0])
    assert sorted(components["island"][own]) == [0, 1, 2]
    assert found.outline_sources.tolist() == [0, 0, 0]
    assert found.corners.sum() == len(found.outlines)


def test_components_without_islands(search, sky, tmp_path):
    """Emission above 5 sigma, but not above the 5.196 of islands, is only listed."""
    image = sky.draw((200, 200))
    image[90:110, 90:110] = 0
    image[100, 100] = 5.1 * 1e-4
    path = sky.write(tmp_path / "m.fits", image)
    level = float(
        search(path).maps.region(slice(100, 101), slice(100, 101)).noise[0, 0]
    )
    image[100, 100] = 5.1 * level
    found = search(sky.write(tmp_path / "again.fits", image))
    assert len(found.sources["x"]) == 0
    assert found.components["island"].tolist() == [-1]
    assert found.components["source"].tolist() == [-1]


def test_mosaics_that_scores_are_not_calibrated_for_are_said(search, sky, tmp_path):
    """As of a field, whatever the tiles, also where not all pixels count."""
    noise = np.random.default_rng(1).uniform(-1, 1, (530, 500)).astype(np.float32)
    header = fits.Header({"BMAJ": 0.0015, "BMIN": 0.0005, "BUNIT": "Jy/beam"})
    path = tmp_path / "m.fits"
    fits.writeto(path, noise, sky.wcs(noise.shape).to_header() + header)
    found, tiles = search(path), search(path, 111)
    assert found.coarse.depths.tolist() == tiles.coarse.depths.tolist()
    field = claran.read_field(path)
    (note,) = field.domain_notes
    assert note.endswith(
        "less than 2 pixels and a beam more than 2 times as long as wide and noise "
        "that is not Gaussian"
    )
    assert any(note in line for line in survey_notes({"m": found}))
