"""The hosts of the sources in fields, judged together as those of a survey are."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from claran.hosts.candidates import Candidates
from claran.hosts.fetched_sky import Sky
from claran.hosts.host_columns import (
    host_columns,
    host_metadata,
    place_columns,
    spread_columns,
)
from claran.hosts.likelihood import Hosts, Pairs, choose_among, pairs_of, prior_of
from claran.hosts.position_density import HostDensity

__all__ = ["FieldSources", "choose_in_fields"]

Columns = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldSources:
    """The sources of a field.

    Attributes:
        sky: What the field shows.
        densities: Where the host of each source can be, in pixels of the field.
        candidates: Those of this field alone, as measured on its infrared image; None
            without.
    """

    sky: Sky
    densities: Sequence[HostDensity]
    candidates: Candidates | None = None


def choose_in_fields(
    fields: Sequence[FieldSources], candidates: Candidates | None = None
) -> tuple[Columns, dict[str, Any]]:
    """Returns the columns of the hosts of all sources, and metadata on them.

    What is known of hosts before follows from all fields. A source that two fields show
    is judged in each: it shares its host only with sources of the same field.

    Args:
        fields: The fields, one at least.
        candidates: On the sky of all fields; None if each has its own, or if only the
            place by the radio image is asked for.
    """
    places = [place_columns(one.densities, one.sky.wcs) for one in fields]
    columns = {
        name: np.concatenate([part[name] for part in places]) for name in places[0]
    }
    own = [one.candidates if candidates is None else candidates for one in fields]
    judged = [
        one.sky.wcs is not None and some is not None
        for one, some in zip(fields, own, strict=True)
    ]
    if not any(judged):
        return columns, {}
    chosen = [one for one, its in zip(fields, judged, strict=True) if its]
    pairs, every = _pairs(chosen, candidates)
    joined = Pairs.joined(pairs)
    prior = prior_of(joined, every)
    image = np.repeat(np.arange(len(pairs)), [part.sources for part in pairs])
    hosts = choose_among(joined, every, prior)
    hosts = dataclasses.replace(hosts, shared=_shared(hosts, image))
    (rows,) = np.nonzero(np.repeat(judged, [len(one.densities) for one in fields]))
    found = spread_columns(host_columns(hosts, every), rows, len(columns["place_ra"]))
    return found | columns, host_metadata(every, prior)


def _pairs(
    fields: Sequence[FieldSources], candidates: Candidates | None
) -> tuple[list[Pairs], Candidates]:
    """Returns the pairs of each field, and the candidates that their numbers are of."""
    pairs, parts, start = [], [], 0
    for one in fields:
        own = one.candidates if candidates is None else candidates
        assert own is not None  # noqa: S101 - others are not judged.
        assert one.sky.wcs is not None  # noqa: S101
        found = pairs_of(one.densities, one.sky.wcs, own)
        pairs.append(dataclasses.replace(found, candidate=found.candidate + start))
        if candidates is None:
            parts.append(own)
            start += len(own)
    return pairs, Candidates.joined(parts) if candidates is None else candidates


def _shared(hosts: Hosts, image: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Returns which sources claim a host together with others of their image."""
    pairs = np.stack([np.repeat(image, hosts.index.shape[1]), hosts.index.ravel()])
    _, place = np.unique(pairs, axis=1, return_inverse=True)
    total = np.bincount(place.ravel(), hosts.probability.ravel())
    first = place.reshape(hosts.index.shape)[:, 0]
    return (hosts.index[:, 0] >= 0) & (total[first] > 1 + 1e-9)
