import dataclasses
from collections import Counter

import cv2
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from claran.labels import RGZ_CLASSES
from claran.simulation import arrays, diffuse, populations
from claran.simulation import radio_sky as radio
from claran.simulation import simulated_field as field
from claran.simulation.observation import (
    FIRST,
    FIRST_NATIVE,
    SIMULATED_SURVEYS,
    SimulatedSurvey,
)
from claran.simulation.source_counts import extended_share

NOTHING = dataclasses.replace(populations.CATALOG, empty=1.0, neighbors=0.0)
CROWDED = dataclasses.replace(populations.BALANCED, neighbors=12.0)
DEEP = SimulatedSurvey(
    name="EMU", size=90, pixel_arcsec=2.0, beam_major_arcsec=13.0,
    beam_minor_arcsec=11.0, beam_angle_deg=70.0, noise_jy=2.5e-5,
    frequency_hz=9.44e8, array=arrays.ASKAP, uneven=1.0, spokes=3.0,
)  # fmt: skip


def everything(one):
    """Returns all numbers of a field as one array, for comparison."""
    parts = [one.radio, one.infrared, one.membership, np.array(one.center)]
    for source in one.sources:
        parts += [source.box, source.peaks, source.component_boxes, source.host]
    return np.concatenate([np.ravel(part) for part in parts])


def test_seed_decides_the_field():
    first, again, other = (
        everything(field.simulate(np.random.default_rng(seed))) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("survey", [FIRST, FIRST_NATIVE, DEEP], ids=lambda s: s.name)
@pytest.mark.parametrize(
    "population", [populations.BALANCED, CROWDED, NOTHING, populations.SURVEYS]
)
def test_contract(survey, population):
    rng = np.random.default_rng(8)
    for _ in range(5):
        one = field.simulate(rng, population=population, survey=survey)
        assert one.radio.shape == one.infrared.shape == (survey.size, survey.size)
        assert one.radio.dtype == one.infrared.dtype == np.float32
        assert np.isfinite(one.radio).mean() > 0.5 and np.isfinite(one.infrared).all()
        assert one.membership.max() <= len(one.sources)
        for index, source in enumerate(one.sources):
            x0, y0, x1, y1 = source.box
            assert 0 <= x0 < x1 <= survey.size and 0 <= y0 < y1 <= survey.size
            assert source.ignore or source.code in RGZ_CLASSES
            assert len(source.component_boxes) == source.components
            rows, columns = np.nonzero(one.membership == index + 1)
            if source.components:
                edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                assert tuple(source.box) == edges
                x, y = (source.peaks - 0.5).astype(int).T
                assert (one.membership[y, x] == index + 1).all()


def test_noise_only():
    one = field.simulate(np.random.default_rng(0), population=NOTHING)
    assert one.sources == () and not one.membership.any()
    assert one.sigma == pytest.approx(FIRST.noise_jy, rel=0.5)


def test_class_fractions_of_the_catalog():
    rng = np.random.default_rng(0)
    counts = Counter(
        source.code
        for _ in range(500)
        for source in field.simulate(rng).sources
        if not source.ignore
    )
    wanted = dict(
        zip(RGZ_CLASSES, (0.504, 0.116, 0.104, 0.093, 0.087, 0.095), strict=True)
    )
    total = sum(counts.values())
    for code, fraction in wanted.items():
        # Three standard deviations of the draw, and 0.03 for the fit.
        slack = 0.03 + 3 * (fraction * (1 - fraction) / total) ** 0.5
        assert counts[code] / total == pytest.approx(fraction, abs=slack)


def test_main_sources_have_the_class_asked_for():
    rng = np.random.default_rng(1)
    alone = {"neighbors": 0.0, "chance_pairs": 0.0, "empty": 0.0}
    for code in RGZ_CLASSES:
        weights = {c: float(c == code) for c in RGZ_CLASSES}
        population = populations.Population(weights=weights, **alone)
        fields = [field.simulate(rng, population=population) for _ in range(40)]
        hits = sum(any(s.code == code for s in one.sources) for one in fields)
        assert hits >= 23  # The lowest fraction is 71%, for 2_3 in 120 fields.


def test_chance_pair_is_two_sources():
    population = dataclasses.replace(NOTHING, chance_pairs=1.0)
    rng = np.random.default_rng(2)
    quiet = np.zeros((FIRST.size, FIRST.size), np.float32)
    pairs = [
        field._draw_sources(rng, population, FIRST, quiet, 1e-4) for _ in range(20)
    ]
    for first, second in pairs:
        apart = np.hypot(*(first.blobs[0, :2] - second.blobs[0, :2]))
        assert 12 <= apart <= 45


def test_a_chance_pair_may_be_of_galaxies_and_scales_with_the_beam():
    population = dataclasses.replace(NOTHING, chance_pairs=1.0, pair_compact=0.0)
    wide = dataclasses.replace(
        FIRST, beam_major_arcsec=27.0, beam_minor_arcsec=27.0, pixel_arcsec=9.0
    )
    rng = np.random.default_rng(2)
    quiet = np.zeros((FIRST.size, FIRST.size), np.float32)
    pairs = [field._draw_sources(rng, population, wide, quiet, 1e-4) for _ in range(20)]
    assert {one.family for pair in pairs for one in pair} != {"compact"}
    apart = [np.hypot(*(a.blobs[0, :2] - b.blobs[0, :2])) for a, b in pairs]
    assert min(apart) > 40 and 150 < max(apart) < 600


def test_neighbors_follow_the_counts():
    population = dataclasses.replace(NOTHING, crowding=(1.0, 1.0), neighbor_compact=1.0)
    rng = np.random.default_rng(3)
    deep = dataclasses.replace(SIMULATED_SURVEYS["emu"], size=100, pixel_arcsec=5.0)
    quiet = np.zeros((100, 100), np.float32)
    drawn = [
        field._draw_sources(rng, population, deep, quiet, 2.5e-5) for _ in range(40)
    ]
    # In the square that is 1.15 times as wide; 815 a square degree above 5 sigma.
    area = 40 * (1.15 * 500 / 3600) ** 2
    peaks = [radio.peak_brightness(one.blobs, deep) for found in drawn for one in found]
    bright = sum(peak > 1.25e-4 for peak in peaks)
    assert bright / area == pytest.approx(815, rel=0.25)
    assert min(peaks) > 0.9 * 4 * 2.5e-5
    # Extended ones are as frequent as `extended_share` has it.
    extended = dataclasses.replace(population, neighbor_compact=0.0)
    drawn = [
        one
        for _ in range(40)
        for one in field._draw_sources(rng, extended, deep, quiet, 2.5e-5)
    ]
    peaks = np.array([radio.peak_brightness(one.blobs, deep) for one in drawn])
    share = extended_share(peaks, deep.frequency_hz)
    seen = peaks > 8 * deep.noise_jy
    with_lobes = np.array([one.family != "compact" for one in drawn])
    assert not with_lobes[~seen].any()
    assert with_lobes[seen].mean() == pytest.approx(share[seen].mean(), rel=0.3)


def test_bright_and_diffuse_sources():
    population = dataclasses.replace(NOTHING, bright=1.0, diffuse=1.0)
    rng = np.random.default_rng(6)
    quiet = np.zeros((FIRST.size, FIRST.size), np.float32)
    drawn = [
        field._draw_sources(rng, population, FIRST, quiet, 1e-4) for _ in range(20)
    ]
    assert {found[0].family for found in drawn} == set(diffuse.DIFFUSE)
    peaks = [radio.peak_brightness(found[1].blobs, FIRST) for found in drawn]
    assert 0.01 < min(peaks) < 0.02 and 0.2 < max(peaks) < 0.51


def test_a_main_source_peaks_in_the_four_central_pixels():
    alone = {"neighbors": 0.0, "empty": 0.0}
    rng = np.random.default_rng(4)
    population = populations.Population(weights=dict.fromkeys(RGZ_CLASSES, 1), **alone)
    survey = dataclasses.replace(FIRST, edges=0.0)
    fields = [
        field.simulate(rng, population=population, survey=survey) for _ in "abcde"
    ]
    for one in fields:
        peaks = one.radio >= cv2.dilate(one.radio, np.ones((3, 3), np.uint8))
        assert (peaks & (one.radio > 5 * one.sigma))[63:69, 63:69].any()


def test_blank_edge_has_no_labels():
    survey = dataclasses.replace(FIRST, edges=1.0)
    rng = np.random.default_rng(5)
    for _ in range(12):
        one = field.simulate(rng, population=CROWDED, survey=survey)
        blank = np.isnan(one.radio)
        rows, columns = blank.all(axis=1), blank.all(axis=0)
        assert blank.any() and (blank == (rows[:, None] | columns)).all()
        assert not one.membership[blank].any()
        assert np.isfinite(one.sigma)


def test_wcs_round_trip():
    one = field.simulate(np.random.default_rng(3))
    wcs = one.wcs
    middle = (one.survey.size - 1) / 2
    sky = wcs.pixel_to_world(middle, middle)
    assert (
        sky.separation(SkyCoord(*one.center, unit="deg", frame=sky.frame)).arcsec < 1e-6
    )
    x, y = wcs.world_to_pixel(wcs.pixel_to_world([0.0, 131.0], [7.0, 90.0]))
    np.testing.assert_allclose([x, y], [[0, 131], [7, 90]], atol=1e-7)
    # North is up and east is left, one pixel away.
    north = wcs.pixel_to_world(middle, middle + 1)
    east = wcs.pixel_to_world(middle - 1, middle)
    assert (north.dec - sky.dec).arcsec == pytest.approx(1.375, rel=1e-4)
    assert sky.separation(east).arcsec == pytest.approx(1.375, rel=1e-4)
    assert (east.ra - sky.ra).deg > 0
