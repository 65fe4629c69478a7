"""Train, validation and test share no sky."""

import collections
import csv
import itertools

import numpy as np
import pytest
from astropy.coordinates import angular_separation
from hypothesis import given, strategies

from claran.data.annotations import Report
from claran.data.sky_splits import complete_splits, group_by_sky, position_from_name


def slow_groups(positions, link_arcmin):
    """Returns the groups by plain loops over all pairs, until nothing changes."""
    first = list(range(len(positions)))
    pairs = list(itertools.combinations(first, 2))
    near = [pair for pair in pairs if distance(*positions[list(pair)]) <= link_arcmin]
    changed = True
    while changed:
        changed = False
        for i, j in near:
            if first[i] != first[j]:
                first[i] = first[j] = min(first[i], first[j])
                changed = True
    return first


def distance(a, b):
    """Returns the angle between two positions in arcmin."""
    return 60 * np.degrees(angular_separation(*np.radians([*a, *b])))


@pytest.mark.parametrize("dec", [0.0, 60.0, 89.95, -90.0])
def test_groups_equal_those_of_the_slow_twin(rng, dec):
    width = 3 / max(np.cos(np.radians(dec)), 0.01)
    positions = np.column_stack(
        [
            rng.uniform(-width, width, 150) % 360,
            dec - np.copysign(rng.uniform(0, 0.5, 150), dec),
        ]
    )
    groups = group_by_sky(positions, link_arcmin=2.0)
    assert groups == slow_groups(positions, 2.0)
    assert len(set(groups)) > 1


STEPS = strategies.integers(-6, 6)


@given(
    steps=strategies.lists(strategies.tuples(STEPS, STEPS), max_size=20),
    unknown=strategies.sets(strategies.integers(0, 19)),
    center=strategies.sampled_from([(0.0, 0.0), (180.0, 45.0), (10.0, -89.9)]),
    link_arcmin=strategies.sampled_from([1.0, 6.1, 13.0]),
)
def test_groups_of_any_positions_equal_those_of_the_slow_twin(
    steps, unknown, center, link_arcmin
):
    positions = center + 0.05 * np.array(steps, np.float64).reshape(-1, 2)
    positions[[i for i in unknown if i < len(positions)], 0] = np.nan
    groups = group_by_sky(positions, link_arcmin=link_arcmin)
    assert groups == slow_groups(positions, link_arcmin)


def test_groups_reach_across_right_ascension_zero():
    positions = np.array([[359.99, 0.0], [10.0, 0.0], [0.01, 0.0], [np.nan, 0.0]])
    assert group_by_sky(positions) == [0, 1, 0, 3]


@pytest.mark.parametrize("link", [0.0, -1.0, float("nan"), 601.0])
def test_senseless_link_is_refused(link):
    with pytest.raises(ValueError, match=r"`link_arcmin` must be in \(0, 600\]"):
        group_by_sky(np.zeros((1, 2)), link_arcmin=link)


def test_validation_of_the_catalogue_shares_no_sky_with_train(real_data):
    with (real_data / "rgz_catalogue/train.csv").open() as file:
        names = {row["first_id"] for row in csv.DictReader(file)}
    places = {name: position_from_name(name) for name in names}
    assert None not in places.values()
    report = Report()
    splits = complete_splits(dict.fromkeys(names, "train"), places, report)
    assert collections.Counter(splits.values()) == {"train": 5520, "validation": 621}
    assert not report.counts
    sides = [[n for n in names if splits[n] == s] for s in ("train", "validation")]
    vectors = []
    for side in sides:
        ra, dec = np.radians([places[name] for name in side]).T
        xyz = [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
        vectors.append(np.array(xyz))
    closest = np.degrees(np.arccos((vectors[0].T @ vectors[1]).max())) * 60
    assert closest > 6


def test_splits_do_not_depend_on_order_or_on_other_fields():
    names = [f"F{number}" for number in range(100)]
    places = {name: (3.0 * i, 0.0) for i, name in enumerate(names)}
    full = complete_splits(dict.fromkeys(names, ""), places, Report())
    half = complete_splits(dict.fromkeys(reversed(names[:50]), ""), places, Report())
    assert half == {name: full[name] for name in names[:50]}
    assert set(full.values()) == {"train", "validation", "test"}


def test_given_splits_are_kept():
    given = {f"F{number}": "train" for number in range(50)} | {"A": "validation"}
    assert complete_splits(given, {}, Report()) == given


def test_train_beside_test_is_counted_and_never_validation():
    given = {f"F{number}": "train" for number in range(50)} | {"T": "test"}
    places = dict.fromkeys(given, (10.0, 10.0))
    report = Report()
    assert complete_splits(given, places, report) == given
    assert report.counts == {"train beside test": 50}


@pytest.mark.parametrize(
    "name, position",
    [
        ("FIRSTJ133309.4+045007", (203.28916667, 4.83527778)),
        ("J000000.0-003000_radio", (0.0, -0.5)),
        ("2MASS J06495091-0737408", (102.462125, -7.628)),
        ("J120000.12345-013000.56789", (180.0005125, -1.50015778)),
        ("VLASS.3.1_J001357.17-091951.5.10.fits", (3.48820833, -9.33097222)),
        ("J126100+000000", None),
        ("SIM0000001", None),
    ],
)
def test_position_from_name(name, position):
    found = position_from_name(name)
    assert found == (position and pytest.approx(position))
