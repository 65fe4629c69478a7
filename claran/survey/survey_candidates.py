"""The candidates for hosts on the sky of all mosaics of a survey."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from claran.catalog.tables import to_icrs
from claran.errors import ImageError
from claran.hosts.candidates import Candidates, occupied_area
from claran.hosts.fetching import fetch_candidates
from claran.hosts.host_search import HostSearch
from claran.sky.bands import RunJobs
from claran.sky.mosaics import Mosaic
from claran.survey.infrared_candidates import measure_images

__all__ = ["survey_candidates"]

CELL = 0.7  # Degrees, side of the squares in which a service is asked.
MARGIN = 0.02  # Degrees around them.
COLUMNS = ("ra", "dec", "error_arcsec", "magnitude", "ids")

Fetch = Callable[..., Candidates]


def survey_candidates(
    search: HostSearch,
    mosaics: Sequence[Mosaic],
    images: Sequence[Mosaic],
    run: RunJobs,
    *,
    fetch: Fetch = fetch_candidates,
) -> Candidates | None:
    """Returns the candidates of a service or of images; None if there is neither.

    Args:
        search: Where they come from.
        mosaics: The mosaics.
        images: Infrared images with a WCS that show parts of them.
        run: Runs a stage, see `claran.survey.jobs.Jobs.run`.
        fetch: Asks for a circle, see `claran.hosts.fetching.fetch_candidates`.

    Raises:
        ImageError: An image cannot be read, or the service is away.
    """
    if search.fetch:
        return _fetched(search, mosaics, fetch)
    return measure_images(images, run) if search.images and images else None


def _fetched(search: HostSearch, mosaics: Sequence[Mosaic], fetch: Fetch) -> Candidates:
    """Returns the candidates of a service around all mosaics, each once."""
    circles = sorted({circle for one in mosaics for circle in _circles(one)})
    if not circles:
        raise ImageError(
            "--fetch: no mosaic has a WCS, so that it is not known which sky to ask "
            "for."
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


def _circles(mosaic: Mosaic) -> Iterator[tuple[float, float, float]]:
    """Yields position and radius, degrees, of circles that cover a mosaic."""
    if mosaic.wcs is None or mosaic.pixel_arcsec is None:
        return
    side = max(1, round(CELL * 3600 / mosaic.pixel_arcsec))
    ny, nx = mosaic.shape
    across, up = (math.ceil(length / side) for length in (nx, ny))
    for row in range(up):
        for column in range(across):
            width, height = nx / across, ny / up
            middle = np.array([[(column + 0.5) * width, (row + 0.5) * height]]) - 0.5
            (ra,), (dec,) = to_icrs(mosaic.wcs, middle)
            if math.isfinite(ra):
                radius = math.hypot(width, height) / 2 * mosaic.pixel_arcsec / 3600
                yield round(ra, 4), round(dec, 4), round(radius + MARGIN, 3)
