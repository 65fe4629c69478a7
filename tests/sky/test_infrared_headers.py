import pytest

from claran.sky.infrared_headers import Photometry, read_photometry

UNWISE = {"TELESCOP": "WISE", "BAND": "1", "MAGZP": 22.5}


@pytest.mark.parametrize(
    "header, expected",
    [
        (UNWISE, Photometry("W1", 22.5)),
        (UNWISE | {"BAND": "w2", "SATURATE": "5D4"}, Photometry("W2", 22.5, 5e4)),
        (UNWISE | {"BAND": 1.0, "MAGZP": -999}, Photometry("W1")),
        (UNWISE | {"BAND": 5}, Photometry("", 22.5)),
        ({"TELESCOP": "UKIRT", "BAND": 1, "MAGZP": 25.0}, Photometry("", 25.0)),
        ({"BAND": 1, "MAGZP": "none", "SATURATE": 0}, Photometry()),
    ],
)
def test_photometry_of_headers(header, expected):
    assert read_photometry(header) == expected
