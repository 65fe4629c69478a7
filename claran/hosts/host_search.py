"""Where candidates for hosts come from."""

import dataclasses
from pathlib import Path

__all__ = ["HostSearch"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostSearch:
    """Where candidates for hosts come from: of several, the first one counts.

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
