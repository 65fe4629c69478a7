"""Train, validation and test splits by position on the sky.

Fields that are close together may show the same galaxy. They are linked into groups,
and all fields of a group are in one split. The split follows from a hash of the first
name in the group, so that the same list gives the same splits on every machine.
"""

import collections
import hashlib
import re
from collections.abc import Mapping

import numpy as np
from astropy.coordinates import jparser
from jaxtyping import Float, Float64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from claran.data.annotations import Report

__all__ = ["complete_splits", "group_by_sky", "position_from_name"]

# Fields of 3' do not overlap if their centers are more than 4.3' apart. The rest is for
# galaxies that extend from one field into the next.
LINK_ARCMIN = 6.0
CUTS = {"validation": 0.1, "test": 0.2}
# Right ascension and declination for jparser, with at most three decimals. It does not
# find positions with more.
NAME = re.compile(r"(J\d{6}\.?\d{0,3})\d*([+-]\d{6}\.?\d{0,3})")


def position_from_name(name: str) -> tuple[float, float] | None:
    """Returns the position in a name such as "J120000.0-013000", in degrees.

    Args:
        name: Any text around hours, minutes and seconds of right ascension and degrees,
            minutes and seconds of declination.

    Returns:
        Right ascension and declination in degrees; None if the name holds none.

    >>> ra, dec = position_from_name("FIRSTJ101500.0-013000_logminmax")
    >>> round(ra, 6), dec
    (153.75, -1.5)
    """
    found = NAME.search(name)
    if found is None:
        return None
    try:
        ra, dec = jparser.to_ra_dec_angles("".join(found.groups()))
    except ValueError:  # Such as 61 minutes.
        return None
    return float(ra.to_value("deg")), float(dec.to_value("deg"))


def group_by_sky(
    positions: Float[np.ndarray, "n 2"], *, link_arcmin: float = LINK_ARCMIN
) -> list[int]:
    """Returns for each position the index of the first position of its group.

    Two positions are in one group if a chain of positions connects them with no step
    longer than `link_arcmin`.

    Args:
        positions: Right ascension and declination in degrees; a position with a NaN is
            a group of its own.
        link_arcmin: Longest step between two neighbors of a group.

    Raises:
        ValueError: `link_arcmin` is not between 0 and 600.
    """
    if not 0 < link_arcmin <= 600:
        raise ValueError(f"`link_arcmin` must be in (0, 600], got {link_arcmin}.")
    vectors = _unit_vectors(positions)
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    reach = 2 * np.sin(np.radians(link_arcmin / 60) / 2)  # Chord of the angle.
    near = KDTree(vectors[known]).query_pairs(reach, output_type="ndarray")
    edges = coo_array(
        (np.ones(len(near)), known[near].T), shape=(len(positions), len(positions))
    )
    _, groups = connected_components(edges, directed=False)
    _, first = np.unique(groups, return_index=True)
    return first[groups].tolist()


def complete_splits(
    given: Mapping[str, str],
    positions: Mapping[str, tuple[float, float]],
    report: Report,
    *,
    link_arcmin: float = LINK_ARCMIN,
) -> dict[str, str]:
    """Returns the split of each field, given or chosen.

    - If no field has a split, a tenth of the groups becomes validation, a fifth test.
    - If some fields have a split, but none is validation, a tenth of the train groups
      without a test field becomes validation, unless no train field would be left.
    - If some fields are validation, all given splits are kept.

    Other fields without a split are train. Given splits are kept even if a train field
    has a test field in its group; each such field is reported as "train beside test".

    Args:
        given: "train", "validation", "test" or "" by name.
        positions: Right ascension and declination in degrees by name; a field without
            a position is a group of its own.
        report: Receives the problems.
        link_arcmin: See `group_by_sky`; twice the side of a field is a good value.

    Returns:
        "train", "validation" or "test" by name.
    """
    ordered = sorted(given)  # The result must not depend on the order.
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
    if "train" in given.values() and "train" not in splits.values():
        return splits | {name: "train" for name in given if given[name] == "train"}
    return splits


def _unit_vectors(positions: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 3"]:
    ra, dec = np.radians(positions.astype(np.float64)).T
    return np.stack(
        [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1
    )


def _draw(name: str, shares: Mapping[str, float]) -> str:
    """Returns a split that depends on the name alone; "train" outside of `shares`.

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
