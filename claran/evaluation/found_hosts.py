"""The hosts of what a detector finds in labeled fields."""

from collections.abc import Callable, Sequence

import numpy as np
from tqdm.auto import tqdm

from claran.detection.counting import GROUP
from claran.detection.detections import Detections
from claran.detection.field_hosts import (
    candidates_in_field,
    find_hosts,
    host_notes,
    place_hosts_in,
)
from claran.errors import ImageError
from claran.fields.batches import Source
from claran.hosts.candidates import Candidates
from claran.hosts.fetched_sky import Sky
from claran.hosts.field_choices import FieldSources
from claran.hosts.host_columns import spread_columns
from claran.hosts.host_search import HostSearch

__all__ = ["ISLANDS", "with_hosts", "with_island_numbers"]

ISLANDS = "islands"
"""Column of the numbers of a detection's islands, as tables have it."""


def with_island_numbers(found: Detections) -> Detections:
    """Returns detections with `ISLANDS` instead of their `GROUP`."""
    groups = found.columns.get(GROUP, ())
    numbers = [";".join(map(str, group.islands + 1)) for group in groups]
    return found.without(GROUP).with_columns(**{ISLANDS: np.array(numbers, str)})


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
        score_threshold: Detections with a higher score are the catalog.
        tell: Receives messages for the user.

    Raises:
        ImageError: The service is away, or no field has a WCS that is needed for it.
    """
    fields, faults = [], []
    judged: list[np.ndarray] = []
    for number, found in enumerate(
        tqdm(detections, "Hosts", unit="field", disable=None)
    ):
        rows = (found.scores > score_threshold) & ~found.alternative
        judged.append(rows)
        if not rows.any():
            continue
        field = source[number]
        sky = Sky(field.wcs, field.shape, field.pixel_arcsec)
        try:
            own = candidates_in_field(search, sky, field.picture)
        except ImageError as error:
            faults.append(str(error))
            own = None
        densities = list(place_hosts_in(field, found[ISLANDS][rows]))
        fields.append(FieldSources(sky=sky, densities=densities, candidates=own))
    if faults:
        tell(f"Note: no candidates for hosts in {len(faults)} fields: {faults[0]}")
    columns, about = find_hosts(search, fields, table)
    for line in host_notes(about) if fields else ():
        tell(line)
    (rows,) = np.nonzero(np.concatenate([np.zeros(0, bool), *judged]))
    counts = [len(found) for found in detections]
    spread = spread_columns(columns, rows, sum(counts))
    everything = Detections.concatenate(list(detections)).without(ISLANDS)
    return everything.with_columns(**spread).split(np.array(counts))
