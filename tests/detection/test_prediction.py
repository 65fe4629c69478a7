"""Detection in many files from Python."""

import numpy as np
import pytest

from claran.detection.detector import Detector
from claran.detection.prediction import predict_files
from claran.errors import ImageError
from claran.fields.reading import read_picture_field


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


def test_no_files(channels_detector, tmp_path):
    with pytest.raises(ImageError, match="`paths` is empty; give at least one file"):
        predict_files(channels_detector, [], tmp_path / "out.csv")


def test_no_usable_file(channels_detector, tmp_path):
    output = tmp_path / "out.csv"
    with pytest.raises(ImageError, match="None of 1 files could be used"):
        predict_files(channels_detector, [tmp_path / "gone.fits"], output)
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
