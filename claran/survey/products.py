"""The files of a survey's catalog."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from claran.catalog.cds_readme import write_cds
from claran.catalog.sky_regions import Crosses, Ellipses, Outlines, write_regions
from claran.catalog.tables import to_icrs, write_table
from claran.figures.host_marks import COLOR as HOST_COLOR
from claran.figures.host_marks import LIKELY
from claran.labels import display_name
from claran.photometry.fit_flags import FIT_FLAG_MEANINGS
from claran.photometry.source_flags import FLAG_MEANINGS
from claran.survey.catalog_tables import CatalogTables
from claran.survey.mosaic_search import MosaicSearch
from claran.survey.overview import MosaicView, class_color, write_overview

__all__ = ["PRODUCTS", "write_products"]

TABLES = (".ecsv", ".fits", ".vot", ".parquet")
PRODUCTS = (
    *(f"sources{ending}" for ending in TABLES),
    *(f"components{ending}" for ending in TABLES),
    "sources.dat",
    "components.dat",
    "ReadMe",
    "sources.reg",
    "sources.crtf",
    "components.reg",
    "components.crtf",
    "coverage.fits",
    "overview.png",
    "provenance.json",
)
"""Names of all files of a catalog."""

LIBRARIES = {".parquet": "pyarrow", "coverage.fits": "mocpy"}
"""What some files need; all are in the extra `survey`."""


def write_products(
    folder: Path, tables: CatalogTables, searches: Mapping[str, MosaicSearch]
) -> tuple[list[str], list[str]]:
    """Writes the files of a catalog, but for the one on its provenance.

    Args:
        folder: Where.
        tables: The tables.
        searches: What was found in each mosaic, by its name.

    Returns:
        Names of the files that were written, and of those that were not, as a library
        is missing.

    Raises:
        OSError: A file cannot be written.
    """
    missing = [
        name
        for name in PRODUCTS
        for ending, library in LIBRARIES.items()
        if name.endswith(ending) and importlib.util.find_spec(library) is None
    ]
    for kind, table in (("sources", tables.sources), ("components", tables.components)):
        for name in (f"{kind}{ending}" for ending in TABLES):
            if name not in missing:
                write_table(table, folder / name)
    write_cds(
        {"sources": tables.sources, "components": tables.components}, folder,
        title="Radio sources and their components",
        description=_description(tables.sources),
        notes={
            "sources": {"flags": _bits(FLAG_MEANINGS)},
            "components": {"flags": _bits(FIT_FLAG_MEANINGS)},
        },
    )  # fmt: skip
    outlines, ellipses = _outlines(tables, searches), _ellipses(tables)
    for ending in (".reg", ".crtf"):
        write_regions(
            folder / f"sources{ending}", outlines=outlines, crosses=_hosts(tables)
        )
        write_regions(folder / f"components{ending}", ellipses=ellipses)
    if "coverage.fits" not in missing:
        _write_coverage(folder / "coverage.fits", searches)
    write_overview(_views(tables, searches), folder / "overview.png")
    written = [one for one in PRODUCTS if one not in (*missing, "provenance.json")]
    return written, missing


def _description(sources: QTable) -> str:
    """Returns how the catalog was made, for the ReadMe."""
    about = dict(sources.meta or {})
    lines = [f"{name}: {value}" for name, value in about.items()]
    return "\n\n".join(
        [
            "Sources are islands of radio emission that a network has put together and "
            "classified by their numbers of components and peaks. Components are "
            "elliptical Gaussians fitted to the same emission.",
            *lines,
        ]
    )


def _bits(meanings: Mapping[Any, str]) -> str:
    """Returns what the bits of a table mean."""
    return "; ".join(f"{int(bit)}: {meaning}" for bit, meaning in meanings.items())


def _outlines(tables: CatalogTables, searches: Mapping[str, MosaicSearch]) -> Outlines:
    """Returns the outlines of the islands of sources; the first one has the label."""
    names = np.asarray(tables.sources["name"]).tolist()
    labels = np.asarray(tables.sources["label"]).tolist()
    polygons, texts, colors = [], [], []
    seen: set[int] = set()
    for search, rows in zip(searches.values(), tables.rows, strict=True):
        if search.mosaic.wcs is None:
            continue
        corners = np.stack(to_icrs(search.mosaic.wcs, search.outlines - 0.5), axis=1)
        parts = np.split(corners, np.cumsum(search.corners)[:-1])
        for polygon, row in zip(parts, rows[search.outline_sources], strict=False):
            if row < 0:
                continue
            polygons.append(polygon)
            label = labels[row]
            text = "" if row in seen else f"{names[row]} {display_name(label)}"
            texts.append(text)
            colors.append(class_color(label))
            seen.add(int(row))
    return Outlines(polygons=polygons, labels=texts, colors=colors)


def _hosts(tables: CatalogTables) -> Crosses | None:
    """Returns the hosts that figures show, if they were looked for."""
    sources: Any = tables.sources
    if "host_ra" not in sources.colnames:
        return None
    sources = sources[np.asarray(sources["host_probability"]) > LIKELY]
    return Crosses(
        ra=sources["host_ra"].to_value("deg"),
        dec=sources["host_dec"].to_value("deg"),
        labels=[
            f"{name} {probability:.2f}"
            for name, probability in sources["host_id", "host_probability"].iterrows()
        ],
        colors=[HOST_COLOR] * len(sources),
    )


def _ellipses(tables: CatalogTables) -> Ellipses:
    components: Any = tables.components
    owners = np.asarray(components["source"])
    return Ellipses(
        ra=components["center"].ra.deg,
        dec=components["center"].dec.deg,
        major=components["major"].to_value("arcsec"),
        minor=components["minor"].to_value("arcsec"),
        pa=components["pa"].to_value("deg"),
        labels=[""] * len(components),
        colors=["#56b4e9" if owner else "#999999" for owner in owners],
    )


def _write_coverage(path: Path, searches: Mapping[str, MosaicSearch]) -> None:
    # Imports mocpy, which may be missing.
    from claran.catalog.coverage import area_searched, write_coverage  # noqa: PLC0415

    write_coverage(
        [
            area_searched(
                search.mosaic.wcs, search.coarse.measured > 0, search.coarse.block,
                search.mosaic.shape, images=len(searches),
            )
            for search in searches.values()
            if search.mosaic.wcs is not None
        ],
        path,
    )  # fmt: skip


def _views(
    tables: CatalogTables, searches: Mapping[str, MosaicSearch]
) -> list[MosaicView]:
    return [
        MosaicView(
            name, search.coarse.brightest, search.coarse.block, search.mosaic.wcs,
            search.sources["x"][rows >= 0], search.sources["y"][rows >= 0],
            search.sources["label"][rows >= 0].tolist(),
        )
        for (name, search), rows in zip(searches.items(), tables.rows, strict=True)
    ]  # fmt: skip
