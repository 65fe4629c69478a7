"""Runs the finder without a network over all fields of a source."""

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from claran.detection.classical_finder import find_sources
from claran.evaluation.truth import FieldDetections
from claran.fields.batches import Source
from claran.fields.field import Element, beam_pixels, signal_to_noise
from claran.io.parallel import parallel_map
from claran.sky.islands import smallest_island

__all__ = ["detect_classically"]

MANY = 500  # Fields; for fewer it does not pay to start processes.
PART = 64  # Fields that a process searches at once.


def detect_classically(
    source: Source, class_names: Sequence[str], *, workers: int | None = None
) -> Iterator[FieldDetections]:
    """Yields what `claran.detection.classical_finder` finds in each field, in order.

    Sources of a class that is not named are left out.

    Args:
        source: The fields.
        class_names: Names of the labels 1, 2 ...
        workers: Processes; None for one a core, where it pays.

    Raises:
        ValueError: A field is a picture, or its pixel size is not known.
    """
    if len(source) < MANY:
        workers = 1
    parts = [range(len(source))[i : i + PART] for i in range(0, len(source), PART)]
    find = functools.partial(_find, source, tuple(class_names))
    for found in parallel_map(find, parts, workers=workers):
        yield from found


def _find(
    source: Source, class_names: Sequence[str], part: range
) -> list[FieldDetections]:
    return [_find_in(source[i], class_names) for i in part]


def _find_in(element: Element, class_names: Sequence[str]) -> FieldDetections:
    name, pixel = element["name"], element.get("pixel_arcsec", math.nan)
    if not element["noise"] > 0:
        raise ValueError(
            f"{name}: is a picture; --model=classical needs radio FITS images."
        )
    if not pixel > 0:
        raise ValueError(
            f"{name}: --model=classical needs to know the size of a pixel; give an "
            "image with a WCS."
        )
    found = find_sources(
        signal_to_noise(element), pixel_arcsec=pixel,
        smallest=smallest_island(beam_pixels(element)),
    )  # fmt: skip
    known = np.array([code in class_names for code in found.codes], bool)
    codes = [code for code in found.codes if code in class_names]
    return FieldDetections(
        boxes=found.boxes[known],
        labels=np.array([class_names.index(code) + 1 for code in codes], int),
        scores=found.scores[known],
    )
