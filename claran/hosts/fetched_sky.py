"""The candidates that a public service knows on the sky of some images."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.wcs import WCS

from claran.catalog.tables import to_icrs
from claran.errors import ImageError
from claran.hosts.candidates import Candidates, occupied_area
from claran.hosts.fetching import fetch_candidates
from claran.hosts.host_search import HostSearch

__all__ = ["Fetch", "Sky", "fetch_around"]

CELL = 0.7  # Degrees, side of the squares in which a service is asked.
MARGIN = 0.02  # Degrees around them.
COLUMNS = ("ra", "dec", "error_arcsec", "magnitude", "ids")

Fetch = Callable[..., Candidates]
"""Asks for a circle, see `claran.hosts.fetching.fetch_candidates`."""


class Sky(NamedTuple):
    """The sky that an image shows."""

    wcs: WCS | None
    shape: tuple[int, int]
    pixel_arcsec: float | None


def fetch_around(
    search: HostSearch, images: Sequence[Sky], *, fetch: Fetch = fetch_candidates
) -> Candidates:
    """Returns the candidates of a service around all images, each once.

    Args:
        search: Which service.
        images: The images; those without a WCS are passed over.
        fetch: How it is asked.

    Raises:
        ImageError: No image has a WCS, or the service is away.
    """
    circles = sorted({circle for one in images for circle in _circles(one)})
    if not circles:
        raise ImageError(
            "--fetch: no image has a WCS, so that it is not known which sky to ask for."
        )
    parts = [
        fetch(
            search.fetch, center, radius, cache=search.cache, offline=search.offline
        )
        for *center, radius in circles
    ]  # fmt: skip
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in COLUMNS
    }
    places = np.stack([columns["ra"], columns["dec"]])
    _, own = np.unique(places, axis=1, return_index=True)
    columns = {name: column[own] for name, column in columns.items()}
    area = sum(part.area_deg2 for part in parts)
    if len(own):
        area = min(area, occupied_area(columns["ra"], columns["dec"]))
    return dataclasses.replace(parts[0], **columns, area_deg2=area)


def _circles(image: Sky) -> Iterator[tuple[float, float, float]]:
    """Yields position and radius, degrees, of circles that cover an image."""
    if image.wcs is None or image.pixel_arcsec is None:
        return
    side = max(1, round(CELL * 3600 / image.pixel_arcsec))
    ny, nx = image.shape
    across, up = (math.ceil(length / side) for length in (nx, ny))
    for row in range(up):
        for column in range(across):
            width, height = nx / across, ny / up
            middle = np.array([[(column + 0.5) * width, (row + 0.5) * height]]) - 0.5
            (ra,), (dec,) = to_icrs(image.wcs, middle)
            if math.isfinite(ra):
                radius = math.hypot(width, height) / 2 * image.pixel_arcsec / 3600
                yield round(ra, 4), round(dec, 4), round(radius + MARGIN, 3)
