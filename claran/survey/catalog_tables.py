"""The tables of a survey: the sources and components of all mosaics, each once."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import QTable
from jaxtyping import Int

from claran.catalog.columns import COLUMNS, Kind, finish_table
from claran.catalog.iau_names import iau_names, name_digits
from claran.survey.mosaic_search import MosaicSearch
from claran.survey.overlaps import Kept

__all__ = ["CatalogTables", "make_tables"]

PIXEL_EDGES = ("x0", "y0", "x1", "y1")


class CatalogTables(NamedTuple):
    """The tables of a catalog.

    Attributes:
        sources: One row a source.
        components: One row a component.
        rows: Row in `sources` of each source of each mosaic, -1 if it is dropped.
    """

    sources: QTable
    components: QTable
    rows: list[Int[np.ndarray, "_"]]


def make_tables(
    searches: Mapping[str, MosaicSearch],
    kept: Sequence[Kept],
    acronym: str,
    meta: Mapping[str, Any],
) -> CatalogTables:
    """Returns the tables of sources and of components, by right ascension.

    Args:
        searches: What was found in each mosaic, by its name.
        kept: Which rows of each are kept.
        acronym: With which the names of sources begin.
        meta: Metadata of both tables.
    """
    sources = _gather(searches, [one.sources for one in kept], "sources")
    components = _gather(searches, [one.components for one in kept], "components")
    digits = max(name_digits(_beam_arcsec(search)) for search in searches.values())
    order, place = _by_position(sources)
    sources = {name: column[order] for name, column in sources.items()}
    sources["name"] = _names(sources, acronym, digits)
    # Rows of sources, first by mosaic and then in the order of the table.
    owner = _owners(searches, kept, _rows(kept, place))
    order, _ = _by_position(components)
    components = {name: column[order] for name, column in components.items()}
    owner = owner[order]
    components["name"] = _names(components, f"{acronym}-C", digits)
    components["source"] = np.append(sources["name"], "")[owner]
    sources["components"] = _lists(components["name"], owner, len(sources["name"]))
    return CatalogTables(
        finish_table(_known(sources, "sources"), "sources", meta),
        finish_table(_known(components, "components"), "components", meta),
        _rows(kept, place),
    )


def _rows(
    kept: Sequence[Kept], place: Int[np.ndarray, "n"]
) -> list[Int[np.ndarray, "_"]]:
    """Returns the row of the table of each source of each mosaic, -1 for none."""
    found, before = [], 0
    for rows in kept:
        count = int(rows.sources.sum())
        own = np.full(len(rows.sources), -1)
        own[rows.sources] = place[before : before + count]
        found.append(own)
        before += count
    return found


def _gather(
    searches: Mapping[str, MosaicSearch], kept: Sequence[np.ndarray], kind: Kind
) -> dict[str, np.ndarray]:
    """Returns the columns of all mosaics, with the rows that are kept."""
    parts: dict[str, list[np.ndarray]] = {}
    for (name, search), rows in zip(searches.items(), kept, strict=True):
        columns = dict(search.sources if kind == "sources" else search.components)
        columns["image"] = np.full(len(rows), name)
        if kind == "sources":
            columns |= dict(zip(PIXEL_EDGES, columns.pop("boxes").T, strict=True))
        else:
            columns["rms"] = columns.pop("noise")
            columns["peak_flux"] = columns.pop("peak")
            columns["e_peak_flux"] = columns.pop("e_peak")
            columns["own"] = columns.pop("source")
            columns["island"] = columns["island"] + 1  # 0 for none.
        for column, values in columns.items():
            parts.setdefault(column, []).append(values[rows])
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _by_position(
    rows: Mapping[str, np.ndarray],
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Returns the order of a table's rows, and the place of each row in it."""
    order = np.lexsort((rows["x"], rows["y"], rows["image"], rows["dec"], rows["ra"]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return order, place


def _owners(
    searches: Mapping[str, MosaicSearch],
    kept: Sequence[Kept],
    places: Sequence[Int[np.ndarray, "_"]],
) -> Int[np.ndarray, "c"]:
    """Returns the row of each kept component's source in the table, -1 for none."""
    return np.concatenate(
        [
            np.append(rows, -1)[search.components["source"][one.components]]
            for search, one, rows in zip(searches.values(), kept, places, strict=True)
        ]
    )


def _names(rows: Mapping[str, np.ndarray], acronym: str, digits: int) -> np.ndarray:
    """Returns names by position; by image and pixel where there is none."""
    known = np.isfinite(rows["ra"])
    names = np.array(
        [
            f"{acronym} {image}:{x:.1f},{y:.1f}"
            for image, x, y in zip(rows["image"], rows["x"], rows["y"], strict=True)
        ]
        if not known.all()
        else [""] * len(known),
        dtype=object,
    )
    names[known] = iau_names(
        rows["ra"][known], rows["dec"][known], acronym, digits=digits
    )
    return names.astype(str)


def _beam_arcsec(search: MosaicSearch) -> float:
    return search.mosaic.beam_pixels * (search.mosaic.pixel_arcsec or 1.0)


def _lists(names: np.ndarray, owner: Int[np.ndarray, "c"], count: int) -> np.ndarray:
    """Returns the names of each source's components, with semicolons between them."""
    members: list[list[str]] = [[] for _ in range(count)]
    for name, row in zip(names.tolist(), owner.tolist(), strict=True):
        if row >= 0:
            members[row].append(name)
    return np.array([";".join(one) for one in members], dtype=str)


def _known(rows: Mapping[str, np.ndarray], kind: Kind) -> dict[str, np.ndarray]:
    """Returns the columns that the table has."""
    names = {column.name for column in COLUMNS[kind]}
    return {
        name: column
        for name, column in rows.items()
        if name in names or (kind == "sources" and name.startswith("p_"))
    }
