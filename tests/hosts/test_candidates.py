import dataclasses

import numpy as np
import pytest

from claran.hosts.candidates import Candidates, occupied_area


def uniform(n, seed=0, side=1.0):
    rng = np.random.default_rng(seed)
    return Candidates(
        ra=(rng.uniform(-side / 2, side / 2, n)) % 360,
        dec=rng.uniform(-side / 2, side / 2, n),
        error_arcsec=np.full(n, 0.3),
        magnitude=rng.uniform(12, 17, n),
        ids=np.arange(n).astype(str),
        area_deg2=side**2,
        name="uniform",
    )


def test_density_is_the_counts_over_the_area():
    candidates = uniform(5000)
    density = candidates.density(np.array([13.0, 14.5, 16.0, np.nan]))
    expected = np.array([1000, 1000, 1000, 5000]) / 3600**2
    np.testing.assert_allclose(density, expected, rtol=0.15)
    grid = np.arange(5, 25, 0.01)
    total = candidates.density(grid).sum() * 0.01 * 3600**2
    assert total == pytest.approx(5000, rel=0.01)


def test_density_is_never_zero():
    assert (uniform(10).density(np.array([-5.0, 40.0])) > 0).all()


def test_background_leaves_out_the_candidate_and_hosts():
    candidates = uniform(3000)
    background = candidates.background(np.arange(3000), np.zeros(3000))
    middle = np.abs(candidates.magnitude - 14.5) < 1.5
    expected = np.full(middle.sum(), 600) / 3600**2
    np.testing.assert_allclose(background[middle], expected, rtol=0.15)
    few = dataclasses.replace(uniform(3), magnitude=[15.0, 15.0, np.nan], area_deg2=1)
    alone = few.background(np.arange(3), np.array([0.0, 1, 0])) * 3600**2
    # The peak of a Gaussian with a sigma of 0.3, none (so that 0.5 are assumed), one.
    np.testing.assert_allclose(alone, [0.5, 1.33, 1], rtol=0.02)


def test_circle_keeps_what_is_inside_across_zero_hours():
    some = uniform(4000).within(0.0, 0.0, 0.25)
    assert len(some) == pytest.approx(4000 * np.pi * 0.25**2, rel=0.1)
    assert some.area_deg2 == pytest.approx(np.pi * 0.25**2, rel=1e-4)


def test_area_follows_from_the_positions():
    candidates = uniform(5000)
    assert occupied_area(candidates.ra, candidates.dec) == pytest.approx(1, rel=0.1)
    ra = np.append(candidates.ra, candidates.ra + 90)
    dec = np.append(candidates.dec, candidates.dec)
    assert occupied_area(ra, dec) == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize(
    "name, value, says",
    [
        ("dec", 91, "declinations"),
        ("ra", np.nan, "finite"),
        ("error_arcsec", 0, "above 0"),
        ("magnitude", np.inf, "NaN"),
    ],
)
def test_a_value_out_of_range_is_refused(name, value, says):
    good = {"ra": [1.0], "dec": [2.0], "error_arcsec": [1.0], "magnitude": [15.0]}
    with pytest.raises(ValueError, match=says):
        Candidates(**{**good, name: [value]}, ids=["a"], area_deg2=1, name="x")


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="length"):
        Candidates([1, 2], [1], [1], [1], ["a"], 1, "x")
