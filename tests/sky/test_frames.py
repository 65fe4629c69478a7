import numpy as np
import pytest
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from claran.sky import frames
from claran.sky.frames import celestial_frame


def make(radesys="", equinox=np.nan, kind=("RA", "DEC")):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{kind[0]:-<4}-SIN", f"{kind[1]:-<4}-SIN"]
    wcs.wcs.radesys, wcs.wcs.equinox = radesys, equinox
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize(
    "cards",
    [
        {"radesys": "ICRS"}, {"radesys": "FK5", "equinox": 2000.0},
        {"radesys": "FK5", "equinox": 1975.0}, {"radesys": "FK4", "equinox": 1950.0},
        {"equinox": 1950.0}, {"equinox": 2000.0}, {}, {"kind": ("GLON", "GLAT")},
    ],
    ids=str,
)  # fmt: skip
def test_is_astropys(cards):
    for _ in range(2):  # Made, then remembered.
        assert celestial_frame(make(**cards)).is_equivalent_frame(
            wcs_to_celestial_frame(make(**cards))
        )


def test_is_made_once(monkeypatch):
    monkeypatch.setattr(frames, "_FRAMES", {})
    first = celestial_frame(make("FK5", 1983.25))
    monkeypatch.setattr(frames, "wcs_to_celestial_frame", None)
    assert celestial_frame(make("FK5", 1983.25)) is first


def test_an_unknown_frame_is_refused_each_time():
    for _ in range(2):
        with pytest.raises(ValueError, match="Could not determine celestial frame"):
            celestial_frame(make("J2000"))
