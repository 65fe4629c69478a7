"""Sources where surveys go wrong: edges, blanks, poles, units, beams and files."""

import bz2
import gzip
import re

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from claran.catalog.iau_names import iau_names
from claran.errors import ImageError
from claran.photometry.fit_flags import FitFlag
from claran.photometry.source_flags import SourceFlag
from claran.survey import mosaic_search

SHAPE = (300, 300)  # Each of two sources far from the other has its own window.
PLACES = ((60.3, 50.7), (230.2, 240.1))
PEAKS = (0.01, 0.005)


@pytest.fixture(scope="module")
def two(sky):
    """Two unresolved sources."""
    return [sky.source(*place, peak) for place, peak in zip(PLACES, PEAKS, strict=True)]


@pytest.fixture(scope="module")
def image(sky, two):
    return sky.draw(SHAPE, two)


@pytest.fixture(scope="module")
def usual(sky, search, image, tmp_path_factory):
    return search(sky.write(tmp_path_factory.mktemp("usual") / "m.fits", image))


def by_flux(found):
    order = np.argsort(-found.sources["flux"])
    return {name: column[order] for name, column in found.sources.items()}


def assert_two(found, wcs=None):
    """The two sources are there once, where they are, with their fluxes."""
    sources = by_flux(found)
    np.testing.assert_allclose(sources["flux"], PEAKS, rtol=0.05)
    np.testing.assert_allclose(
        np.stack([sources["x"], sources["y"]], 1), PLACES, atol=0.1
    )
    assert sources["label"].tolist() == ["1_1", "1_1"]
    assert (sources["flags"] & ~int(SourceFlag.AMBIGUOUS) == 0).all()
    if wcs is not None:
        true = wcs.pixel_to_world(*(np.transpose(PLACES) - 0.5)).icrs
        own = SkyCoord(sources["ra"], sources["dec"], unit="deg")
        assert (own.separation(true).arcsec < 0.2).all()
    return sources


def assert_same(found, expected, but=()):
    """All columns are equal, bit for bit."""
    for kind in ("sources", "components"):
        own, other = getattr(found, kind), getattr(expected, kind)
        assert own.keys() == other.keys()
        for name in own.keys() - set(but):
            np.testing.assert_array_equal(own[name], other[name], err_msg=name)


def test_two_sources(usual, sky):
    assert_two(usual, sky.wcs(SHAPE))
    assert usual.components["source"].tolist() == [1, 0]


@pytest.mark.parametrize("place", [(1.0, 150), (299.8, 150), (150, 0.2), (150, 300.2)])
def test_at_the_edge(search, sky, tmp_path, place):
    """Half of the source is there: the Gaussian says where the rest is."""
    image = sky.draw(SHAPE, [sky.source(*place, 0.01)])
    found = search(sky.write(tmp_path / "m.fits", image)).sources
    assert len(found["x"]) == 1
    assert found["flags"] & SourceFlag.AT_EDGE
    np.testing.assert_allclose([found["x"][0], found["y"][0]], place, atol=0.1)
    assert found["flux"] == pytest.approx(0.01, rel=0.05)


def test_in_the_corner(search, sky, tmp_path):
    """The network may doubt a quarter of a source; it is a component anyway."""
    image = sky.draw(SHAPE, [sky.source(0.3, 299.6, 0.01)])
    found = search(sky.write(tmp_path / "m.fits", image)).components
    assert found["flux"] == pytest.approx(0.01, rel=0.05)
    np.testing.assert_allclose([found["x"][0], found["y"][0]], [0.3, 299.6], atol=0.1)
    assert found["flags"] & FitFlag.AT_EDGE


def test_beside_blank_pixels(search, sky, image, tmp_path):
    blank = image.copy()
    blank[40:60, 64:120] = np.nan  # From the flank of the first on.
    blank[:, 270:] = np.nan
    sources = by_flux(search(sky.write(tmp_path / "m.fits", blank)))
    np.testing.assert_allclose(sources["flux"], PEAKS, rtol=0.05)
    assert sources["flags"].tolist() == [SourceFlag.NEAR_BLANK, 0]


def test_peak_on_blank_pixels(search, sky, image, tmp_path):
    """Half of the source is there: the Gaussian says where the rest is."""
    blank = image.copy()
    blank[:, 230:] = np.nan
    sources = by_flux(search(sky.write(tmp_path / "m.fits", blank)))
    np.testing.assert_allclose(sources["flux"], PEAKS, rtol=0.1)
    assert sources["flags"][1] & SourceFlag.NEAR_BLANK


def test_all_blank(search, sky, tmp_path):
    path = sky.write(tmp_path / "m.fits", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(ImageError, match="has no finite pixel") as caught:
        search(path)
    assert "m.fits" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e-3])
def test_one_pixel(search, sky, tmp_path, value):
    path = sky.write(tmp_path / "m.fits", np.float32([[value]]))
    with pytest.raises(ImageError, match=r"m\.fits"):
        search(path)


def test_a_strip(search, sky, tmp_path):
    image = sky.draw((5, 2000), [sky.source(1000, 2.5, 0.01)])
    found = search(sky.write(tmp_path / "m.fits", image))
    assert found.sources["x"] == pytest.approx(1000, abs=0.1)
    assert found.sources["flux"] == pytest.approx(0.01, rel=0.05)
    assert_same(search(tmp_path / "m.fits", 64), found)


@pytest.mark.parametrize(
    "ra, dec", [(0.0, 10.0), (359.99, -40.0), (0.0, 90.0), (77.0, -90.0), (12.0, 89.97)]
)
def test_places_on_the_sky(search, sky, image, usual, tmp_path, ra, dec):
    wcs = sky.wcs(SHAPE, ra, dec)
    found = search(sky.write(tmp_path / "m.fits", image, wcs))
    sources = assert_two(found, wcs)
    assert ((sources["ra"] >= 0) & (sources["ra"] < 360)).all()
    # On the sky, lengths are the same everywhere.
    for name in ("e_dec", "e_ra"):
        np.testing.assert_allclose(sources[name], by_flux(usual)[name], rtol=0.01)
    names = iau_names(sources["ra"], sources["dec"], "X")
    assert len(set(names)) == 2
    if ra == 0 and dec == 10:
        assert sorted(name[:6] for name in names) == ["X J000", "X J235"]


def test_at_the_pole_itself(search, sky, tmp_path):
    wcs = sky.wcs(SHAPE, 0.0, 90.0)
    image = sky.draw(SHAPE, [sky.source(150.0, 150.0, 0.01)])
    found = search(sky.write(tmp_path / "m.fits", image, wcs)).sources
    assert found["dec"] > 89.9999 and found["dec"] <= 90
    assert found["flux"] == pytest.approx(0.01, rel=0.03)


def elliptical(sky, angle):
    shape = {"major": 5.0, "minor": 3.0, "angle": angle}
    sources = [
        sky.source(*at, peak, **shape) for at, peak in zip(PLACES, PEAKS, strict=True)
    ]
    return sky.draw(SHAPE, sources, beam=sky.source(15.5, 15.5, **shape))


def assert_unresolved(found, pa):
    """The components have the beam of the header, as the sky shows it."""
    components = found.components
    np.testing.assert_allclose(components["major"], 9.0, rtol=0.02)
    np.testing.assert_allclose(components["minor"], 5.4, rtol=0.02)
    np.testing.assert_allclose(components["pa"], pa, atol=2)
    assert (components["dc_minor"] == 0).all()


@pytest.mark.parametrize("kind", ["plain", "rotated", "mirrored", "galactic"])
def test_an_elliptical_beam(search, sky, tmp_path, kind):
    wcs, angle = sky.wcs(SHAPE), 30.0
    if kind == "rotated":
        turn = np.radians(40)
        wcs.wcs.pc = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        angle = 30 + np.degrees(turn)
    elif kind == "mirrored":  # RA grows with x.
        wcs.wcs.cdelt = np.abs(wcs.wcs.cdelt)
        angle = -30.0
    elif kind == "galactic":
        wcs.wcs.ctype = ["GLON-SIN", "GLAT-SIN"]
    wcs.wcs.set()
    beam = {"BMAJ": 9 / 3600, "BMIN": 5.4 / 3600, "BPA": angle % 180}
    drawn = 30.0
    if kind == "mirrored":
        drawn, beam["BPA"] = -30.0, 30.0
    path = sky.write(tmp_path / "m.fits", elliptical(sky, drawn), wcs, **beam)
    found = search(path)
    assert_two(found, wcs)
    if kind != "galactic":  # Position angles count from the ICRS's north.
        assert_unresolved(found, beam["BPA"])


UNITS = {
    "mJy/beam": 1e3,
    "uJy beam-1": 1e6,
    "Jy/pixel": 4 * np.log(2) / np.pi / 9,
    "K": 1.222e6 / (1.4**2 * 5.4**2),  # Of 1 Jy/beam at 1.4 GHz.
    "mK": 1.222e9 / (1.4**2 * 5.4**2),
}


@pytest.mark.parametrize("unit", UNITS)
def test_units(search, sky, image, tmp_path, unit):
    scaled = image * np.float32(UNITS[unit])
    path = sky.write(tmp_path / "m.fits", scaled, BUNIT=unit, RESTFRQ=1.4e9)
    found = search(path)
    assert_two(found)
    np.testing.assert_allclose(found.components["noise"], 1e-4, rtol=0.2)
    assert any(unit in note for note in found.mosaic.notes)


def test_kelvin_without_frequency(search, sky, image, tmp_path):
    path = sky.write(tmp_path / "m.fits", image * np.float32(2e4), BUNIT="K")
    with pytest.raises(ImageError, match="frequency is unknown; give the survey"):
        search(path)


def test_no_beam(search, sky, image, usual, tmp_path):
    path = sky.write(tmp_path / "m.fits", image, BMAJ=None, BMIN=None, BPA=None)
    found = search(path)
    for name, column in usual.sources.items():
        if column.dtype.kind == "f":  # The header's beam is rounded.
            np.testing.assert_allclose(found.sources[name], column, rtol=1e-6)
    assert found.mosaic.assumptions == ("no beam: assumed FIRST's, 5.4 arcsec",)


def test_no_wcs(search, image, tmp_path):
    fits.writeto(tmp_path / "m.fits", image)
    found = search(tmp_path / "m.fits")
    assert_two(found)
    assert np.isnan(found.sources["ra"]).all()
    assert "beam is assumed to be 3 pixels" in found.mosaic.assumptions[0]


@pytest.mark.parametrize("axes", [3, 4])
def test_more_axes(search, sky, image, usual, tmp_path, axes):
    cube = image.reshape((1,) * (axes - 2) + SHAPE)
    assert_same(search(sky.write(tmp_path / "m.fits", cube)), usual)


def test_packed_files(search, sky, image, usual, tmp_path):
    path = sky.write(tmp_path / "m.fits", image)
    (tmp_path / "m.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "m.fits.bz2").write_bytes(bz2.compress(path.read_bytes()))
    for name in ("m.fits.gz", "m.fits.bz2"):
        assert_same(search(tmp_path / name), usual)


def test_compressed_tiles(search, sky, image, tmp_path):
    """Which lose digits, so that they are compared with what they hold."""
    packed, header = (
        tmp_path / "m.fits.fz",
        fits.getheader(sky.write(tmp_path / "m.fits", image)),
    )
    hdus = [fits.PrimaryHDU(), fits.CompImageHDU(image, header)]
    fits.HDUList(hdus).writeto(packed)
    plain = sky.write(tmp_path / "plain.fits", fits.getdata(packed))
    found = search(packed)
    assert_two(found)
    assert_same(found, search(plain))


def test_on_the_corners_of_tiles(search, sky, usual, tmp_path):
    """A double with components on the corners and edges of tiles."""
    parts = [
        (100.2, 200.1, 0.02, 6, 4, 90),
        (150.4, 200.3, 0.02, 6, 4, 90),
        (125, 200, 0.004),
    ]
    image = sky.draw((400, 400), [sky.source(*part) for part in parts])
    path = sky.write(tmp_path / "m.fits", image)
    found = search(path)
    assert found.sources["label"].tolist() == ["3_3"]
    assert found.components["source"].tolist() == [0, 0, 0]
    true = 0.004 + 2 * 0.02 * 6 * 4 / 9
    assert found.sources["flux"] == pytest.approx(true, rel=0.05)
    for tile_size in (100, 50, 125, 399):
        assert_same(search(path, tile_size), found)


def test_larger_than_tile_and_window(search, sky, tmp_path):
    """Lobes of a giant, 700 pixels apart, and a bridge longer than any window."""
    jet = [
        sky.source(100.0 + 20 * number, 100.0, 0.002, major=22, minor=6, angle=90)
        for number in range(36)
    ]
    image = sky.draw((200, 900), jet)
    path = sky.write(tmp_path / "m.fits", image)
    found = search(path)
    ((width,),) = np.diff(found.sources["boxes"][:, ::2], axis=1)
    assert 700 < width < 800
    assert found.sources["flags"] & SourceFlag.TOO_LARGE
    true = sum(one.flux for one in jet)
    assert found.sources["flux"] == pytest.approx(true, rel=0.05)
    assert_same(search(path, 128), found)


def test_too_large_to_be_measured(search, sky, tmp_path, monkeypatch):
    """The rest of the mosaic is searched."""
    large, small = sky.source(90, 90, 0.01, 40, 40), sky.source(220, 200, 0.005)
    path = sky.write(tmp_path / "m.fits", sky.draw(SHAPE, [large, small]))
    monkeypatch.setattr(mosaic_search, "LARGEST", 2000)
    found = search(path)
    np.testing.assert_allclose(found.sources["x"], [220], atol=0.1)
    np.testing.assert_allclose(found.components["x"], [220], atol=0.1)
    (note,) = found.notes
    assert re.search(
        r"connected over \d+ x \d+ pixels.* left out .*islands in it: 1", note
    )
