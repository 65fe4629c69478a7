import cv2
import pytest
from astropy.io import fits

from claran.detection.detector import Detector
from claran.survey.run import SurveyOptions, run_survey


@pytest.fixture
def detector():
    return Detector.from_preset("claran_first")


def write_mosaic(path, values):
    """Writes a mosaic with FIRST's beam and pixels."""
    header = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    header.update({"CRVAL1": 0.0, "CRVAL2": 10.0, "CRPIX1": 100.0, "CRPIX2": 100.0})
    header.update({"CDELT1": -5e-4, "CDELT2": 5e-4, "BUNIT": "JY/BEAM"})
    header.update({"BMAJ": 0.0015, "BMIN": 0.0015, "BPA": 0.0})
    fits.writeto(path, values.astype(">f4"), header)
    return path


def test_no_emission(rng, tmp_path, detector):
    values = cv2.GaussianBlur(rng.normal(size=(200, 210)), (0, 0), 1.27)
    mosaic = write_mosaic(tmp_path / "empty.fits", 1e-4 * values)
    lines = []
    found = run_survey(
        detector, [mosaic], tmp_path / "out", SurveyOptions(), tell=lines.append
    )
    assert len(found.sources) == len(found.components) == 0
    assert "las" in found.sources.colnames and found.skipped == ()
