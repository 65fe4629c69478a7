"""The same sky on other pixels: each source is listed once, from one mosaic."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from claran.survey.run import SurveyOptions, run_survey

FIELDS = {"zero": (0.0, 0.01), "pole": (40.0, 89.96)}
MOSAICS = {  # Pixel, beam, angle, offsets to the east and north, projection.
    "a": (1.8, 5.4, 0.0, (-60, -20), "RA---SIN DEC--SIN"),
    "b": (1.5, 6.0, 33.0, (70, -10), "RA---TAN DEC--TAN"),
    "c": (2.4, 8.0, -71.0, (0, 60), "GLON-TAN GLAT-TAN"),
}
SIZE, SIGMA = 400.0, 1.5e-4  # Arcsec, Jy/beam.
PLACES = [(x, y) for x in (-130, -45, 40, 125) for y in (-120, -35, 50, 135)]


def center_of(field):
    return SkyCoord(*FIELDS[field], unit="deg")


def true_sources(field):
    """Points, and every third one a double of 16": the components of each, and flux."""
    rng = np.random.default_rng(list(FIELDS).index(field))
    found = []
    for number, (east, north) in enumerate(PLACES):
        middle = center_of(field).spherical_offsets_by(
            east * units.arcsec, north * units.arcsec
        )
        turn = rng.uniform(0, 360) * units.deg
        apart = 8.0 if number % 3 == 0 else 0.0
        ends = [turn, turn + 180 * units.deg] if apart else [turn]
        flux = 10 ** rng.uniform(-2.4, -1.5)
        found.append(
            [
                (middle.directional_offset_by(a, apart * units.arcsec), flux)
                for a in ends
            ]
        )
    return found


def write_one(path, field, name, sky):
    pixel, beam, turn, offset, kind = MOSAICS[name]
    side = round(SIZE / pixel)
    middle = center_of(field).spherical_offsets_by(*(offset * units.arcsec))
    if kind.startswith("GLON"):
        middle = middle.galactic
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = kind.split()
    wcs.wcs.crval = [middle.spherical.lon.deg, middle.spherical.lat.deg]
    wcs.wcs.crpix = [(side + 1) / 2] * 2
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = np.array([[-cos, -sin], [-sin, cos]]) * pixel / 3600
    width = beam / pixel
    drawn = [
        sky.source(*(np.array(wcs.world_to_pixel(place)) + 0.5), flux, width, width)
        for one in true_sources(field)
        for place, flux in one
    ]
    ring = sky.source(15.5, 15.5, 1.0, width, width)
    image = sky.draw((side, side), drawn, beam=ring, seed=ord(name))
    header = wcs.to_header()
    header["BMAJ"] = header["BMIN"] = beam / 3600
    header["BPA"], header["BUNIT"] = 0.0, "Jy/beam"
    fits.writeto(path, image, header)
    return wcs, side


@pytest.fixture(scope="module")
def catalog(detector, sky, tmp_path_factory):
    """The catalog of six mosaics, and where each of them is."""
    folder, grids = tmp_path_factory.mktemp("overlapping"), {}
    for field in FIELDS:
        for name in MOSAICS:
            path = folder / f"{field}_{name}.fits"
            grids[path.name] = write_one(path, field, name, sky)
    options = SurveyOptions()
    paths = sorted(folder.glob("*.fits"))
    found = run_survey(detector, paths, folder, options, tell=lambda _: None)
    return found, grids


def covering(grids, places, margin):
    """Names of the mosaics that show all of these places."""
    return [
        name
        for name, (wcs, side) in grids.items()
        if np.isfinite(
            at := np.array([wcs.world_to_pixel(one) for one in places])
        ).all()
        and (at > margin).all()
        and (at < side - 1 - margin).all()
    ]


@pytest.mark.parametrize("field", FIELDS)
def test_each_source_is_listed_once(catalog, field):
    found, grids = catalog
    rows, images = SkyCoord(found.sources["center"]), np.array(found.sources["image"])
    listed, shown_by = 0, []
    for source in true_sources(field):
        places = [place for place, _ in source]
        near = np.any([rows.separation(one).arcsec < 12 for one in places], axis=0)
        shown_by.append(len(covering(grids, places, 8)))
        if not shown_by[-1]:
            continue
        listed += 1
        assert len(set(images[near])) == 1
        assert near.sum() == 1 or near.sum() == len(places)  # A double may be two.
    assert listed >= 14 and min(shown_by) < 2 and max(shown_by) == 3


@pytest.mark.parametrize("field", FIELDS)
def test_each_component_is_listed_once(catalog, field):
    found, grids = catalog
    rows = SkyCoord(found.components["center"])
    fluxes = found.components["flux"].to_value("Jy")
    for place, flux in [one for source in true_sources(field) for one in source]:
        near = rows.separation(place).arcsec < 4
        if covering(grids, [place], 8):
            assert near.sum() == 1
            assert fluxes[near][0] == pytest.approx(flux, rel=0.2)


def test_nothing_else_is_listed(catalog):
    found, _ = catalog
    every = SkyCoord(
        [place for field in FIELDS for one in true_sources(field) for place, _ in one]
    )
    _, apart, _ = SkyCoord(found.sources["center"]).match_to_catalog_sky(every)
    assert apart.arcsec.max() < 9 and len(set(found.sources["image"])) > 3
