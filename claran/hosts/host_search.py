"""Where candidates for hosts come from."""

import dataclasses
from pathlib import Path

from claran.hosts.candidates import Candidates
from claran.hosts.infrared_catalogs import read_candidates

__all__ = ["HostSearch"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostSearch:
    """Where candidates for hosts come from: of several, the first one counts.

    Without any, only the place of each host by the radio image is looked for.

    Attributes:
        catalog: A table, see `claran.hosts.infrared_catalogs.read_candidates`.
        fetch: Name of a public catalog, see `claran.hosts.fetching`; "" for none.
        cache: Folder of what was fetched.
        offline: Whether to use the cache only.
        images: Whether they are measured on the infrared images that are given.
    """

    catalog: Path | None = None
    fetch: str = ""
    cache: Path = Path()
    offline: bool = False
    images: bool = False

    def read_table(self) -> Candidates | None:
        """Returns the candidates in the table; None without one.

        Raises:
            ImageError: It cannot be read, or has no positions.
        """
        return None if self.catalog is None else read_candidates(self.catalog)
