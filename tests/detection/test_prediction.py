"""Detection in many files from Python."""

import numpy as np
import pytest
from astropy.io import fits

from claran.detection.detections import Detections
from claran.detection.detector import Detector
from claran.detection.prediction import predict_files
from claran.errors import ImageError, ImageWarning
from claran.fields.field import Field
from claran.fields.notes import notes_for_user
from claran.fields.reading import read_picture_field
from claran.sky.images import read_sky_image


def test_paths_may_be_strings(channels_detector, sky_fields, write_field, tmp_path):
    paths = [str(write_field(field)) for field in sky_fields[:2]]
    output = str(tmp_path / "out.ecsv")
    found = predict_files(
        channels_detector, paths, output, infrared={}, tell=lambda _: None
    )
    assert (found.fields, found.skipped) == (2, ())
    assert repr(found) == (
        f"<Prediction: {len(found.table)} detections in 2 fields, 0 files skipped>"
    )
    assert (tmp_path / "out.ecsv").is_file()


def test_a_missing_file_is_skipped(
    channels_detector, sky_fields, write_field, tmp_path, capsys
):
    paths = [write_field(sky_fields[0]), tmp_path / "gone.fits"]
    found = predict_files(
        channels_detector, paths, tmp_path / "out.csv", tell=lambda _: None
    )
    assert (found.fields, found.skipped) == (1, ("gone.fits",))
    assert "gone.fits: cannot be read" in capsys.readouterr().err


def write(path, values, **cards):
    fits.PrimaryHDU(values, fits.Header(cards)).writeto(path)
    return path


def test_one_bad_file_never_ends_a_run(
    channels_detector, sky_fields, write_field, tmp_path, capsys
):
    """Cut in the middle, of another kind, without an image."""
    good = write_field(sky_fields[0])
    whole = good.read_bytes()
    bad = [tmp_path / name for name in ("cut.fits", "text.fits", "picture.fits")]
    contents = whole[:7000], b"hello", b"\x89PNG\r\n\x1a\n"
    for path, content in zip(bad, contents, strict=True):
        path.write_bytes(content)
    bad += [
        write(tmp_path / "flat.fits", np.ones((9, 9))),
        write(tmp_path / "table.fits", None),
        write(tmp_path / "line.fits", np.ones(9)),
    ]
    found = predict_files(
        channels_detector, [*bad, good], tmp_path / "out.ecsv", tell=lambda _: None
    )
    assert found.fields == 1
    assert found.skipped == tuple(path.name for path in bad)
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("Skipped: ")]
    for path, line in zip(bad, told, strict=True):
        assert path.name in line


def test_infrared_images_are_passed_over_and_named(
    channels_detector, sky_fields, write_field, tmp_path
):
    good = write_field(sky_fields[0])
    values = sky_fields[0].image.values
    infrared = write(tmp_path / "other.fits", values, TELESCOP="WISE", BUNIT="DN")
    told = []
    found = predict_files(
        channels_detector, [infrared, good], tmp_path / "out.ecsv", tell=told.append
    )
    assert (found.fields, found.skipped) == (1, ())
    assert found.infrared == ("other.fits",)
    assert "1 of the radio files are infrared images" in told[0]
    assert "(other.fits); give them as --ir" in told[0]


def test_notes_on_headers_are_told_once(channels_detector, sky_fields, tmp_path):
    values = sky_fields[0].image.values
    cards = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CDELT2": 5e-4}
    cards |= {"CRVAL1": 0.0, "CRVAL2": 0.0, "CRPIX1": 1.0, "CRPIX2": 1.0}
    paths = [
        write(tmp_path / f"{n}.fits", values, **cards, CDELT1=0.0) for n in range(3)
    ]
    found = predict_files(
        channels_detector, paths, tmp_path / "out.ecsv", tell=lambda _: None
    )
    ((note, count),) = found.noted.items()
    assert count == 3 and note.startswith("the WCS is left out")
    lines = notes_for_user(found.assumed, found.noted, found.fields, found.first)
    assert lines[0] == f"Note: {note}, in 3 of 3 fields."
    assert found.table.meta["NOTES"] == f"{note}, in 3 of 3 fields"
    with pytest.warns(ImageWarning, match=r"0.fits: the WCS is left out") as caught:
        table = channels_detector.detect(paths[0])
    assert len(caught) == 1 and caught[0].filename == __file__
    assert table.meta["NOTES"] == note


def test_the_first_file_of_a_note_is_named(channels_detector, sky_fields, tmp_path):
    values = sky_fields[0].image.values
    good = {"BMAJ": 0.0015, "CDELT1": -5e-4, "CDELT2": 5e-4, "CRVAL1": 0.0}
    good |= {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL2": 0.0}
    good |= {"CRPIX1": 1.0, "CRPIX2": 1.0}
    bad = good | {"CRVAL1": "x"}
    cards = {"a": good, "b": bad, "c": bad}
    paths = [write(tmp_path / f"{n}.fits", values, **cards[n]) for n in cards]
    output = tmp_path / "out.ecsv"
    found = predict_files(channels_detector, paths, output, tell=lambda _: None)
    lines = notes_for_user(found.assumed, found.noted, found.fields, found.first)
    assert lines[0].endswith("in 2 of 3 fields (first b.fits).")


def test_no_files(channels_detector, tmp_path):
    with pytest.raises(ImageError, match="`paths` is empty; give at least one file"):
        predict_files(channels_detector, [], tmp_path / "out.csv")


def test_no_usable_file(channels_detector, tmp_path, capsys):
    output = tmp_path / "out.csv"
    gone = [tmp_path / f"{name}.fits" for name in ("gone", "lost")]
    with pytest.raises(ImageError, match="None of 2 files could be used"):
        predict_files(channels_detector, gone, output)
    assert "Skipped" in capsys.readouterr().err
    with pytest.raises(ImageError, match=r"gone\.fits: cannot be read"):
        predict_files(channels_detector, gone[:1], output)
    assert "Skipped" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_model_is_hashed_once(picture_detector, narrow_path):
    """Not for each table: the file of a large model has 0.5 GB."""
    detector = Detector.from_preset(narrow_path)
    first = detector.fingerprint
    assert detector.fingerprint is first and len(first) == 64
    assert picture_detector.fingerprint != picture_detector.fingerprint
    assert "MODELSHA" not in picture_detector.metadata(0.5, None, [])


def test_a_picture_is_drawn(d1_path):
    detector = Detector.from_preset(d1_path)
    field = read_picture_field(np.zeros((40, 60, 3), np.uint8))
    (axes,) = detector.plot(field, score_threshold=0).axes
    assert axes.get_xlabel() == "x [pixel]"


def test_positions_off_the_sky_are_not_written(channels_detector, make_sky_field):
    """The corner of an all-sky image in Aitoff's projection."""
    field = make_sky_field("sky", (60, 60), [(8, 8, 90), (30, 30, 90)])
    cards = {"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CRPIX1": 30, "CRPIX2": 30}
    header = fits.Header(cards | {"CDELT1": -6.0, "CDELT2": 3.0})
    image = read_sky_image(fits.PrimaryHDU(field.image.values, header))
    field = Field("sky", image=image)
    boxes = np.array([[0.0, 0.0, 4.0, 4.0], [28.0, 28.0, 32.0, 32.0]])
    found = Detections(boxes=boxes, labels=np.ones(2, int), scores=np.ones(2))
    table = channels_detector.table(field, found, score_threshold=0.5)
    assert np.isnan(table["center"].ra).tolist() == [True, False]
    assert "off the edge of the sky have no position" in table.meta["NOTES"]


def test_images_that_scores_are_not_calibrated_for_are_said(
    channels_detector, make_sky_field, write_field, tmp_path
):
    field = make_sky_field("f", (60, 64), [(20, 30, 60)])
    paths = [write_field(field.replace(name=name)) for name in ("a", "b")]
    for path in paths:
        fits.setval(path, "BMAJ", value=3.0 / 3600)
    said = "scores are not calibrated for images with a beam of less than 2 pixels"
    with pytest.warns(ImageWarning, match=said):
        table = channels_detector.detect(paths[0])
    assert said in table.meta["NOTES"]
    found = predict_files(channels_detector, paths, tmp_path / "t.ecsv", tell=list)
    assert sum(count for note, count in found.noted.items() if said in note) == 2
    assert said in found.table.meta["NOTES"]
