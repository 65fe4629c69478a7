"""Surveys with infrared images: as fields with theirs, and whatever the tiles."""

import json

import cv2
import numpy as np
import pytest
from astropy.io import fits

import claran
from claran.detection.mosaic_infrared import MosaicInfrared
from claran.detection.windows import find_windows
from claran.errors import ImageError
from claran.fields.preprocessing import network_boxes
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.observation import FIRST_NATIVE, SimulatedSurvey
from claran.simulation.populations import BALANCED
from claran.simulation.simulated_field import simulate
from claran.simulation.simulated_files import write_field
from claran.simulation.simulated_mosaic import write_mosaic
from claran.sky.bands import run_here
from claran.sky.mosaics import open_mosaic
from claran.sky.surveys import SURVEYS
from claran.survey.infrared_images import InfraredImages
from claran.survey.run import SurveyOptions, run_survey

SIDE = 420


@pytest.fixture(scope="module")
def survey(detector):
    def run(paths, folder, infrared=(), tell=lambda _: None, **options):
        options = SurveyOptions(**options)
        return run_survey(
            detector, paths, folder, options, infrared=infrared, tell=tell
        )

    return run


@pytest.fixture(scope="module")
def wide(tmp_path_factory, sky):
    """A mosaic in which clusters have windows, and W1 images that cover most of it."""
    folder = tmp_path_factory.mktemp("wide")
    plan = MosaicPlan(shape=(SIDE, SIDE), seed=1, density=0.7)
    write_mosaic(plan, folder / "M.fits")
    rng = np.random.default_rng(1)
    values = rng.normal(2.5, 0.12, (SIDE, SIDE)).astype(np.float32)
    for y, x in rng.integers(3, SIDE - 3, (900, 2)):
        values[y - 2 : y + 2, x - 2 : x + 2] += rng.exponential(1.0)
    header = fits.getheader(folder / "M.fits")
    for card in ("BMAJ", "BMIN", "BPA", "BUNIT"):
        header.remove(card, ignore_missing=True)
    fits.writeto(folder / "w1.fits", values, header)
    for name, (start, stop) in {"left": (0, 230), "right": (190, SIDE)}.items():
        own = header.copy()
        own["CRPIX1"] -= start
        fits.writeto(folder / f"{name}.fits", values[:380, start:stop], own)
    return folder


def table_of(folder):
    """The tables, byte by byte."""
    names = ("sources.ecsv", "components.ecsv", "sources.reg")
    return [(folder / name).read_bytes() for name in names]


def assert_detected(found, table, **tolerance):
    boxes = np.stack([np.asarray(table[e]) for e in ("x0", "y0", "x1", "y1")], axis=1)
    order, other = np.lexsort(boxes.T), np.lexsort(found.sources["boxes"].T)
    np.testing.assert_allclose(found.sources["boxes"][other], boxes[order], atol=1e-3)
    assert found.sources["label"][other].tolist() == table["label"][order].tolist()
    scores = found.sources["score"][other]
    np.testing.assert_allclose(scores, np.asarray(table["score"])[order], **tolerance)


KINDS = {"first": FIRST_NATIVE, "lotss": SimulatedSurvey.of(SURVEYS["lotss"])}


@pytest.mark.parametrize("as_fits", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_as_a_field(detector, search, tmp_path, kind, as_fits):
    made = simulate(np.random.default_rng(3), population=BALANCED, survey=KINDS[kind])
    radio, infrared = write_field(made, tmp_path, "m", infrared_fits=as_fits)
    table = detector.detect(radio, infrared, score_threshold=0.5)
    found = search(radio, 60, [infrared])
    assert_detected(found, table, atol=1e-6)
    assert search(radio, 60).sources["score"].tolist() != (
        found.sources["score"].tolist()
    )


def test_as_a_field_with_windows(detector, search, wide):
    field = claran.read_field(wide / "M.fits", wide / "w1.fits")
    scene = detector.model.preprocessor(field)
    boxes = network_boxes(field.islands.boxes, scene, field)
    windows, _ = find_windows(scene.shape, boxes)
    assert len(windows) > 2 and windows[0].bounds
    table = detector.detect(field, score_threshold=0.5)
    assert_detected(search(wide / "M.fits", 150, [wide / "w1.fits"]), table, atol=1e-6)


def test_any_tiles_and_order(survey, wide, tmp_path):
    """Of two images that overlap, and leave a part of the mosaic without."""
    images = [wide / "left.fits", wide / "right.fits"]
    mosaic = wide / "M.fits"
    found = survey([mosaic], tmp_path / "a", images, tile_size=150)
    survey([mosaic], tmp_path / "b", images[::-1], tile_size=1000)
    assert table_of(tmp_path / "a") == table_of(tmp_path / "b")
    about = json.loads((tmp_path / "b" / "provenance.json").read_text())
    assert [one["path"] for one in about["inputs"]] == list(map(str, [mosaic, *images]))
    assert found.sources.meta["INFRARED"] == "left.fits; right.fits"


def test_a_changed_image_is_shown_anew(survey, wide, tmp_path):
    folder, image = tmp_path / "out", tmp_path / "w1.fits"
    values, header = fits.getdata(wide / "w1.fits", header=True)
    fits.writeto(image, values[::-1], header)
    (folder / "sources.ecsv").mkdir(parents=True)  # The last step fails.
    with pytest.raises(OSError, match=r"sources\.ecsv"):
        survey([wide / "M.fits"], folder, [image])
    (folder / "sources.ecsv").rmdir()
    fits.writeto(image, values * 3, header, overwrite=True)
    lines = []
    survey([wide / "M.fits"], folder, [image], lines.append)
    assert any("of noise are done" in line for line in lines)
    assert not any("of measure are done" in line for line in lines)


def test_several_mosaics(survey, sky, wide, tmp_path):
    """Notes say which images and mosaics have no partner."""
    for name, ra in (("a", 180.0), ("b", 20.0)):
        image = sky.draw((150, 150), [sky.source(60, 70, 0.01)])
        sky.write(tmp_path / f"{name}.fits", image, sky.wcs((150, 150), ra))
    images = []
    for name, ra in (("w1", 180.0), ("w2", 90.0)):
        values = np.random.default_rng(0).normal(size=(99, 99)).astype(np.float32)
        images.append(tmp_path / f"{name}_w1.fits")
        fits.writeto(images[-1], values, sky.wcs((99, 99), ra).to_header())
    lines = []
    radio = [tmp_path / "a.fits", tmp_path / "b.fits"]
    found = survey(radio, tmp_path / "out", images, lines.append)
    assert len(found.sources) == 2 and found.sources.meta["INFRARED"] == "w1_w1.fits"
    notes = " ".join(lines)
    assert "1 of 2 infrared images show no part of a mosaic" in notes
    assert "no infrared image shows a part of b.fits." in notes


def test_refused_images(survey, sky, wide, tmp_path):
    """One line that names the file."""
    mosaic, scratch = wide / "M.fits", tmp_path / "scratch"
    broken = (tmp_path / "broken.fits", tmp_path / "broken.png")
    for path in broken:
        path.write_bytes(b"SIMPLE  =  T" if path.suffix == ".fits" else b"\x89PNG")
        with pytest.raises(ImageError, match=path.name) as caught:
            InfraredImages([path], [mosaic], scratch)
        assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match=r"gone\.fits"):
        InfraredImages([tmp_path / "gone.fits"], [mosaic], scratch)
    with pytest.raises(ImageError, match=r"M\.fits: is given as a mosaic"):
        InfraredImages([mosaic, wide / "w1.fits"], [mosaic], scratch)
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in pictures:
        cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ImageError, match=r"M\.fits: no file among the infrared"):
        InfraredImages(pictures, [mosaic], scratch)
    far = tmp_path / "far.fits"
    fits.writeto(far, np.zeros((9, 9)), sky.wcs((9, 9), 10.0, -80.0).to_header())
    with pytest.raises(ImageError, match=r"M\.fits: no infrared image \(--ir\) shows"):
        survey([mosaic], tmp_path / "out", [far])


def test_truncated_image(survey, wide, tmp_path):
    """It is found when it is read."""
    image = tmp_path / "w1.fits"
    image.write_bytes((wide / "w1.fits").read_bytes()[:-300_000])
    with pytest.raises(ImageError, match=r"w1\.fits"):
        survey([wide / "M.fits"], tmp_path / "out", [image])


def test_pictures_are_for_small_mosaics(wide, tmp_path, monkeypatch):
    picture = tmp_path / "M_infrared.png"
    cv2.imwrite(str(picture), np.zeros((20, 20, 3), np.uint8))
    mosaics = [wide / "M.fits", wide / "left.fits"]
    with pytest.raises(ImageError, match=r"left\.fits: no file among the infrared"):
        InfraredImages([picture], mosaics, tmp_path)
    images = InfraredImages([picture], mosaics[:1], tmp_path)
    mosaic = open_mosaic(mosaics[0], scratch=tmp_path)
    shown = images.of(mosaics[0], mosaic, (SIDE, SIDE), run_here)
    assert not isinstance(shown, MosaicInfrared)
    monkeypatch.setattr("claran.survey.infrared_images.MOST_WHOLE", 1000)
    with pytest.raises(ImageError, match=r"M_infrared\.png: has no WCS, and M\.fits"):
        images.of(mosaics[0], mosaic, (SIDE, SIDE), run_here)
