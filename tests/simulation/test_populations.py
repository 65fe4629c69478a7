import dataclasses
import pickle

import numpy as np
import pytest

from claran.labels import RGZ_CLASSES
from claran.simulation import (
    diffuse,
    faint_lobes,
    morphology,
    populations,
    source_drawing,
)
from claran.simulation import radio_sky as radio
from claran.simulation import simulated_field as field
from claran.simulation.endless import SimulatedFields
from claran.simulation.jets import draw_twin_jets
from claran.simulation.observation import (
    FIRST,
    FIRST_NATIVE,
    FIRST_WIDE,
    SIMULATED_SURVEYS,
    SimulatedSurvey,
)
from claran.simulation.source_counts import (
    draw_flux_densities,
    extended_share,
    sources_per_deg2,
)


@pytest.mark.parametrize("family", sorted(morphology._FAMILIES))
def test_families(family, rng):
    for size in (3.0, 40.0):
        shape = morphology.draw_shape(rng, family, size)
        blobs = morphology.build(rng, shape)
        assert blobs.shape[1] == 4 and np.isfinite(blobs).all()
        assert blobs[:, 2].sum() == pytest.approx(1)
        assert (blobs[:, 2:] >= 0).all()


def test_twin_jets_are_brightest_near_a_faint_core(rng):
    drawn = [draw_twin_jets(rng, 60.0) for _ in range(50)]
    for blobs in drawn:
        assert blobs[:, 2].sum() == pytest.approx(1) and (blobs[:, 2:] >= 0).all()
    # Half of the flux lies in the inner half, most of it not in the core.
    inner = [blobs[np.hypot(blobs[:, 0], blobs[:, 1]) < 20, 2].sum() for blobs in drawn]
    cores = [blobs[(blobs[:, :2] == 0).all(axis=1), 2].sum() for blobs in drawn]
    assert np.median(inner) > 0.5 and np.median(cores) < 0.05


@pytest.fixture
def plain(monkeypatch):
    """Arguments of a shape without randomness; the knots lie on the spine."""
    monkeypatch.setattr(morphology, "_SIDEWAYS", 0.0)
    return {"core": 0.1, "hot_spot": 0.5, "clumpiness": 0.0}


def test_hot_spots_of_a_straight_double_are_at_its_ends(rng, plain):
    shape = morphology.Shape(arms=(20.0, 30.0), **plain)
    blobs = morphology.build(rng, shape)
    spots = blobs[np.argsort(blobs[:, 2])[-2:]]
    assert sorted(spots[:, 0]) == pytest.approx([-30, 20])
    assert blobs[0, :3] == pytest.approx([0, 0, 0.1])


def test_one_arm(rng, plain):
    blobs = morphology.build(rng, morphology.Shape(arms=(20.0, 0.0), **plain))
    assert (blobs[:, 0] >= 0).all()


def test_width_and_flux_of_the_cocoon(rng, plain):
    shape = morphology.Shape(arms=(30.0, 30.0), cocoon=0.4, fills=(9, 9), **plain)
    blobs = morphology.build(rng, shape)
    bare = morphology.build(rng, dataclasses.replace(shape, cocoon=0.0))
    wide = blobs[:, 3] > bare[:, 3].max()
    # The lobes have 0.9 of the flux, half of it outside the hot spots.
    assert blobs[wide, 2].sum() == pytest.approx(0.4 * 0.45, rel=0.4)


def test_core_jet_lies_along_the_first_arm(rng, plain):
    shape = morphology.Shape(arms=(30.0, 30.0), core_jet=6.0, angle=np.pi / 2, **plain)
    blobs = morphology.build(rng, shape)[:3]
    assert blobs[:, 1] == pytest.approx([0, 3, 6])
    assert blobs[:, 2].sum() == pytest.approx(0.1)


def test_bend_turns_both_arms_to_one_side_and_twist_to_opposite(rng):
    common = {"arms": (20.0, 20.0), "core": 0.1, "hot_spot": 0.5}
    bent = morphology.build(rng, morphology.Shape(**common, bend=0.8))
    twisted = morphology.build(rng, morphology.Shape(**common, twist=0.8))
    for blobs, sign in ((bent, 1), (twisted, -1)):
        ends = blobs[np.argsort(blobs[:, 2])[-2:], 1]
        assert np.prod(np.sign(ends)) == sign


def test_second_hot_spot(rng):
    shape = morphology.Shape(
        arms=(30.0, 30.0), core=0.0, hot_spot=0.8, double_spot=10.0
    )
    blobs = morphology.build(rng, shape)
    spots = blobs[np.argsort(blobs[:, 2])[-3:]]
    right = spots[spots[:, 0] > 0, :2]
    assert np.hypot(*(right[0] - right[1])) == pytest.approx(10)


def test_unknown_family(rng):
    with pytest.raises(ValueError, match=r"`family` must be one of .* got 'spiral'"):
        morphology.draw_shape(rng, "spiral", 3.0)


@pytest.mark.parametrize(
    "changes, message",
    [
        pytest.param({"weights": {"1_1": 1}}, "`weights` must give each", id="missing"),
        pytest.param(
            {"weights": dict.fromkeys(RGZ_CLASSES, 0)}, "not all zero", id="zero"
        ),
        pytest.param(
            {"empty": 1.5}, r"`empty` must be in \[0, 1\], got 1.5", id="empty"
        ),
        pytest.param({"neighbors": -1}, "`neighbors` must be >= 0", id="negative"),
        pytest.param({"crowding": (2, 1)}, "`crowding` must be a range", id="crowd"),
        pytest.param({"sizes": (0, 1)}, "`sizes` must be a range above 0", id="sizes"),
        pytest.param(
            {"brightness": (2, 1)},
            r"`brightness` must be a range above 0, got \(2, 1\)",
            id="brightness",
        ),
        pytest.param({"neighbors": np.nan}, "`neighbors` must be >= 0", id="nan"),
    ],
)
def test_population_refuses(changes, message):
    defaults = {"weights": dict.fromkeys(RGZ_CLASSES, 1.0)}
    with pytest.raises(ValueError, match=message):
        populations.Population(**{**defaults, **changes})


def test_peaks_follow_their_distribution(rng):
    sources = [source_drawing.draw_source(rng, "3_3", FIRST) for _ in range(300)]
    peaks = [radio.peak_brightness(source.blobs, FIRST) for source in sources]
    median = source_drawing.peak_at("3_3", 0.5)
    assert np.median(np.log(peaks)) == pytest.approx(np.log(median), abs=0.15)
    quarters = [source_drawing.peak_at("3_3", share) for share in (0.25, 0.75)]
    assert np.quantile(peaks, [0.25, 0.75]) == pytest.approx(quarters, rel=0.25)
    assert source_drawing.peak_at("compact", 0.0) == pytest.approx(1e-3)
    assert source_drawing.peak_at("compact", 1 - 1e-9) == 1


def test_factors_are_spread_over_their_ranges(rng):
    population = populations.Population(
        weights=dict.fromkeys(RGZ_CLASSES, 1), sizes=(0.5, 2), brightness=(3, 3)
    )
    sizes, brightness = np.array([population.draw_factors(rng) for _ in range(300)]).T
    assert 0.5 <= sizes.min() < 0.6 and 1.7 < sizes.max() <= 2
    assert np.median(sizes) == pytest.approx(1, rel=0.15)
    np.testing.assert_allclose(brightness, 3)


def test_size_and_flux_of_a_source(rng):
    far = [
        np.abs(source_drawing.draw_source(rng, "3_3", FIRST, size=s).blobs[:, :2]).max()
        for s in (1.0, 4.0)
        for _ in range(60)
    ]
    assert np.median(far[60:]) > 2.5 * np.median(far[:60])
    sizes = [source_drawing._draw_size(rng, "3_3", "triple", 0.1) for _ in range(50)]
    assert min(sizes) > 20  # Smaller sources never show three components.
    source = source_drawing.draw_source(rng, "1_2", FIRST, peak=0.5)
    assert radio.peak_brightness(source.scaled(3).blobs, FIRST) == pytest.approx(1.5)


def test_lobes_are_brighter_at_low_frequency():
    fluxes = []
    for frequency in (1.5e8, 1.4e9):
        rng = np.random.default_rng(0)
        survey = SimulatedSurvey(frequency_hz=frequency)
        source = source_drawing.draw_source(rng, "3_3", survey, peak=0.01)
        assert radio.peak_brightness(source.blobs, survey) == pytest.approx(0.01)
        # Relative to the core, which has a flat spectrum.
        fluxes.append(source.blobs[1:, 2] / source.blobs[0, 2])
    np.testing.assert_allclose(fluxes[0] / fluxes[1], (150 / 1400) ** -0.7)


def test_sources_scale_with_the_beam_and_the_noise():
    found = []
    low = dataclasses.replace(SIMULATED_SURVEYS["racs"], frequency_hz=1.4e9)
    for survey in (FIRST, low):
        rng = np.random.default_rng(0)
        source = source_drawing.draw_source(rng, "2_3", survey, in_beams=True)
        peak = radio.peak_brightness(source.blobs, survey)
        found.append((source.blobs / survey.beam_arcsec, peak / survey.noise_jy))
    (first, first_snr), (racs, racs_snr) = found
    np.testing.assert_allclose(racs[:, [0, 1, 3]], first[:, [0, 1, 3]])
    assert racs_snr == pytest.approx(first_snr)


def test_compact_sources_are_drawn_together(rng):
    survey = SIMULATED_SURVEYS["emu"]
    peaks = np.geomspace(1e-4, 1e-2, 50)
    sources = source_drawing.draw_compact(rng, survey, peaks)
    heights = [radio.peak_brightness(one.blobs, survey) for one in sources]
    np.testing.assert_allclose(heights, peaks, rtol=0.02)
    widths = [one.blobs[1, 3] for one in sources]
    assert np.median(widths) == pytest.approx(1.6, rel=0.25)
    assert source_drawing.draw_compact(rng, survey, np.zeros(0)) == []


def test_faint_lobes_lie_on_both_sides_of_the_core(rng):
    drawn = [faint_lobes.draw_faint_lobes(rng, 60.0) for _ in range(60)]
    for blobs in drawn:
        assert np.isfinite(blobs).all() and (blobs[:, 2:] > 0).all()
        assert blobs[:, 2].sum() == pytest.approx(1)
        assert 10 < np.hypot(*blobs[:, :2].T).max() < 90
    with_core = [one for one in drawn if (one[:, :2] == 0).all(axis=1).any()]
    assert 0.6 < len(with_core) / len(drawn) < 0.95
    # Along the longer axis, most have flux far out to both sides.
    sided = 0
    for blobs in drawn:
        axis = np.linalg.svd(blobs[:, :2] * blobs[:, 2:3])[2][0]
        along = blobs[:, :2] @ axis
        shares = [blobs[side * along > 8, 2].sum() for side in (1, -1)]
        sided += min(shares) > 0.02
    assert 0.6 < sided / len(drawn) < 0.97


@pytest.mark.parametrize("family", diffuse.DIFFUSE)
def test_diffuse_sources(family, rng):
    for _ in range(5):
        blobs = diffuse.build(rng, family, 60.0)
        assert blobs[:, 2].sum() == pytest.approx(1)
        assert (blobs[:, 2:] >= 0).all()
        assert 5 < np.hypot(*blobs[:, :2].T).max() < 90
    survey = SIMULATED_SURVEYS["lotss"]
    source = source_drawing.draw_diffuse(rng, survey, peak=0.02)
    assert radio.peak_brightness(source.blobs, survey) == pytest.approx(0.02)
    assert np.isnan(source.host).all()


def test_counts_agree_with_surveys():
    """Sources per square degree above five sigma, as published."""
    published = {"racs": 75, "emu": 815, "lotss": 781}
    for name, density in published.items():
        survey = SIMULATED_SURVEYS[name]
        found = sources_per_deg2(5 * survey.noise_jy, survey.frequency_hz)
        assert found == pytest.approx(density, rel=0.25), name
    rng = np.random.default_rng(0)
    fluxes = draw_flux_densities(rng, 20000, faintest_jy=1e-4, frequency_hz=7e8)
    assert fluxes.min() == pytest.approx(1e-4, rel=1e-3)
    for flux in (3e-4, 1e-2):
        share = sources_per_deg2(flux, 7e8) / sources_per_deg2(1e-4, 7e8)
        assert (fluxes > flux).mean() == pytest.approx(share, rel=0.15)


def test_few_faint_sources_have_several_components():
    """As in VLA-COSMOS at 3 GHz: 67 of 10,830 above 11.5 uJy."""
    rng = np.random.default_rng(1)
    fluxes = draw_flux_densities(rng, 50000, faintest_jy=1.15e-5, frequency_hz=3e9)
    several = sum(populations.CATALOG.weights[c] for c in ("2_2", "2_3", "3_3"))
    several /= sum(populations.CATALOG.weights.values())
    extended = (1 - populations.SURVEYS.neighbor_compact) * extended_share(fluxes, 3e9)
    assert several * extended.mean() == pytest.approx(67 / 10830, rel=0.5)


def test_moving_a_source_moves_its_host(rng):
    source = source_drawing.draw_source(rng, "1_2", FIRST)
    source = dataclasses.replace(source, host=np.array([0.1, 0.2, 14.0]))
    moved = source.moved(3.0, -4.0)
    np.testing.assert_allclose(
        moved.blobs[:, :2] - source.blobs[:, :2], [[3, -4]] * len(source.blobs)
    )
    np.testing.assert_allclose((moved.host - source.host)[:2], [3, -4])


def test_fields_can_be_pickled_for_other_processes():
    source = SimulatedFields(3, seed=2, population=populations.BALANCED)
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy[1].image.values, source[1].image.values)
    assert copy.fingerprint == source.fingerprint


def test_giants_are_larger_and_whole(rng):
    giants = dataclasses.replace(populations.BALANCED, giants=1.0)
    assert giants.draw_factors(rng, "1_3")[0] <= giants.sizes[1]
    factors = [giants.draw_factors(rng, "2_3")[0] for _ in range(40)]
    assert giants.sizes[1] < max(factors) <= giants.sizes[1] * populations.GIANT_SIZE
    weights = dict.fromkeys(RGZ_CLASSES, 0.0) | {"2_3": 1.0}
    wide = dataclasses.replace(
        giants, weights=weights, neighbors=0.0, chance_pairs=0.0, empty=0.0
    )
    sides, touching = [], 0
    for seed in range(40):
        one = field.simulate(
            np.random.default_rng(seed), population=wide, survey=FIRST_WIDE
        )
        for source in one.sources:
            if source.code == "2_3":
                sides.append((source.box[2:] - source.box[:2]).max())
                touching += not source.consensus
    assert len(sides) > 24 and max(sides) > FIRST_NATIVE.size / 2 + 10
    assert touching <= 2  # Noise and sidelobes may extend a source to the edge.


def test_some_main_sources_are_very_bright() -> None:
    rng = np.random.default_rng(4)
    population = dataclasses.replace(
        populations.CATALOG, brightness=(1.0, 1.0), bright_mains=0.5
    )
    factors = np.array([population.draw_factors(rng)[1] for _ in range(400)])
    assert 0.4 < (factors > 1).mean() < 0.6
    assert populations.BRIGHT_MAINS / 2 < factors.max() <= populations.BRIGHT_MAINS


def test_every_second_field_of_another_population():
    balanced, wide = populations.BALANCED, populations.SURVEYS
    one, other, both = (
        SimulatedFields(4, population=first, second=second)
        for first, second in ((balanced, None), (wide, None), (balanced, wide))
    )
    for number, expected in enumerate((one, other, one, other)):
        own, same = both[number].image, expected[number].image
        np.testing.assert_array_equal(own.values, same.values)
    assert len({fields.fingerprint for fields in (one, other, both)}) == 3
