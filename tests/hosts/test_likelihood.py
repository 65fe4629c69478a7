import dataclasses

import host_fields
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from claran.hosts.candidates import Candidates
from claran.hosts.likelihood import (
    HostPrior,
    Pairs,
    choose_among,
    choose_hosts,
    estimate_prior,
    pairs_of,
    prior_of,
)
from claran.hosts.position_density import HostDensity

PIXEL = 2.0  # Arcsec.


def one_round(place, sigma=1.0):
    """A density of one round Gaussian."""
    return HostDensity(
        weights=np.ones(1), means=np.asarray(place, float)[None],
        covariances=sigma**2 * np.eye(2)[None],
    )  # fmt: skip


def sky():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [180, 30], [500, 500]
    wcs.wcs.cdelt = [-PIXEL / 3600, PIXEL / 3600]
    return wcs


def at(places, magnitude, **more):
    ra, dec = sky().wcs_pix2world(np.asarray(places, float) - 0.5, 0).T
    n = len(ra)
    return Candidates(
        ra, dec, np.full(n, 0.3), np.broadcast_to(magnitude, n), np.arange(n),
        (1000 * PIXEL / 3600) ** 2, "test", **more,
    )  # fmt: skip


def simulated(share, n=300, seed=1):
    """Sources of which a share has a host, among 4000 unrelated candidates."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(20, 980, (n, 2))
    has = rng.random(n) < share
    places = np.concatenate([true[has], rng.uniform(0, 1000, (4000, 2))])
    faint = 17.5 - rng.exponential(1.0, 4000)
    magnitude = np.concatenate([rng.normal(14.5, 0.7, has.sum()), faint])
    densities = [one_round(place) for place in true + rng.normal(0, 1, true.shape)]
    host = np.full(n, -1)
    host[has] = np.arange(has.sum())
    return densities, at(places, magnitude), host


def test_probability_follows_the_equation():
    candidates = at([[100, 100], [103, 100]], [15.0, np.nan])
    prior = HostPrior(0.7)
    hosts = choose_hosts([one_round([100, 100])], sky(), candidates, prior)
    p = np.exp(one_round([100, 100]).logpdf(np.array([[100, 100], [103, 100]]), 0.15))
    q = np.array([prior.magnitudes[110], 1])
    # No other candidate of a known magnitude, so half of one is assumed; and one other.
    background = np.array([0.5, 1]) / (1000 * PIXEL) ** 2
    ratio = 0.7 * q * p / PIXEL**2 / background
    np.testing.assert_array_equal(hosts.index, [[0, 1, -1]])
    np.testing.assert_allclose(
        hosts.probability[0, :2], ratio / (ratio.sum() + 0.3), rtol=1e-4
    )
    assert hosts.none[0] == pytest.approx(0.3 / (ratio.sum() + 0.3), rel=1e-4)


def test_image_in_galactic_coordinates():
    wcs = sky()
    wcs.wcs.ctype = ["GLON-SIN", "GLAT-SIN"]
    place = SkyCoord(
        *wcs.wcs_pix2world([[99.5, 99.5]], 0)[0], unit="deg", frame="galactic"
    )
    candidates = dataclasses.replace(
        at([[100, 100]], 15.0), ra=[place.icrs.ra.deg], dec=[place.icrs.dec.deg]
    )
    assert (
        choose_hosts([one_round([100, 100])], wcs, candidates).probability[0, 0] > 0.9
    )


def test_candidates_on_the_other_side_of_the_sky_are_passed_over():
    candidates = dataclasses.replace(
        at([[100, 100]] * 2, 15.0), ra=[0.0, 180.0], dec=[-30.0, -89.0]
    )
    assert choose_hosts([one_round([100, 100])], sky(), candidates).none[0] == 1


def test_no_candidate_within_reach_leaves_none():
    hosts = choose_hosts([one_round([800, 800])], sky(), at([[100, 100]], 15.0))
    assert hosts.none[0] == 1
    assert (hosts.index == -1).all()
    assert not hosts.shared[0]


def test_no_candidates_and_no_sources():
    assert choose_hosts(
        [one_round([8, 8])], sky(), at(np.zeros((0, 2)), 15.0)
    ).none == [1]
    assert len(choose_hosts([], sky(), at([[1, 1]], 15.0)).none) == 0


def test_candidate_of_two_sources_is_marked():
    sources = [one_round([100, 100]), one_round([101, 100]), one_round([500, 500])]
    hosts = choose_hosts(sources, sky(), at([[100, 100], [500, 500]], 15.0))
    np.testing.assert_array_equal(hosts.shared, [True, True, False])


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_share_of_sources_with_a_host_is_found(share):
    densities, candidates, host = simulated(share)
    prior = estimate_prior(densities, sky(), candidates)
    assert prior.share == pytest.approx((host >= 0).mean(), abs=0.07)


def test_probabilities_are_calibrated():
    densities, candidates, host = simulated(0.7)
    prior = estimate_prior(densities, sky(), candidates)
    hosts = choose_hosts(densities, sky(), candidates, prior)
    right = (hosts.index[:, 0] == host) & (host >= 0)
    assert hosts.probability[:, 0].mean() == pytest.approx(right.mean(), abs=0.05)
    assert hosts.none.mean() == pytest.approx((host < 0).mean(), abs=0.05)
    assert right[host >= 0].mean() > 0.9


def small_field(rng, n=25, side=200):
    """Three sources of which 0.7 have a host, and few unrelated candidates."""
    true = rng.uniform(20, side - 20, (3, 2))
    has = rng.random(3) < 0.7
    places = np.concatenate([true[has], rng.uniform(0, side, (n, 2))])
    magnitude = np.append(rng.normal(15, 1.6, has.sum()), 17.5 - rng.exponential(1, n))
    candidates = dataclasses.replace(
        at(places, magnitude), area_deg2=(side * PIXEL / 3600) ** 2
    )
    host = np.where(has, np.cumsum(has) - 1, -1)
    places = true + rng.normal(0, 6, (3, 2))
    return [one_round(place, 6) for place in places], candidates, host


def test_probabilities_hold_where_candidates_are_few():
    rng, right, chance, none = np.random.default_rng(2), [], [], []
    for _ in range(150):
        densities, candidates, host = small_field(rng)
        hosts = choose_hosts(densities, sky(), candidates, HostPrior(0.7))
        right += list((hosts.index[:, 0] == host) & (host >= 0))
        chance += list(hosts.probability[:, 0])
        none += list(hosts.none)
    # Where hosts counted as unrelated, this was 0.59, 0.62 and 0.34.
    assert np.mean(chance) == pytest.approx(np.mean(right), abs=0.02)
    assert np.mean(none) == pytest.approx(0.3, abs=0.03)


def test_relative_magnitudes_do_not_count():
    near = [[100, 100], [101, 100]]
    plain = at(near, np.nan)
    relative = at(near, [9.0, 15.0], relative=True)
    results = [
        choose_hosts([one_round([100, 100])], sky(), c) for c in (plain, relative)
    ]
    np.testing.assert_allclose(results[0].probability, results[1].probability)


def test_few_sources_keep_the_given_prior():
    prior = HostPrior(0.6)
    assert estimate_prior([one_round([1, 1])], sky(), at([[1, 1]], 15), prior) is prior


def test_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match="share"):
        HostPrior(1.0)


def test_simulated_radio_sources_get_their_hosts():
    sample = host_fields.simulate(40, 5)
    truth = sample.truth()
    prior = estimate_prior(sample.densities, sample.wcs, sample.candidates)
    hosts = choose_hosts(sample.densities, sample.wcs, sample.candidates, prior)
    right = (hosts.index[:, 0] == truth) & (truth >= 0)
    has = truth >= 0
    extended = has & (sample.codes != "1_1")
    # With 1,500 fields: see docs/hosts.md.
    assert right[has].mean() > 0.93
    assert right[extended].mean() > (sample.nearest() == truth)[extended].mean() + 0.05
    assert hosts.probability[:, 0].mean() == pytest.approx(right.mean(), abs=0.06)
    assert hosts.none.mean() == pytest.approx((~has).mean(), abs=0.06)


def test_sources_of_several_images_are_judged_together():
    densities, candidates, _ = simulated(0.8, n=120)
    whole = pairs_of(densities, sky(), candidates)
    moved = sky()
    moved.wcs.crpix = [480, 520]  # Another image of the same sky.
    other = [one.shifted(-20, 20) for one in densities[50:]]
    parts = [
        pairs_of(densities[:50], sky(), candidates), pairs_of(other, moved, candidates)
    ]  # fmt: skip
    both = Pairs.joined(parts)
    assert prior_of(both, candidates).share == pytest.approx(
        prior_of(whole, candidates).share, rel=1e-6
    )
    one, two = (choose_among(pairs, candidates) for pairs in (whole, both))
    np.testing.assert_array_equal(one.index, two.index)
    np.testing.assert_allclose(one.probability, two.probability, rtol=1e-6)
    assert Pairs.joined([]).sources == 0
