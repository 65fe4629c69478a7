"""Sources, their hosts, and components as regions for DS9 and for CASA and CARTA."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from claran.io.atomic import replace_file
from claran.io.paths import readable

__all__ = ["Crosses", "Ellipses", "Outlines", "write_regions"]

PLACE = ("ra", "dec")
ELLIPSE = (*PLACE, "major", "minor", "pa")
# Readers take what is on the left for the end of a text.
DS9_TEXT = str.maketrans("{}", "()")
CRTF_TEXT = str.maketrans("[]\"',", "()``;")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outlines:
    """Polygons on the sky.

    Attributes:
        polygons: The corners `(ra, dec)` of each, degrees, ICRS.
        labels: Text at each, "" for none.
        colors: Color of each, as `#56b4e9`.
    """

    polygons: Sequence[Float[np.ndarray, "_ 2"]]
    labels: Sequence[str]
    colors: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ellipses:
    """Ellipses on the sky.

    Attributes:
        ra: Right ascension, degrees, ICRS.
        dec: Declination, degrees, ICRS.
        major: Full width along the major axis, arcsec.
        minor: Full width along the minor axis, arcsec.
        pa: Position angle of the major axis, degrees, from north through east.
        labels: Text at each, "" for none.
        colors: Color of each, as `#56b4e9`.
    """

    ra: Float[np.ndarray, "n"]
    dec: Float[np.ndarray, "n"]
    major: Float[np.ndarray, "n"]
    minor: Float[np.ndarray, "n"]
    pa: Float[np.ndarray, "n"]
    labels: Sequence[str]
    colors: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crosses:
    """Crosses at places on the sky.

    Attributes:
        ra: Right ascension, degrees, ICRS.
        dec: Declination, degrees, ICRS.
        labels: Text at each, "" for none.
        colors: Color of each, as `#56b4e9`.
    """

    ra: Float[np.ndarray, "n"]
    dec: Float[np.ndarray, "n"]
    labels: Sequence[str]
    colors: Sequence[str]


class _Regions(NamedTuple):
    outlines: Outlines | None
    ellipses: Ellipses | None
    crosses: Crosses | None


def write_regions(
    path: Path,
    *,
    outlines: Outlines | None = None,
    ellipses: Ellipses | None = None,
    crosses: Crosses | None = None,
) -> None:
    """Writes regions as a file of DS9 (`.reg`) or of CASA and CARTA (`.crtf`).

    A region that is not finite, or a polygon of fewer than three corners, is left out.
    The package `regions` takes a minute for what this writes in a second.

    Args:
        path: The file.
        outlines: Polygons.
        ellipses: Ellipses.
        crosses: Crosses.

    Raises:
        ValueError: The ending is none of these.
        OSError: The file cannot be written.
    """
    if path.suffix not in LINES:
        raise ValueError(f"{path}: must end in {' or '.join(LINES)}.")
    lines = LINES[path.suffix](_Regions(outlines, ellipses, crosses))
    replace_file(path, functools.partial(_write_lines, lines))


def _write_lines(lines: Iterator[str], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        while part := list(itertools.islice(lines, 10_000)):
            file.write("\n".join(part) + "\n")


def _ds9(regions: _Regions) -> Iterator[str]:
    yield "# Region file format: DS9 version 4.1"
    yield 'global width=1 font="helvetica 10 normal roman" select=1'
    yield "icrs"
    for corners, about in _polygons(regions.outlines, _ds9_about):
        yield "polygon(" + _joined("{:.7f},{:.7f}", corners, ",") + f") #{about}"
    for (ra, dec, major, minor, pa), about in _rows(
        regions.ellipses, ELLIPSE, _ds9_about
    ):
        # The first axis is along right ascension, where the angle is zero.
        axes = f'{minor / 2:.4f}",{major / 2:.4f}"'
        yield f"ellipse({ra:.7f},{dec:.7f},{axes},{pa:.3f}) #{about}"
    for (ra, dec), about in _rows(regions.crosses, PLACE, _ds9_about):
        yield f"point({ra:.7f},{dec:.7f}) # point=cross{about}"


def _crtf(regions: _Regions) -> Iterator[str]:
    yield "#CRTFv0"
    yield "global coord=ICRS, linewidth=1"
    for corners, about in _polygons(regions.outlines, _crtf_about):
        yield "poly[" + _joined("[{:.7f}deg, {:.7f}deg]", corners, ", ") + "]" + about
    for (ra, dec, major, minor, pa), about in _rows(
        regions.ellipses, ELLIPSE, _crtf_about
    ):
        axes = f"[{major / 2:.4f}arcsec, {minor / 2:.4f}arcsec]"
        yield f"ellipse[[{ra:.7f}deg, {dec:.7f}deg], {axes}, {pa:.3f}deg]{about}"
    for (ra, dec), about in _rows(regions.crosses, PLACE, _crtf_about):
        yield f"symbol[[{ra:.7f}deg, {dec:.7f}deg], +]{about}"


LINES = {".reg": _ds9, ".crtf": _crtf}


def _polygons(
    outlines: Outlines | None, about: Callable[[str, str], str]
) -> Iterator[tuple[Float[np.ndarray, "_ 2"], str]]:
    if outlines is None:
        return
    for corners, label, color in zip(
        outlines.polygons, outlines.labels, outlines.colors, strict=True
    ):
        if len(corners) >= 3 and np.isfinite(corners).all():
            yield corners, about(label, color)


def _rows(
    regions: Ellipses | Crosses | None,
    names: Sequence[str],
    about: Callable[[str, str], str],
) -> Iterator[tuple[list[float], str]]:
    if regions is None:
        return
    columns = (getattr(regions, name) for name in names)
    rows = np.stack([np.asarray(one, np.float64) for one in columns], axis=1)
    for row, label, color in zip(
        rows.tolist(), regions.labels, regions.colors, strict=True
    ):
        if all(map(math.isfinite, row)):
            yield row, about(label, color)


def _joined(pair: str, corners: Float[np.ndarray, "_ 2"], between: str) -> str:
    return between.join([pair] * len(corners)).format(*corners.ravel().tolist())


def _ds9_about(label: str, color: str) -> str:
    """Returns color and text; a text has braces about it, so it has none inside."""
    text = readable(label).translate(DS9_TEXT)
    return f" color={color}" + (f" text={{{text}}}" if text else "")


def _crtf_about(label: str, color: str) -> str:
    """Returns color and text; a text has quotes about it, so it has none inside."""
    text = readable(label).translate(CRTF_TEXT)
    return f", color={color}" + (f', label="{text}"' if text else "")
