import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from claran.photometry.sky_measures import sky_components, sky_sources

PLACES = [
    ("SIN", 180.0, 30.0, 0.0, "ICRS"),
    ("SIN", 0.0, -20.0, 37.0, "ICRS"),
    ("TAN", 10.0, 90.0, 0.0, "ICRS"),
    ("SIN", 0.0, -89.99, 120.0, "ICRS"),
    ("ZEA", 80.0, 45.0, 10.0, "FK5"),
]


def make_wcs(projection, ra, dec, turn, frame, size=1000, pixel=1.8):
    """A mosaic around a place, turned by some degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [size / 2, size / 2]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    scale = np.diag([-pixel / 3600, pixel / 3600])
    wcs.wcs.cd = np.array([[cosine, -sine], [sine, cosine]]) @ scale
    wcs.wcs.radesys = frame
    wcs.wcs.set()
    return wcs


def sky(wcs, x, y):
    return wcs.pixel_to_world(x - 0.5, y - 0.5).icrs


def make_lines(rng, count=50):
    """Lines in pixels: their columns, and both of their ends."""
    x, y = rng.uniform(0, 1000, (2, count))
    angle, las = rng.uniform(0, 180, count), rng.uniform(2, 20, count)
    turn = np.radians(angle)
    ends = [
        (x - sign * las / 2 * np.sin(turn), y + sign * las / 2 * np.cos(turn))
        for sign in (1, -1)
    ]
    rows = {"x": x, "y": y, "angle": angle, "las": las, "e_las": las / 10}
    rows |= {"e_x": np.ones(count), "e_y": np.zeros(count)}
    rows["boxes"] = np.stack([x - 1, y - 2, x + 1, y + 2], axis=1)
    return rows, ends


@pytest.mark.parametrize("place", PLACES)
def test_sizes_and_angles_are_those_on_the_sky(rng, place):
    wcs = make_wcs(*place)
    rows, ends = make_lines(rng)
    found = sky_sources(rows, wcs)
    center, one, other = (sky(wcs, *p) for p in ((rows["x"], rows["y"]), *ends))
    assert SkyCoord(found["ra"], found["dec"], unit="deg").separation(center).max() < (
        1e-6 * center.ra.unit
    )
    assert found["las"] == pytest.approx(one.separation(other).arcsec, rel=1e-6)
    assert found["e_las"] == pytest.approx(found["las"] / 10)
    off = (found["pa"] - center.position_angle(one).deg + 90) % 180 - 90
    assert np.abs(off).max() < 1e-3
    x, y = rows["x"], rows["y"]
    wide = sky(wcs, x - 1, y).separation(sky(wcs, x + 1, y)).arcsec
    high = sky(wcs, x, y - 2).separation(sky(wcs, x, y + 2)).arcsec
    assert found["width"] == pytest.approx(wide, rel=1e-6)
    assert found["height"] == pytest.approx(high, rel=1e-6)
    # All errors are along x here.
    assert np.hypot(found["e_ra"], found["e_dec"]) == pytest.approx(wide / 2, rel=1e-6)


def test_scale_is_that_of_the_place():
    """Far from the middle of a large SIN mosaic a pixel covers more sky."""
    wcs = make_wcs("SIN", 180.0, 0.0, 0.0, "ICRS", pixel=60.0)
    wcs.wcs.crpix = [1, 1]
    x = np.array([0.5, 1800.0])  # 31.6 degrees from the middle.
    rows = {"x": x, "y": np.full(2, 0.5), "e_x": np.ones(2), "e_y": np.ones(2)}
    rows |= {"angle": np.full(2, 90.0), "las": np.ones(2), "e_las": np.ones(2)}
    rows["boxes"] = np.zeros((2, 4))
    found = sky_sources(rows, wcs)
    off = np.radians(1799.5 / 60)
    assert found["las"] == pytest.approx([60, 60 / np.sqrt(1 - off**2)], rel=1e-4)


NAMES = ("major", "minor", "angle")


def make_components(count=3, **columns):
    rows = {"x": np.full(count, 500.0), "y": np.full(count, 499.0)}
    rows |= {"e_x": np.full(count, 0.1), "e_y": np.full(count, 0.2)}
    for prefix in ("", "e_", "dc_", "e_dc_"):
        for name, value in zip(NAMES, (4.0, 3.0, 20.0), strict=True):
            rows[prefix + name] = np.full(count, value)
    return rows | {name: np.array(value) for name, value in columns.items()}


def test_components():
    rows = make_components(dc_major=[2.0, 0.0, 2.0], dc_minor=[1.0, 0.0, 0.0])
    found = sky_components(rows, make_wcs("SIN", 180.0, 30.0, 0.0, "ICRS"))
    assert found["major"] == pytest.approx(7.2)
    assert found["minor"] == pytest.approx(5.4)
    assert found["e_major"] == pytest.approx(7.2)
    assert found["pa"] == pytest.approx(20.0, abs=0.01)
    assert found["e_pa"] == pytest.approx(20.0)
    assert found["dc_major"] == pytest.approx([3.6, 0, 3.6], rel=1e-4)
    assert found["dc_minor"] == pytest.approx([1.8, 0, 0], abs=1e-4)
    # Upper limits where nothing is resolved, which has no angle.
    assert found["e_dc_major"] == pytest.approx(7.2)
    assert np.isnan(found["dc_pa"]).tolist() == [False, True, False]
    assert np.isnan(found["e_dc_pa"]).tolist() == [False, True, False]
    assert found["e_ra"] == pytest.approx(0.18)
    assert found["e_dec"] == pytest.approx(0.36)


def test_pixels_that_are_not_square():
    wcs = make_wcs("SIN", 180.0, 30.0, 0.0, "ICRS")
    wcs.wcs.cd = [[-1 / 3600, 0], [0, 2 / 3600]]
    rows = make_components(angle=[0.0, 90.0, 90.0], minor=[4.0, 4.0, 1.0])
    found = sky_components(rows, wcs)
    assert found["major"] == pytest.approx([8, 8, 4], rel=1e-4)
    assert found["minor"] == pytest.approx([4, 4, 2], rel=1e-4)
    assert found["pa"][2] == pytest.approx(90, abs=0.01)


def test_without_a_wcs_all_is_nan(rng):
    rows, _ = make_lines(rng)
    for found in (sky_sources(rows, None), sky_components(make_components(), None)):
        for name, column in found.items():
            assert np.isnan(column).all(), name


def test_no_rows(rng):
    wcs = make_wcs(*PLACES[0])
    rows = {name: column[:0] for name, column in make_lines(rng)[0].items()}
    assert {len(column) for column in sky_sources(rows, wcs).values()} == {0}
    rows = {name: column[:0] for name, column in make_components().items()}
    assert {len(column) for column in sky_components(rows, wcs).values()} == {0}
