"""The candidates for hosts on the sky of all mosaics of a survey."""

from collections.abc import Sequence

from claran.hosts.candidates import Candidates
from claran.hosts.fetched_sky import Fetch, Sky, fetch_around
from claran.hosts.fetching import fetch_candidates
from claran.hosts.host_search import HostSearch
from claran.sky.bands import RunJobs
from claran.sky.mosaics import Mosaic
from claran.survey.infrared_candidates import measure_images

__all__ = ["survey_candidates"]


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
        skies = [Sky(one.wcs, one.shape, one.pixel_arcsec) for one in mosaics]
        return fetch_around(search, skies, fetch=fetch)
    return measure_images(images, run) if search.images and images else None
