"""The hosts of the sources of a survey, of all mosaics together."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from claran.hosts.candidates import Candidates
from claran.hosts.host_columns import (
    host_columns,
    host_metadata,
    of_components,
    place_columns,
    spread_columns,
)
from claran.hosts.likelihood import (
    HostPrior,
    Pairs,
    choose_among,
    pairs_of,
    prior_of,
)
from claran.hosts.position_density import HostDensity
from claran.survey.mosaic_search import MosaicSearch
from claran.survey.overlaps import Kept

__all__ = ["with_hosts"]

Columns = dict[str, np.ndarray]


class _Placed(NamedTuple):
    """The sources of a mosaic that are kept, and where their hosts can be."""

    rows: Int[np.ndarray, "n"]
    densities: list[HostDensity]


def with_hosts(
    found: Mapping[str, MosaicSearch],
    kept: Sequence[Kept],
    candidates: Candidates | None,
) -> tuple[dict[str, MosaicSearch], dict[str, Any]]:
    """Returns the searches of mosaics with the columns of hosts, and metadata on them.

    The sources of all mosaics are judged together, each once: so what is known of hosts
    follows from all of them, and one candidate that two sources claim is seen.

    Args:
        found: What was found in each mosaic, by its name, with `hosts`.
        kept: Which sources of each are kept; the others get no host.
        candidates: On the sky of the mosaics; None for the place from the radio image
            alone.
    """
    placed = [
        _placed(search, rows) for search, rows in zip(found.values(), kept, strict=True)
    ]
    hosts, prior = _hosts(found, placed, candidates)
    searches = {}
    for (name, search), one, more in zip(found.items(), placed, hosts, strict=True):
        columns = place_columns(one.densities, search.mosaic.wcs) | more
        spread = spread_columns(columns, one.rows, len(search.sources["x"]))
        searches[name] = _with_columns(search, spread)
    if candidates is None or prior is None:
        return searches, {}
    return searches, host_metadata(candidates, prior)


def _hosts(
    found: Mapping[str, MosaicSearch],
    placed: Sequence[_Placed],
    candidates: Candidates | None,
) -> tuple[list[Columns], HostPrior | None]:
    """Returns the hosts of the sources of each mosaic, and the prior of all."""
    if candidates is None:
        return [{} for _ in placed], None
    pairs = [
        Pairs.joined([])
        if search.mosaic.wcs is None
        else pairs_of(one.densities, search.mosaic.wcs, candidates)
        for search, one in zip(found.values(), placed, strict=True)
    ]
    joined = Pairs.joined(pairs)
    prior = prior_of(joined, candidates)
    every = host_columns(choose_among(joined, candidates, prior), candidates)
    stops = np.cumsum([part.sources for part in pairs]).tolist()
    parts = [
        {name: column[stop - part.sources : stop] for name, column in every.items()}
        for part, stop in zip(pairs, stops, strict=True)
    ]
    return parts, prior


def _placed(search: MosaicSearch, kept: Kept) -> _Placed:
    """Returns the sources of a mosaic that are on the sky and kept."""
    assert search.hosts is not None  # noqa: S101 - they were asked for.
    (rows,) = np.nonzero(kept.sources & (search.mosaic.wcs is not None))
    return _Placed(rows, list(search.hosts.chosen(rows)))


def _with_columns(search: MosaicSearch, columns: Columns) -> MosaicSearch:
    """Returns a search with columns of its sources; components have that of theirs."""
    more = of_components(columns, search.components["source"])
    return dataclasses.replace(
        search, sources=search.sources | columns, components=search.components | more
    )
