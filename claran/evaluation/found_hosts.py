"""The hosts of what a detector finds in labeled fields."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool
from tqdm.auto import tqdm

from claran.detection.counting import GROUP
from claran.detection.detections import Detections
from claran.detection.field_hosts import (
    PlacedField,
    find_hosts_in_fields,
    place_hosts_in,
)
from claran.detection.source_columns import island_lists
from claran.fields.batches import Source
from claran.hosts.candidates import Candidates
from claran.hosts.fetched_sky import Sky
from claran.hosts.host_columns import spread_columns
from claran.hosts.host_search import HostSearch

__all__ = ["ISLANDS", "with_hosts", "with_island_numbers"]

ISLANDS = "islands"
"""Column of the numbers of a detection's islands, as tables have it."""


def with_island_numbers(found: Detections) -> Detections:
    """Returns detections with `ISLANDS` instead of their `GROUP`."""
    numbers = island_lists(list(found.columns.get(GROUP, ())))
    return found.without(GROUP).with_columns(**{ISLANDS: numbers})


def with_hosts(
    search: HostSearch,
    table: Candidates | None,
    source: Source,
    detections: Sequence[Detections],
    *,
    score_threshold: float,
    tell: Callable[[str], None],
) -> list[Detections]:
    """Returns the detections with columns of hosts, empty outside of the catalog.

    Args:
        search: Where candidates come from.
        table: The candidates in its table, if there is one.
        source: The fields, which are read again.
        detections: In each field, with `ISLANDS`.
        score_threshold: Sources with a higher probability are the catalog.
        tell: Receives messages for the user.

    Raises:
        ImageError: The service is away, or no field has a WCS that is needed for it.
    """
    catalog = [found.in_catalog(score_threshold) for found in detections]
    placed = _placed(source, detections, catalog)
    columns, _ = find_hosts_in_fields(search, placed, table, tell)
    (rows,) = np.nonzero(np.concatenate([np.zeros(0, bool), *catalog]))
    counts = [len(found) for found in detections]
    spread = spread_columns(columns, rows, sum(counts))
    everything = Detections.concatenate(list(detections)).without(ISLANDS)
    return everything.with_columns(**spread).split(np.array(counts))


def _placed(
    source: Source,
    detections: Sequence[Detections],
    catalog: Sequence[Bool[np.ndarray, "_"]],
) -> Iterator[PlacedField]:
    """Yields the fields with sources of the catalog."""
    for number, rows in enumerate(tqdm(catalog, "Hosts", unit="field", disable=None)):
        if rows.any():
            field = source[number]
            sky = Sky(field.wcs, field.shape, field.pixel_arcsec)
            islands = detections[number][ISLANDS][rows]
            densities = list(place_hosts_in(field, islands))
            yield PlacedField(sky, field.picture, densities)
