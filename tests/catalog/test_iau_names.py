import time

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from claran.catalog.iau_names import iau_names, name_digits


def names(ra, dec, acronym="X", **options):
    return iau_names(np.atleast_1d(ra), np.atleast_1d(dec), acronym, **options).tolist()


def hours(h, m, s):
    return 15 * (h + m / 60 + s / 3600)


def degrees(d, m, s):
    return d + m / 60 + s / 3600


@pytest.mark.parametrize(
    "ra, dec, name",
    [
        (hours(12, 34, 56.7), degrees(12, 34, 56), "J123456.7+123456"),
        # Cut, not rounded: these would be J000001.0 and +0002.
        (hours(0, 0, 0.99), degrees(0, 1, 59.99), "J000000.9+000159"),
        (hours(23, 59, 59.99), degrees(89, 59, 59.9), "J235959.9+895959"),
        (359.9999999, -89.9999999, "J235959.9-895959"),
        # On a step in degrees of a few decimals, which floats miss by a hair.
        *((hours(1, 2, i / 10), 0.0, f"J01020{i / 10}+000000") for i in range(30)),
        # Right ascension is a circle; a hair below 0 is 0, as in tables.
        (-1e-15, 0.0, "J000000.0+000000"),
        (359.99999999, 0.0, "J000000.0+000000"),
        (-0.5, 0.0, "J235800.0+000000"),
        (360.0, 0.0, "J000000.0+000000"),
        # The sign of what is cut to zero.
        (0.0, -0.1 / 3600, "J000000.0-000000"),
        (0.0, -0.0, "J000000.0+000000"),
        (0.0, -1e-9, "J000000.0+000000"),
        (0.0, 90.0, "J000000.0+900000"),
        (0.0, -90.0, "J000000.0-900000"),
    ],
)  # fmt: skip
def test_name_of_a_position(ra, dec, name):
    assert names(ra, dec) == [f"X {name}"]


@pytest.mark.parametrize(
    "digits, name",
    [
        (0, "J123456+123456"),
        (1, "J123456.7+123456"),
        (2, "J123456.78+123456.7"),
        (4, "J123456.7891+123456.789"),
    ],
)
def test_digits(digits, name):
    ra, dec = hours(12, 34, 56.78912), degrees(12, 34, 56.7891)
    assert names(ra, dec, digits=digits) == [f"X {name}"]
    assert names(ra, dec, "", digits=digits) == [name]


@pytest.mark.parametrize("digits", [-1, 5])
def test_a_wrong_number_of_digits_is_refused(digits):
    with pytest.raises(ValueError, match=f"from 0 to 4, got {digits}"):
        names(0.0, 0.0, digits=digits)


def test_names_lead_back_to_the_position(rng):
    ra, dec = rng.uniform(0, 360, 500), rng.uniform(-90, 90, 500)
    found = SkyCoord(
        [_spaced(name) for name in names(ra, dec, digits=3)], unit=("hourangle", "deg")
    )
    # Less than a step away, towards 0 h and the equator.
    assert (abs(found.ra.deg - ra) < 1.01e-3 * 15 / 3600).all()
    assert (abs(found.dec.deg - dec) < 1.01e-2 / 3600).all()
    assert (found.ra.deg < ra + 1e-7).all()
    assert (abs(found.dec.deg) < abs(dec) + 1e-7).all()


def _spaced(name):
    text = name.removeprefix("X J").rstrip("abcd")
    sign = "+" if "+" in text else "-"
    ra, dec = text.split(sign)
    return f"{ra[:2]} {ra[2:4]} {ra[4:]} {sign}{dec[:2]} {dec[2:4]} {dec[4:]}"


def test_the_same_name_gets_letters_in_any_order(rng):
    ra = np.array([10.0, 10.0001, 10.0002, 50.0, 10.0])
    dec = np.array([0.0002, 0.0001, 0.0001, 0.0, 0.0003])
    expected = [f"J004000.0+000000{one}" for one in "cab"]
    expected += ["J032000.0+000000", "J004000.0+000001"]
    assert names(ra, dec, "") == expected
    order = rng.permutation(5)
    assert names(ra[order], dec[order], "") == [expected[i] for i in order]


def test_more_than_letters(rng):
    found = names(np.full(800, 1.0), np.full(800, 1.0))
    assert len(set(found)) == 800
    assert [one[17:] for one in (found[0], found[25], found[26], found[799])] == [
        "0a", "0z", "0aa", "0adt",
    ]  # fmt: skip


def test_unknown_positions_have_no_name():
    assert names([np.nan, 0.0, np.inf], [0.0, np.nan, 1.0]) == ["", "", ""]
    assert names(np.zeros(0), np.zeros(0)) == []


def test_digits_follow_the_beam():
    assert [name_digits(beam) for beam in (45, 6, 5.4, 2.5, 0.6)] == [0, 1, 1, 2, 2]
    assert name_digits(1e-9) == 4 and name_digits(1e4) == 0


def test_names_are_fast(rng):
    ra, dec = rng.uniform(0, 360, 100_000), rng.uniform(-90, 90, 100_000)
    start = time.process_time()
    assert len(set(names(ra, dec))) == 100_000
    assert time.process_time() - start < 5  # It takes 0.3 s.
