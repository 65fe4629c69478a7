"""The columns of a table that say what galaxy each source belongs to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from jaxtyping import Int

from claran.catalog.tables import to_icrs
from claran.hosts.candidates import Candidates
from claran.hosts.likelihood import HostPrior, Hosts
from claran.hosts.position_density import HostDensity
from claran.sky.header_wcs import pixel_area

__all__ = [
    "count_hosts",
    "host_columns",
    "host_metadata",
    "of_components",
    "place_columns",
    "spread_columns",
]

LIKELY = 0.8  # Probability from which a host is counted as known.
OF_SOURCES = ("host_2_", "host_3_", "host_shared", "place_")
"""How columns begin that components do not have."""


def host_columns(hosts: Hosts, candidates: Candidates) -> dict[str, np.ndarray]:
    """Returns the columns of the most probable hosts, see `claran.catalog.columns`.

    Args:
        hosts: Of all sources.
        candidates: Among which they were chosen.
    """
    first, magnitude = hosts.index[:, 0], candidates.magnitude
    if candidates.relative:
        magnitude = np.full(len(candidates), np.nan)
    columns = {
        "host_ra": _taken(candidates.ra, first),
        "host_dec": _taken(candidates.dec, first),
        "host_id": _taken(candidates.ids, first),
        "host_mag": _taken(magnitude, first),
        "host_probability": hosts.probability[:, 0],
        "host_none": hosts.none,
        "host_shared": hosts.shared.astype(np.int32),
    }
    for rank in (1, 2):
        name = f"host_{rank + 1}_"
        columns[f"{name}id"] = _taken(candidates.ids, hosts.index[:, rank])
        columns[f"{name}probability"] = hosts.probability[:, rank]
    return columns


def place_columns(
    densities: Sequence[HostDensity], wcs: WCS | None
) -> dict[str, np.ndarray]:
    """Returns the columns of the best place of each host, by the radio image alone.

    Args:
        densities: Of all sources, in pixels of the image.
        wcs: Of the image; without one, all is NaN.
    """
    best = [density.best() for density in densities]
    if wcs is None:
        ra = dec = errors = np.full(len(best), np.nan)
    else:
        pixels = np.array([place for place, _ in best]).reshape(-1, 2)
        ra, dec = to_icrs(wcs, pixels - 0.5)
        pixel = 3600 * np.sqrt(pixel_area(wcs))
        errors = pixel * np.array([error for _, error in best], np.float64)
    return {"place_ra": ra, "place_dec": dec, "place_error": errors}


def of_components(
    columns: dict[str, np.ndarray], owners: Int[np.ndarray, "c"]
) -> dict[str, np.ndarray]:
    """Returns the columns of components: of the most probable host of their source.

    Args:
        columns: Of the sources.
        owners: Row of each component's source; -1 for none.
    """
    return {
        name: _taken(values, owners)
        for name, values in columns.items()
        if not name.startswith(OF_SOURCES)
    }


def host_metadata(candidates: Candidates, prior: HostPrior) -> dict[str, Any]:
    """Returns the metadata of a table with hosts, with keys for a FITS header.

    Args:
        candidates: Among which they are.
        prior: What was taken as known of hosts.
    """
    about: dict[str, Any] = {
        "HOSTCAT": f"{Path(candidates.name).name}: {len(candidates):,} candidates in "
        f"{candidates.area_deg2:.4g} deg2",
        "HOSTQ": round(prior.share, 4),
    }
    if candidates.notes:
        about["HOSTNOTE"] = "; ".join(candidates.notes)
    return about


def count_hosts(sources: Table) -> str:
    """Returns how many sources of a table have a host, in words.

    Args:
        sources: With the columns of `host_columns`.
    """
    probability = np.asarray(sources["host_probability"], float)
    none = np.asarray(sources["host_none"], float)
    return (
        f"{int((probability > LIKELY).sum()):,} with a probability above {LIKELY}; "
        f"{int((none > LIKELY).sum()):,} have none (host_none above {LIKELY})"
    )


def spread_columns(
    columns: Mapping[str, np.ndarray], rows: Int[np.ndarray, "n"], count: int
) -> dict[str, np.ndarray]:
    """Returns columns of more sources, empty where nothing is known.

    Args:
        columns: Of some sources.
        rows: Their numbers among all.
        count: Number of all sources.
    """
    found = {}
    for name, values in columns.items():
        blank: Any = np.nan if values.dtype.kind == "f" else values.dtype.type()
        found[name] = np.full(count, blank, values.dtype)
        found[name][rows] = values
    return found


def _taken(values: np.ndarray, index: Int[np.ndarray, "n"]) -> np.ndarray:
    """Returns some of the values; of -1 none."""
    blank = np.zeros(1, values.dtype) if values.dtype.kind == "U" else [np.nan]
    return np.append(values, blank)[index]
