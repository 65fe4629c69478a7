"""Train, validation and test by place on the sky, so that they share no galaxy.

Fields that lie close together may show one galaxy. They are linked to groups, and a
group goes to one split as a whole: to which, a hash of its first name decides, so that
the same list gives the same splits on every machine.
"""

import collections
import hashlib
import itertools
import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float64

from claran.data.annotations import Report

__all__ = ["complete_splits", "group_by_sky", "position_from_name"]

# Fields of 3' whose centres are further apart than 4.3' do not overlap; what is over
# leaves room for a galaxy that reaches from one field into the next.
LINK_ARCMIN = 6.0
CUTS = {"validation": 0.1, "test": 0.2}
NAME = re.compile(
    r"J(\d{2})(\d{2})(\d{2}(?:\.\d+)?)([+-])(\d{2})(\d{2})(\d{2}(?:\.\d+)?)"
)


def position_from_name(name: str) -> tuple[float, float] | None:
    """Returns right ascension and declination in degrees from a name; None without.

    >>> position_from_name("FIRSTJ120000.0-013000_logminmax")
    (180.0, -1.5)
    """
    found = NAME.search(name)
    if found is None:
        return None
    hours, minutes, seconds = (float(part) for part in found.group(1, 2, 3))
    degrees, arcmin, arcsec = (float(part) for part in found.group(5, 6, 7))
    sign = -1.0 if found.group(4) == "-" else 1.0
    ra = 15 * (hours + minutes / 60 + seconds / 3600)
    return ra, sign * (degrees + arcmin / 60 + arcsec / 3600)


def group_by_sky(
    positions: Float[np.ndarray, "n 2"], *, link_arcmin: float = LINK_ARCMIN
) -> list[int]:
    """Returns for each position the index of the first one in its group.

    A group holds all positions that steps of up to `link_arcmin` lead to.

    Args:
        positions: Right ascension and declination in degrees; one with a NaN is a group
            of its own.
        link_arcmin: Longest step between two of a group.

    Raises:
        ValueError: `link_arcmin` is not between 0 and 600.
    """
    if not 0 < link_arcmin <= 600:
        raise ValueError(f"`link_arcmin` must be in (0, 600], got {link_arcmin}.")
    vectors = _unit_vectors(positions)
    reach = 2 * np.sin(np.radians(link_arcmin / 60) / 2)
    first = list(range(len(positions)))

    def root(index: int) -> int:
        while first[index] != index:
            first[index] = first[first[index]]
            index = first[index]
        return index

    cells: dict[tuple[int, ...], list[int]] = collections.defaultdict(list)
    around = list(itertools.product((-1, 0, 1), repeat=3))
    for index in np.flatnonzero(np.isfinite(vectors).all(axis=1)).tolist():
        place = tuple(np.floor(vectors[index] / reach).astype(int).tolist())
        for step in around:
            near = cells.get(tuple(map(sum, zip(place, step, strict=True))), [])
            for other in near:
                if np.linalg.norm(vectors[index] - vectors[other]) <= reach:
                    low, high = sorted((root(index), root(other)))
                    first[high] = low
        cells[place].append(index)
    return [root(index) for index in range(len(positions))]


def complete_splits(
    given: Mapping[str, str],
    positions: Mapping[str, tuple[float, float]],
    report: Report,
    *,
    link_arcmin: float = LINK_ARCMIN,
) -> dict[str, str]:
    """Returns the split of each field: the given one, but for a validation cut.

    If no field has a split, a tenth of the groups becomes validation and a fifth test.
    If some have one but none is validation, a tenth of the train groups that hold no
    test field becomes validation. Else all stays as it is; what is not named is train.
    A train field with a test field in its group is counted as "train beside test": a
    published division is kept, even if it has such.

    Args:
        given: "train", "validation", "test" or "" by name.
        positions: Right ascension and declination in degrees by name; a field that is
            not in it is taken for one that shares its sky with no other.
        report: Gets what is wrong.
        link_arcmin: See `group_by_sky`; twice the side of a field is a good value.
    """
    ordered = sorted(given)  # The order of the list must not matter.
    places = [positions.get(name, (np.nan, np.nan)) for name in ordered]
    groups = group_by_sky(
        np.array(places, np.float64).reshape(-1, 2), link_arcmin=link_arcmin
    )
    held: dict[int, set[str]] = collections.defaultdict(set)
    for name, group in zip(ordered, groups, strict=True):
        held[group].add(given[name])
    shares = dict(CUTS)
    if any(given.values()):
        del shares["test"]
    if "validation" in given.values():
        shares.clear()
    splits = {}
    for name, group in zip(ordered, groups, strict=True):
        if given[name] in ("validation", "test"):
            splits[name] = given[name]
        elif held[group] & {"validation", "test"}:
            splits[name] = "train"
            if "test" in held[group]:
                report.add("train beside test", name)
        else:
            splits[name] = _draw(ordered[group], shares)
    return splits


def _unit_vectors(positions: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 3"]:
    ra, dec = np.radians(positions.astype(np.float64)).T
    return np.stack(
        [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1
    )


def _draw(name: str, shares: Mapping[str, float]) -> str:
    """Returns a split that only depends on the name, "train" for what the shares leave.

    >>> [_draw(name, {"validation": 0.5}) for name in "abcd"]
    ['train', 'validation', 'validation', 'validation']
    """
    digest = hashlib.sha256(name.encode()).digest()
    left = int.from_bytes(digest[:6], "big") / 2**48
    for split, share in shares.items():
        left -= share
        if left < 0:
            return split
    return "train"
