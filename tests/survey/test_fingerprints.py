"""Fingerprints: equal for equal values, in any process, and different for others."""

import dataclasses
import functools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS

from claran.survey.fingerprints import fingerprint


@dataclasses.dataclass
class Mesh:
    levels: np.ndarray
    step: int = 8

    @functools.cached_property
    def slow(self):
        return self.levels.sum()


class Plain:
    def __init__(self, step):
        self.step = step


class Named(Plain):
    @property
    def fingerprint(self):
        return "mine"


DIFFERENT = [
    None, True, False, 0, 1, 2, 1.0, -0.0, 0.0, math.nan, 1j, "", "1", b"1", (), [],
    (1,), [1], (1, 1), ((1,), 1), (1, (1,)), {}, {1: 2}, {2: 1}, {1}, frozenset({1}),
    slice(0, 1), slice(0, 1, 2), slice(1), (0, 1, None), Path("a"), Path("b"), "a",
    np.zeros(2), np.zeros(2, "f4"), np.zeros(2, ">f8"), np.zeros(3), np.zeros((2, 1)),
    np.zeros((1, 2)), np.zeros(0), np.array([0, 1.0]), np.array([1.0, 0]),
    np.array(["a"]), np.array(["b"]), np.array([None, 1]), np.array([None, 2]),
    np.zeros(1, [("x", "f4")]), np.zeros(1, [("y", "f4")]),
    Mesh(np.zeros(2)), Mesh(np.ones(2)), Mesh(np.zeros(2), 4), Plain(1), Plain(2),
    Named(1), math.sqrt, math.cos, Plain, Mesh, functools.partial(math.log, 2),
    functools.partial(math.log, 3), functools.partial(math.pow, 2), range(3), range(4),
]  # fmt: skip


def test_different_values_differ():
    assert len({fingerprint(value) for value in DIFFERENT}) == len(DIFFERENT)
    assert fingerprint(1, 2) != fingerprint((1, 2)) != fingerprint(2, 1)


def test_a_wcs_counts_by_its_content(wcs):
    other = WCS(wcs.to_header())
    assert fingerprint(wcs) == fingerprint(wcs.deepcopy())
    other.wcs.crval = [181.0, 30.0]
    assert fingerprint(wcs) != fingerprint(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
        (np.int64(3), 3),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(3), np.arange(6)[::2] // 2),
        (Named(1), Named(2)),
        ("".join(["a", "b"]), "ab"),
    ],
)
def test_equal_values_are_equal(one, other):
    assert fingerprint(one) == fingerprint(other)


def test_what_is_kept_for_speed_does_not_count():
    mesh = Mesh(np.ones(2))
    before = fingerprint(mesh)
    assert mesh.slow == 2 and fingerprint(mesh) == before


def test_each_process_finds_the_same():
    code = (
        "from claran.survey.fingerprints import fingerprint\n"
        "print(fingerprint({'a', 'b', 'c'}, {'x': 1.5, 'y': slice(3)}, 'text'))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(found) == 1


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
        fingerprint(one for one in "a")
