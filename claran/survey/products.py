"""The files of a survey's catalog."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from astropy.table import QTable

from claran.catalog.tables import write_table
from claran.survey.mosaic_search import MosaicSearch
from claran.survey.overlaps import Kept
from claran.survey.overview import MosaicView, write_overview

__all__ = ["PRODUCTS", "write_products"]

TABLES = (".ecsv", ".fits", ".vot", ".parquet")
PRODUCTS = (
    *(f"sources{ending}" for ending in TABLES),
    *(f"components{ending}" for ending in TABLES),
    "overview.png",
)
"""Names of all files of a catalog."""


def write_products(
    folder: Path,
    sources: QTable,
    components: QTable,
    searches: Mapping[str, MosaicSearch],
    kept: Sequence[Kept],
) -> list[str]:
    """Writes the files of a catalog.

    Args:
        folder: Where.
        sources: Table of sources.
        components: Table of components.
        searches: What was found in each mosaic, by its name.
        kept: Which rows of each are in the tables.

    Returns:
        Names of the files.

    Raises:
        OSError: A file cannot be written.
    """
    for kind, table in (("sources", sources), ("components", components)):
        for ending in TABLES:
            write_table(table, folder / f"{kind}{ending}")
    write_overview(_views(searches, kept), folder / "overview.png")
    return list(PRODUCTS)


def _views(
    searches: Mapping[str, MosaicSearch], kept: Sequence[Kept]
) -> list[MosaicView]:
    return [
        MosaicView(
            name, search.coarse.brightest, search.coarse.block, search.mosaic.wcs,
            search.sources["x"][rows.sources], search.sources["y"][rows.sources],
            search.sources["label"][rows.sources].tolist(),
        )
        for (name, search), rows in zip(searches.items(), kept, strict=True)
    ]  # fmt: skip
