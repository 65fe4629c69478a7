"""Columns of components and of islands, of many cutouts of an image."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from claran.photometry.components import Components, fit_images
from claran.photometry.flood import IslandCutout, NumberedCutout
from claran.photometry.island_measures import measure_islands
from claran.photometry.pixel_beams import PixelBeam
from claran.sky.peak_counts import GRIDS

__all__ = ["component_rows", "island_rows"]

# A cutout without any island.
NOTHING = IslandCutout(
    0, 0, np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32),
    np.zeros((1, 1), bool), np.zeros((1, 1), bool), np.zeros((1, 1), np.int32),
)  # fmt: skip

Columns = dict[str, np.ndarray]


def component_rows(
    images: Sequence[tuple[Sequence[NumberedCutout], PixelBeam]],
) -> list[Columns]:
    """Returns the components of some images, each by flood island.

    Args:
        images: Cutouts, by number, and beam of each.

    Returns:
        The columns of `claran.photometry.components.Components`, with the numbers of
        `flood` and `island` (-1 for none) in the image instead of those of cutouts.
    """
    fitted = fit_images(
        [([one.cutout for one in cutouts], beam) for cutouts, beam in images]
    )
    return [
        _numbered(found, cutouts)
        for found, (cutouts, _) in zip(fitted, images, strict=True)
    ]


def _numbered(found: Components, cutouts: Sequence[NumberedCutout]) -> Columns:
    columns = {
        field.name: getattr(found, field.name) for field in dataclasses.fields(found)
    }
    cutout, island = columns.pop("cutout"), columns.pop("island")
    floods = np.array([one.number for one in cutouts], np.int64)
    columns["flood"] = floods[cutout]
    own = [
        cutouts[c].islands[i] if i >= 0 else -1
        for c, i in zip(cutout.tolist(), island.tolist(), strict=True)
    ]
    columns["island"] = np.array(own, np.int64)
    return columns


def island_rows(cutouts: Sequence[NumberedCutout], beam: PixelBeam) -> Columns:
    """Returns the islands of an image, by flood island; none of those without any.

    Args:
        cutouts: By number.
        beam: Of the image.

    Returns:
        The columns of `claran.photometry.island_measures.measure_islands`; the `number`
        of each island and of its flood island, `flood`; and `peaks`, their numbers in
        the grids of `claran.sky.peak_counts`.
    """
    # Also without islands there are the columns.
    none = np.zeros(0, np.int64)
    peaks = np.zeros((0, GRIDS), np.int64)
    about = {"number": none, "peaks": peaks, "flood": none}
    parts = [measure_islands(NOTHING, beam) | about]
    parts += [
        measure_islands(one.cutout, beam)
        | {
            "number": one.islands,
            "peaks": one.peaks,
            "flood": np.full(len(one.islands), one.number),
        }
        for one in cutouts
        if len(one.islands)
    ]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}
