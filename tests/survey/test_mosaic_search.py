"""A mosaic is searched as a field is, and empty sky has no sources."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import claran
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.observation import FIRST, FIRST_NATIVE, SimulatedSurvey
from claran.simulation.populations import BALANCED
from claran.simulation.simulated_field import simulate
from claran.simulation.simulated_files import write_field
from claran.simulation.simulated_mosaic import write_mosaic
from claran.sky.surveys import SURVEYS

EXAMPLE = Path(claran.__file__).parent / "examples" / "simulated_radio.fits"
EDGES = ("x0", "y0", "x1", "y1")


def assert_as_detected(found, table):
    """Boxes, classes and scores are those of `Detector.detect`."""
    boxes = np.stack([np.asarray(table[edge]) for edge in EDGES], axis=1)
    order, other = np.lexsort(boxes.T), np.lexsort(found.sources["boxes"].T)
    np.testing.assert_allclose(found.sources["boxes"][other], boxes[order], atol=1e-3)
    assert found.sources["label"][other].tolist() == table["label"][order].tolist()
    scores = found.sources["score"][other]
    np.testing.assert_allclose(scores, np.asarray(table["score"])[order], atol=1e-4)
    # The table of a detector has digits enough to compare the sky as well.
    center = table["center"][order]
    if len(other) and np.isfinite(found.sources["ra"]).all():
        middle = found.sources["boxes"][other].reshape(-1, 2, 2).mean(axis=1) - 0.5
        sky = found.mosaic.wcs.pixel_to_world(*middle.T).icrs
        assert (sky.separation(center).arcsec < 0.01).all()


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
    table = detector.detect(path, score_threshold=0.5)
    assert_as_detected(search(path, 64), table)


def test_as_the_example(detector, search):
    table = detector.detect(EXAMPLE, score_threshold=0.5)
    assert len(table)
    assert_as_detected(search(EXAMPLE), table)


def test_as_a_field_with_windows(detector, search, tmp_path):
    """Some clusters of a wider field are shown to the network by themselves."""
    write_mosaic(MosaicPlan(shape=(500, 500), seed=5, density=1.5), tmp_path / "m.fits")
    table = detector.detect(tmp_path / "m.fits", score_threshold=0.5)
    assert len(table) > 2
    assert_as_detected(search(tmp_path / "m.fits", 200), table)


def test_labels_follow_from_signal_to_noise(detector, search, tmp_path):
    """As in a field: fluxes are measured above a zero level, but peaks counted not."""
    survey = dataclasses.replace(
        FIRST_NATIVE, beam_major_arcsec=8.1, beam_angle_deg=32.3
    )
    plan = MosaicPlan(
        shape=(574, 270), seed=12, density=4.0, survey=survey, blank=("border", "holes")
    )
    write_mosaic(plan, tmp_path / "m.fits")
    table = detector.detect(tmp_path / "m.fits", score_threshold=0.5)
    assert_as_detected(search(tmp_path / "m.fits"), table)


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
    lobes = [(100.2, 200.1, 0.02, 6, 4), (150.4, 200.3, 0.02, 6, 4), (125, 200, 0.004)]
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
