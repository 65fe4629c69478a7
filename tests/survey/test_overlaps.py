import itertools

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import skycoord_to_pixel

from claran.photometry.source_flags import SourceFlag
from claran.survey.overlaps import MosaicCatalog, merge_mosaics

PIXEL = 1.8
SIZE = 400


def make_wcs(ra, dec, turn=0.0, size=SIZE):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [size / 2, size / 2]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    scale = np.diag([-PIXEL / 3600, PIXEL / 3600])
    wcs.wcs.cd = np.array([[cosine, -sine], [sine, cosine]]) @ scale
    return wcs


def make_catalog(name, wcs, sources, *, noise=1.0, beam=5.4, flags=None, alone=()):
    """A catalog of sources, each a list of the places of its components.

    Args:
        name: Of the mosaic.
        wcs: Of the mosaic.
        sources: `SkyCoord` of the components of each source.
        noise: Of the mosaic.
        beam: Arcsec.
        flags: Of the sources.
        alone: `SkyCoord` of the components without a source.
    """
    places = [
        np.stack(skycoord_to_pixel(one, wcs), axis=-1).reshape(-1, 2) + 0.5
        for one in (*sources, *alone)
    ]
    counts = [len(one) for one in places]
    points = np.concatenate([np.zeros((0, 2)), *places])
    source = np.repeat(np.arange(len(places)), counts)
    source[source >= len(sources)] = -1
    number = len(sources)
    middles = np.array([one.mean(axis=0) for one in places[:number]]).reshape(-1, 2)
    box = np.array([[-3, -3], [3, -3], [3, 3], [-3, 3]])
    owned = points[source >= 0]
    return MosaicCatalog(
        name=name, wcs=wcs, shape=(SIZE, SIZE), beam_arcsec=beam,
        sources={
            "x": middles[:, 0], "y": middles[:, 1], "rms": np.full(number, noise),
            "flags": np.zeros(number, int) if flags is None else np.array(flags),
        },
        components={
            "x": points[:, 0], "y": points[:, 1], "noise": np.full(len(points), noise),
            "flags": np.zeros(len(points), int), "source": source,
        },
        outlines=(owned[:, None] + box).reshape(-1, 2),
        corners=np.full(len(owned), 4),
        outline_sources=source[source >= 0],
    )  # fmt: skip


def around(ra, dec, *offsets):
    """Places at offsets to the east and north, arcsec."""
    center = SkyCoord(ra, dec, unit="deg")
    east, north = np.array(offsets, float).reshape(-1, 2).T
    return center.directional_offset_by(
        np.degrees(np.arctan2(east, north)) * units.deg,
        np.hypot(east, north) * units.arcsec,
    )


def kept(*catalogs):
    """Rows kept of each mosaic, by name; checked in every order of the mosaics."""
    found = {
        order: merge_mosaics([catalogs[i] for i in order])
        for order in itertools.permutations(range(len(catalogs)))
    }
    first = found[tuple(range(len(catalogs)))]
    for order, results in found.items():
        for place, i in enumerate(order):
            for one, other in zip(results[place], first[i], strict=True):
                np.testing.assert_array_equal(one, other)
    return {
        catalog.name: np.flatnonzero(result.sources).tolist()
        for catalog, result in zip(catalogs, first, strict=True)
    }


CENTERS = [(180.0, 30.0), (0.0, 10.0), (359.999, -89.99), (50.0, 90.0)]


@pytest.mark.parametrize("ra, dec", CENTERS)
@pytest.mark.parametrize("noise, best", [((1.0, 2.0), "a"), ((2.0, 1.0), "b")])
def test_each_source_once_from_where_the_noise_is_lower(ra, dec, noise, best):
    grid = [(x, y) for x in (-90, 0, 90) for y in (-90, 0, 90)]
    sources = [around(ra, dec, place) for place in grid]
    shifted = [around(ra, dec, (x + 1.5, y - 1)) for x, y in grid]
    here = make_catalog("a", make_wcs(ra, dec), sources, noise=noise[0])
    there = make_catalog("b", make_wcs(ra, dec, 77.0), shifted, noise=noise[1])
    found = kept(here, there)
    assert found.pop(best) == list(range(9))
    assert list(found.values()) == [[]]


def test_sources_seen_once_are_all_kept():
    here = make_catalog("a", make_wcs(0.0, 0.0), [around(0, 0, (-30, 0))])
    there = make_catalog("b", make_wcs(0.05, 0.0), [around(0, 0, (30, 0))])
    far = make_catalog("c", make_wcs(90.0, 0.0), [around(90, 0, (30, 0))])
    assert kept(here, there, far) == {"a": [0], "b": [0], "c": [0]}


def test_as_good_mosaics_by_distance_from_the_edge_then_by_name():
    place = around(0, 0, (100, 0))
    middle = make_catalog("z", make_wcs(0.0, 0.0), [place], noise=1.01)
    aside = make_catalog("a", make_wcs(0.06, 0.0), [place], noise=1.0)
    nearer = make_catalog("y", make_wcs(0.028, 0.0), [place], noise=1.0)
    assert kept(middle, aside, nearer) == {"z": [], "a": [], "y": [0]}
    twin = make_catalog("x", make_wcs(0.028, 0.0), [place], noise=1.0)
    assert kept(nearer, twin) == {"x": [0], "y": []}


@pytest.mark.parametrize("noise, sources", [(1.0, 1), (1.4, 1), (2.0, 0)])
def test_a_source_is_better_than_a_component_without(noise, sources):
    """As good data may show a source that the network doubts elsewhere."""
    place = around(0, 0, (100, 0))
    doubted = make_catalog("a", make_wcs(0.028, 0.0), [], alone=[place])
    believed = make_catalog("z", make_wcs(0.0, 0.0), [place], noise=noise)
    assert kept(doubted, believed) == {"a": [], "z": [0] * sources}


def test_sources_are_not_lost_to_a_larger_beam():
    """A component in doubt beside sources does not drop them for a blend of all."""
    places = around(0, 0, (0, 0), (8, 0), (0, 8))
    sharp = make_catalog("a", make_wcs(0, 0), [places[:1], places[1:2]],
                         alone=[places[2:]])  # fmt: skip
    blended = make_catalog("b", make_wcs(0, 0), [places[:1]], noise=1.2, beam=45.0)
    assert kept(sharp, blended) == {"a": [0, 1], "b": []}


def test_source_cut_by_an_edge_loses():
    place = around(0, 0, (0, 0))
    cut = make_catalog("a", make_wcs(0, 0), [place], flags=[int(SourceFlag.AT_EDGE)])
    whole = make_catalog("b", make_wcs(0, 0), [place], noise=9.0)
    assert kept(cut, whole) == {"a": [], "b": [0]}


def test_mosaic_that_misses_a_lobe_loses():
    """A lobe beyond the edge is an island of its own: what is left is not cut."""
    lobes = around(0, 0, (-40, 0), (40, 0))
    part = make_catalog("a", make_wcs(0.11, 0), [lobes[1:]], noise=1.0)
    whole = make_catalog("b", make_wcs(0, 0), [lobes], noise=9.0)
    assert kept(part, whole) == {"a": [], "b": [0]}


@pytest.mark.parametrize("best", ["double", "singles"])
def test_double_here_and_singles_there(best):
    lobes = around(0, 0, (-40, 0), (40, 0))
    noise = (1, 2) if best == "double" else (2, 1)
    double = make_catalog("double", make_wcs(0, 0), [lobes], noise=noise[0])
    singles = make_catalog(
        "singles", make_wcs(0, 0, 10), [lobes[:1], lobes[1:]], noise=noise[1]
    )
    expected = {"double": [0] if best == "double" else []}
    expected["singles"] = [0, 1] if best == "singles" else []
    assert kept(double, singles) == expected


def test_nothing_is_lost_in_a_chain():
    """What is linked only to a dropped source is decided again."""
    one, two, three = (around(0, 0, place) for place in ((-80, 0), (0, 0), (80, 0)))
    best = make_catalog("a", make_wcs(0, 0), [one], noise=1)
    middle = make_catalog("b", make_wcs(0, 0), [_joined(one, two)], noise=2)
    last = make_catalog("c", make_wcs(0, 0), [_joined(two, three)], noise=3)
    assert kept(best, middle, last) == {"a": [0], "b": [], "c": [0]}


def _joined(*places):
    return SkyCoord(
        np.concatenate([p.ra.deg for p in places]),
        np.concatenate([p.dec.deg for p in places]), unit="deg",
    )  # fmt: skip


@pytest.mark.parametrize("beam, same", [(5.4, False), (45.0, True)])
def test_larger_beam_decides(beam, same):
    here = make_catalog("a", make_wcs(0, 0), [around(0, 0, (0, 0))])
    there = make_catalog(
        "b", make_wcs(0, 0), [around(0, 0, (30, 0))], beam=beam, noise=2
    )
    assert kept(here, there) == {"a": [0], "b": [] if same else [0]}


@pytest.mark.parametrize("ra, dec", CENTERS)
def test_outlines_that_overlap(ra, dec):
    """Peaks of one lobe at two places, further apart than a beam."""
    here = make_catalog("a", make_wcs(ra, dec), [around(ra, dec, (0, 0))])
    there = make_catalog(
        "b", make_wcs(ra, dec, 30), [around(ra, dec, (7.5, 4))], noise=2
    )
    assert kept(here, there) == {"a": [0], "b": []}


def test_components_without_a_source():
    """They are kept once, and go with a source that is the same emission."""
    place, other = around(0, 0, (0, 0)), around(0, 0, (60, 0))
    here = make_catalog("a", make_wcs(0, 0), [place], alone=[other], noise=2)
    there = make_catalog("b", make_wcs(0, 0, 5), [], alone=[other, place])
    one, two = merge_mosaics([here, there])
    assert one.sources.tolist() == [False]
    assert one.components.tolist() == [False, False]
    assert two.components.tolist() == [True, True]


@pytest.mark.parametrize("seed", range(5))
def test_never_both_and_never_none(seed):
    """In crowded mosaics, each dropped source is the same as one that is kept."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-250, 250, (150, 2))
    truth = truth[np.argsort(np.round(truth[:, 0] / 60) * 1000 + truth[:, 1])]
    catalogs = []
    for name, shift in zip("abcd", (0.0, 0.05, -0.05, 0.08), strict=True):
        wcs = make_wcs(shift, 0.0, rng.uniform(0, 360))
        near = truth + rng.normal(scale=2, size=truth.shape)
        cuts = np.sort(rng.choice(150, 90, replace=False))
        groups = [around(0, 0, *part) for part in np.split(near, cuts) if len(part)]
        inside = [group for group in groups if _holds(wcs, group)]
        catalogs.append(
            make_catalog(name, wcs, inside, noise=rng.uniform(1, 2), beam=5.4)
        )
    results = merge_mosaics(catalogs)
    sets = [_places(c, r) for c, r in zip(catalogs, results, strict=True)]
    kept_places = SkyCoord(np.concatenate([s[0] for s in sets]), unit="deg")
    owners = np.concatenate([s[1] for s in sets])
    mosaic = np.repeat(range(4), [len(s[0]) for s in sets])
    near = kept_places[:, None].separation(kept_places[None]).arcsec < 5.4
    assert not (near & (mosaic[:, None] != mosaic[None])).any()
    assert len(owners) > 50
    for catalog, result in zip(catalogs, results, strict=True):
        for source in np.flatnonzero(~result.sources):
            rows = catalog.components["source"] == source
            mine = catalog.wcs.pixel_to_world(
                catalog.components["x"][rows] - 0.5, catalog.components["y"][rows] - 0.5
            )
            # Half of the outlines' diagonal, twice.
            assert mine[:, None].separation(kept_places[None]).arcsec.min() < 16


def _holds(wcs, places):
    x, y = skycoord_to_pixel(places, wcs)
    return bool((np.minimum(x, y) > 0).all() and (np.maximum(x, y) < SIZE - 1).all())


def _places(catalog, result):
    rows = result.components
    sky = catalog.wcs.pixel_to_world(
        catalog.components["x"][rows] - 0.5, catalog.components["y"][rows] - 0.5
    )
    return np.stack([sky.ra.deg, sky.dec.deg], 1), catalog.components["source"][rows]


def test_mosaics_without_a_wcs_or_sources():
    place = around(0, 0, (0, 0))
    here = make_catalog("a", make_wcs(0, 0), [place])
    lost = make_catalog("b", make_wcs(0, 0), [place])
    lost = MosaicCatalog(**{**vars(lost), "wcs": None})
    empty = make_catalog("c", make_wcs(0, 0), [])
    assert kept(here, lost, empty) == {"a": [0], "b": [0], "c": []}
    assert merge_mosaics([]) == []


def test_names_are_unique():
    here = make_catalog("a", make_wcs(0, 0), [])
    with pytest.raises(ValueError, match="two mosaics have the name 'a'"):
        merge_mosaics([here, here])
