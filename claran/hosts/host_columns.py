"""The columns of a table that say what galaxy each source belongs to."""

from collections.abc import Sequence

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Int

from claran.catalog.tables import to_icrs
from claran.hosts.candidates import Candidates
from claran.hosts.likelihood import Hosts
from claran.hosts.position_density import HostDensity
from claran.sky.header_wcs import pixel_area

__all__ = ["host_columns", "of_components", "place_columns"]

OF_SOURCES = ("host_2_", "host_3_", "host_shared", "place_")
"""How columns begin that components do not have."""


def host_columns(hosts: Hosts, candidates: Candidates) -> dict[str, np.ndarray]:
    """Returns the columns of the most probable hosts, see `claran.catalog.columns`.

    Args:
        hosts: Of all sources.
        candidates: Among which they were chosen.
    """
    first = hosts.index[:, 0]
    columns = {
        "host_ra": _taken(candidates.ra, first),
        "host_dec": _taken(candidates.dec, first),
        "host_id": _taken(candidates.ids, first),
        "host_mag": _taken(candidates.magnitude, first),
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


def _taken(values: np.ndarray, index: Int[np.ndarray, "n"]) -> np.ndarray:
    """Returns some of the values; of -1 none."""
    blank = np.zeros(1, values.dtype) if values.dtype.kind == "U" else [np.nan]
    return np.append(values, blank)[index]
