"""Candidates fetched from public services, and kept on disk."""

import hashlib
import importlib
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from astropy.table import Table

from claran.errors import ImageError, first_line
from claran.hosts.candidates import Candidates
from claran.hosts.infrared_catalogs import catalog_candidates
from claran.io.atomic import replace_file
from claran.io.silencing import without_warnings

__all__ = ["SERVICES", "Service", "fetch_candidates"]

SKY = 41_252.0  # Square degrees.
ROWS = 500_000  # At most; more are a sky too large for one request.


class Service(NamedTuple):
    """A TAP service with a table of infrared sources."""

    url: str
    table: str
    ra: str
    dec: str
    columns: str


IRSA = "https://irsa.ipac.caltech.edu/TAP"
VIZIER = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap"
SERVICES = {
    "allwise": Service(
        IRSA, "allwise_p3as_psd", "ra", "dec",
        "designation, ra, dec, sigra, sigdec, w1mpro",
    ),
    "catwise": Service(
        IRSA, "catwise_2020", "ra", "dec",
        "source_name, ra, dec, sigra, sigdec, w1mpro",
    ),
    "unwise": Service(VIZIER, '"II/363/unwise"', "RAJ2000", "DEJ2000", "*"),
}  # fmt: skip


def fetch_candidates(
    catalog: str,
    center: tuple[float, float],
    radius_deg: float,
    *,
    cache: str | os.PathLike,
    offline: bool = False,
    timeout: float = 60.0,
    tries: int = 3,
    wait: float = 2.0,
    url: str | None = None,
) -> Candidates:
    """Returns the candidates in a circle on the sky from a public catalog.

    Args:
        catalog: `allwise`, `catwise` or `unwise`.
        center: Right ascension and declination, degrees, ICRS.
        radius_deg: Up to 10.
        cache: Folder of what was fetched; nothing is fetched twice.
        offline: Whether to use the cache only.
        timeout: Seconds without an answer until a try has failed.
        tries: How often to ask.
        wait: Seconds before the second try; twice as many before each further one.
        url: Of another TAP service with the same table.

    Raises:
        ImageError: The service is away or cuts its answer off, or the circle is not in
            the cache when offline.
        ValueError: An argument is out of range.
    """
    if catalog not in SERVICES:
        known = ", ".join(SERVICES)
        raise ValueError(f"fetch={catalog}: no such catalog; use one of {known}.")
    if not 0 < radius_deg <= 10:
        raise ValueError(f"radius_deg={radius_deg}: use a radius up to 10 degrees.")
    if tries < 1:
        raise ValueError(f"tries={tries}: ask at least once.")
    service = SERVICES[catalog]
    query = _query(service, center, radius_deg)
    url = url or service.url
    key = hashlib.sha256(f"{url}\n{query}".encode()).hexdigest()[:24]
    path = Path(cache) / f"{catalog}_{key}.vot"
    if not path.exists():
        if offline:
            raise ImageError(
                f"{catalog}: this sky is not in the cache {cache}; fetch it online."
            )
        table = _ask(url, query, timeout=timeout, tries=tries, wait=wait)
        replace_file(
            path, lambda new: table.write(new, format="votable", overwrite=True)
        )
    try:
        with without_warnings():
            table = Table.read(path, format="votable")
    except Exception as error:  # Of many kinds.
        raise ImageError(f"{path}: a damaged file of the cache; delete it.") from error
    ra, dec = center
    whole = catalog_candidates(table, catalog, area_deg2=SKY)
    return whole.within(ra, dec, radius_deg)


def _query(service: Service, center: tuple[float, float], radius: float) -> str:
    ra, dec = center
    return (
        f"SELECT {service.columns} FROM {service.table} WHERE CONTAINS("
        f"POINT('ICRS', {service.ra}, {service.dec}), "
        f"CIRCLE('ICRS', {ra % 360:.6f}, {dec:.6f}, {radius:.6f})) = 1"
    )


def _ask(url: str, query: str, *, timeout: float, tries: int, wait: float) -> Table:
    """Returns the answer of a service, which may need several tries."""
    try:
        pyvo = importlib.import_module("pyvo")
        requests = importlib.import_module("requests")
    except ImportError as error:
        raise ImageError("--fetch needs pyvo; pip install 'claran[vo]'.") from error

    class Session(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = timeout
            return super().request(*args, **kwargs)

    service = pyvo.dal.TAPService(url, session=Session())
    attempt = 0
    while True:
        attempt += 1
        try:
            with without_warnings():
                answer = service.run_sync(query, maxrec=ROWS)
                return _whole(answer.to_table(), answer.status[0], url)
        except ImageError:
            raise
        except pyvo.dal.DALQueryError as error:  # Another try gives the same.
            raise ImageError(f"{url}: refused ({first_line(error)}).") from error
        except Exception as error:  # Of the network, the protocol or the answer.
            if attempt == tries:
                raise ImageError(
                    f"{url}: no answer in {tries} tries ({first_line(error)}); try "
                    "later, or read a table with --ir_catalog."
                ) from error
            time.sleep(wait * 2 ** (attempt - 1))


def _whole(table: Table, status: str, url: str) -> Table:
    """Returns an answer that was not cut off, by the service or at `ROWS`."""
    if status.upper() == "OVERFLOW" or len(table) >= ROWS:
        raise ImageError(
            f"{url}: cut its answer off after {len(table):,} rows; ask for a smaller "
            "circle."
        )
    return table
