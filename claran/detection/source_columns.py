"""The columns of sources: what is known of groups of islands once all is measured."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.wcs import WCS

from claran.detection.counting import SourceGroup
from claran.detection.windows import seen_sides
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.sky_measures import sky_sources
from claran.photometry.source_measures import measure_sources

__all__ = ["island_lists", "source_columns"]

Columns = dict[str, np.ndarray]


def source_columns(
    groups: Sequence[SourceGroup],
    islands: Mapping[str, np.ndarray],
    components: Mapping[str, np.ndarray],
    beam: PixelBeam,
    *,
    wcs: WCS | None,
    class_names: Sequence[str],
    scale: float,
) -> Columns:
    """Returns the columns of the sources of a mosaic or a field.

    Args:
        groups: The sources; no island is in two.
        islands: All islands, see `claran.photometry.source_measures.measure_sources`.
        components: All components, see there.
        beam: In pixels of the image.
        wcs: Celestial WCS of the image; None without.
        class_names: Names of the classes.
        scale: Pixels of the network's input per pixel of the image.

    Returns:
        Those of `measure_sources` and `claran.photometry.sky_measures.sky_sources`;
        `label`, `score`, `probability` and that of each class, `p_NAME`; `islands`, the
        numbers of the islands, from 1, with semicolons between them.
    """
    window, overlap = seen_sides(scale)
    counts = np.array([len(group.islands) for group in groups], np.int64)
    members = [np.zeros(0, np.int64), *(group.islands for group in groups)]
    found = measure_sources(
        np.concatenate(members), counts, islands, components, beam,
        second=np.array([group.second for group in groups], float),
        window=window, overlap=overlap,
    )  # fmt: skip
    found |= sky_sources(found, wcs)
    return found | _classes(groups, class_names) | {"islands": island_lists(groups)}


def _classes(groups: Sequence[SourceGroup], names: Sequence[str]) -> Columns:
    classes = np.array([group.classes for group in groups]).reshape(-1, len(names))
    best = classes.argmax(axis=1)
    return {
        "label": np.array(names, dtype=str)[best],
        "score": classes.max(axis=1, initial=0),
        "probability": classes.sum(axis=1),
    } | {f"p_{name}": column for name, column in zip(names, classes.T, strict=True)}


def island_lists(groups: Sequence[SourceGroup]) -> np.ndarray:
    """Returns the column "islands": numbers from 1, with semicolons between them."""
    texts = [";".join(map(str, (group.islands + 1).tolist())) for group in groups]
    return np.array(texts, dtype=str)
