import numpy as np
import pytest

from claran.labels import RGZ_CLASSES
from claran.simulation import morphology, populations, radio
from claran.simulation.survey import FIRST, Survey


@pytest.mark.parametrize("family", sorted(morphology._FAMILIES))
def test_families(family, rng):
    for size in (3.0, 40.0):
        shape = morphology.draw_shape(rng, family, size)
        blobs = morphology.build(rng, shape)
        assert blobs.shape[1] == 4 and np.isfinite(blobs).all()
        assert blobs[:, 2].sum() == pytest.approx(1)
        assert (blobs[:, 2:] >= 0).all()


def test_straight_double_has_its_spots_at_the_ends(rng):
    shape = morphology.Shape(
        arms=(20.0, 30.0), angle=0.0, core=0.1, hot_spot=0.5, clumpiness=0.0
    )
    blobs = morphology.build(rng, shape)
    spots = blobs[np.argsort(blobs[:, 2])[-2:]]
    assert sorted(spots[:, 0]) == pytest.approx([-30, 20])
    assert blobs[0, :3] == pytest.approx([0, 0, 0.1])


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
    ("changes", "message"),
    [
        pytest.param({"weights": {"1_1": 1}}, "`weights` must give each", id="missing"),
        pytest.param(
            {"weights": dict.fromkeys(RGZ_CLASSES, 0)}, "not all zero", id="zero"
        ),
        pytest.param(
            {"empty": 1.5}, r"`empty` must be in \[0, 1\], got 1.5", id="empty"
        ),
        pytest.param({"neighbours": -1}, "`neighbours` must be >= 0", id="negative"),
        pytest.param({"neighbours": np.nan}, "`neighbours` must be >= 0", id="nan"),
    ],
)
def test_population_refuses(changes, message):
    defaults = {"weights": dict.fromkeys(RGZ_CLASSES, 1.0)}
    with pytest.raises(ValueError, match=message):
        populations.Population(**{**defaults, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"size": 0}, "`size` must be > 0, got 0", id="size"),
        pytest.param({"noise_jy": np.nan}, "`noise_jy` must be > 0", id="noise"),
        pytest.param({"stripes": -1.0}, "`stripes` must be >= 0", id="stripes"),
        pytest.param(
            {"beam_major_arcsec": 2.0}, "must be >= `beam_minor_arcsec`", id="beam"
        ),
    ],
)
def test_survey_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        Survey(**changes)


def test_peaks_follow_the_cutouts(rng):
    peaks = [
        radio.peak_brightness(populations.draw_source(rng, "3_3", FIRST).blobs, FIRST)
        for _ in range(300)
    ]
    assert np.median(np.log(peaks)) == pytest.approx(np.log(6.7e-3), abs=0.15)


def test_lobes_are_brighter_at_low_frequency():
    fluxes = []
    for frequency in (1.5e8, 1.4e9):
        rng = np.random.default_rng(0)
        source = populations.draw_source(rng, "3_3", Survey(frequency_hz=frequency))
        fluxes.append(source.blobs[:, 2])
    assert fluxes[0][0] == pytest.approx(fluxes[1][0])  # The core is flat.
    np.testing.assert_allclose(fluxes[0][1:] / fluxes[1][1:], (150 / 1400) ** -0.7)


def test_moving_a_source_moves_its_host(rng):
    source = populations.draw_source(rng, "1_2", FIRST)
    moved = source.moved(3.0, -4.0)
    np.testing.assert_allclose(
        moved.blobs[:, :2] - source.blobs[:, :2], [[3, -4]] * len(source.blobs)
    )
    np.testing.assert_allclose((moved.host - source.host)[:2], [3, -4])
