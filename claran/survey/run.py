"""The catalog of a survey: mosaics in, tables and pictures of its sources out."""

import contextlib
import dataclasses
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable
from tqdm.auto import tqdm

from claran.catalog.provenance import write_provenance
from claran.detection.detector import Detector
from claran.errors import ImageError, unusable
from claran.hosts.host_search import HostSearch
from claran.io.atomic import remove_partials
from claran.io.paths import split_hdu, table_names
from claran.sky.mosaic_maps import map_paths, write_maps
from claran.sky.mosaics import Mosaic, open_mosaic
from claran.sky.surveys import Survey
from claran.survey.catalog_tables import make_tables
from claran.survey.infrared_images import InfraredImages
from claran.survey.jobs import Jobs
from claran.survey.mosaic_search import MosaicSearch, RunJobs, search_mosaic
from claran.survey.overlaps import Kept, MosaicCatalog, merge_mosaics
from claran.survey.products import PRODUCTS, write_products
from claran.survey.summary import summarize
from claran.survey.survey_candidates import survey_candidates
from claran.survey.survey_hosts import with_hosts
from claran.survey.survey_metadata import survey_metadata, survey_notes
from claran.survey.survey_network import SurveyNetwork
from claran.survey.tiles import Tile, make_tiles

__all__ = ["SurveyCatalog", "SurveyOptions", "run_survey"]

UNFINISHED = "unfinished"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurveyOptions:
    """How mosaics are searched.

    Attributes:
        score_threshold: Sources with a higher probability are in the catalog.
        survey: Survey of the mosaics, for what their headers lack; None if unknown, so
            that FIRST is assumed.
        beam_arcsec: FWHM of the beam, to replace those of the headers.
        component_snr: Signal-to-noise that a component needs, unless it belongs to a
            source. In a crowded mosaic, noise with confusion counts, see
            `claran.sky.confusion`.
        acronym: With which the names of sources begin.
        tile_size: Side of the tiles that mosaics are worked through in, pixels.
        workers: Processes of a local Dask cluster; 0 for threads of this process.
        scheduler: Address of a running Dask scheduler instead.
        write_maps: Whether background and noise are written too.
        hosts: Where candidates for the hosts of sources come from; None to look for no
            hosts.
    """

    score_threshold: float = 0.5
    survey: Survey | None = None
    beam_arcsec: float | None = None
    component_snr: float = 5.0
    acronym: str = "CLARAN"
    tile_size: int = 1024
    workers: int = 0
    scheduler: str | None = None
    write_maps: bool = False
    hosts: HostSearch | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SurveyCatalog:
    """The catalog of a survey.

    Attributes:
        sources: See `claran.catalog.columns`.
        components: See there.
        mosaics: Number of mosaics that were searched.
        skipped: Names of mosaics that could not be used.
        area_deg2: Area that was searched.
        summary: What a user wants to read at the end.
    """

    sources: QTable
    components: QTable
    mosaics: int
    skipped: tuple[str, ...]
    area_deg2: float
    summary: str

    def __repr__(self) -> str:
        return (
            f"<SurveyCatalog: {len(self.sources)} sources of {len(self.components)} "
            f"components in {self.area_deg2:.4g} deg2>"
        )


def run_survey(
    detector: Detector,
    paths: Sequence[str | os.PathLike],
    folder: str | os.PathLike,
    options: SurveyOptions,
    *,
    infrared: Sequence[str | os.PathLike] = (),
    tell: Callable[[str], None] = print,
) -> SurveyCatalog:
    """Searches mosaics for sources, and writes the catalog of all of them.

    A mosaic that cannot be used is named on standard error and skipped. Partial results
    are kept in `FOLDER/unfinished`, so that an interrupted run can resume.

    Args:
        detector: The detector; it must count islands.
        paths: The mosaics, in any order.
        folder: Where the catalog is written.
        options: How they are searched.
        infrared: Infrared images, in any order; see
            `claran.survey.infrared_images.InfraredImages`.
        tell: Receives messages for the user.

    Raises:
        ImageError: No mosaic can be used, or an infrared image cannot.
        OSError: The catalog cannot be written.
        ValueError: Dask is not installed.
    """
    began, folder = time.time(), Path(folder)
    files = sorted({Path(path) for path in paths})  # The files have one order.
    names = table_names(files)
    if not files:
        raise ImageError("`paths` is empty; give at least one mosaic.")
    table = (
        options.hosts and options.hosts.read_table()
    )  # Before hours of work, should it be damaged.
    jobs = Jobs(
        folder / UNFINISHED, _settings(detector, options), workers=options.workers,
        scheduler=options.scheduler, tell=tell,
    )  # fmt: skip
    # Threads end after the jobs that they wait for.
    with ThreadPoolExecutor(2 * jobs.width) as side_by_side, jobs:
        images = InfraredImages([Path(one) for one in infrared], files, jobs.folder)
        search = _Search(
            SurveyNetwork(detector), jobs, options, images, is_alone=len(files) == 1
        )
        found, skipped = _search_all(files, names, search, side_by_side)
        for line in [*survey_notes(found), *images.notes()]:
            tell(line)
        kept = merge_mosaics([_as_catalog(name, one) for name, one in found.items()])
        kept = [
            _significant(rows, one, options.component_snr)
            for rows, one in zip(kept, found.values(), strict=True)
        ]
        about = survey_metadata(
            detector, options.score_threshold, options.survey, found
        ) | {"COMPSNR": options.component_snr}
        if images.used:
            about["INFRARED"] = "; ".join(sorted(path.name for path in images.used))
        if options.hosts is not None:
            mosaics = [one.mosaic for one in found.values()]
            candidates = table
            if candidates is None:
                run = partial(jobs.run, unit="part")
                candidates = survey_candidates(
                    options.hosts, mosaics, images.shown(), run
                )
            found, more = with_hosts(found, kept, candidates)
            about |= more
            if candidates is None:
                tell(
                    "Note: without a table (--ir_catalog) or an infrared FITS image "
                    "with a WCS (--ir), hosts have a place and no counterpart."
                )
            if notes := more.get("HOSTNOTE"):
                tell(f"Note on the candidates for hosts: {notes}.")
        tables = make_tables(found, kept, options.acronym, about)
        for name in PRODUCTS:
            remove_partials(folder / name)
        written, missing = write_products(folder, tables, found)
        write_provenance(
            folder / "provenance.json",
            inputs=[
                split_hdu(path)[0]
                for path in [*(one for one in files if names[one] in found),
                             *sorted(images.used), *_tables(options.hosts)]
            ],
            outputs=[folder / name for name in written],
            model={"name": detector.name, "sha256": detector.fingerprint},
            settings=_choices(options) | about,
            run={"workers": options.workers, "scheduler": options.scheduler,
                 "tile_size": options.tile_size},
            command=sys.argv, start=began, end=time.time(),
        )  # fmt: skip
        jobs.remove()
    if missing:
        tell(
            f"Note: {', '.join(missing)} are left out, as libraries are missing; "
            'install them with pip install "claran[survey]".'
        )
    area = _area(found)
    summary = summarize(
        tables.sources, tables.components, mosaics=len(found), area_deg2=area,
        seconds=time.time() - began, files=[*written, "provenance.json"],
        folder=str(folder),
    )  # fmt: skip
    return SurveyCatalog(
        sources=tables.sources, components=tables.components, mosaics=len(found),
        skipped=tuple(skipped), area_deg2=area, summary=summary,
    )  # fmt: skip


def _significant(kept: Kept, search: MosaicSearch, least: float) -> Kept:
    """Returns which rows are kept without the faint components of no source."""
    components, least = search.components, least * search.maps.confusion
    bright = (components["snr"] >= least) | (components["source"] >= 0)
    return kept._replace(components=kept.components & bright)


def _tables(search: HostSearch | None) -> list[Path]:
    """Returns the tables of candidates that are read."""
    return [search.catalog] if search is not None and search.catalog else []


def _choices(options: SurveyOptions) -> dict[str, Any]:
    """Returns the options that decide what the catalog is."""
    survey = options.survey
    return {
        "survey": None if survey is None else dataclasses.asdict(survey),
        "beam_arcsec": options.beam_arcsec,
        "score_threshold": options.score_threshold,
        "component_snr": options.component_snr,
        "acronym": options.acronym,
    }


@dataclasses.dataclass(frozen=True, eq=False)
class _Search:
    """Searches mosaics, several of them at the same time.

    A mosaic with tiles enough for all workers waits for others of this kind.
    """

    network: SurveyNetwork
    jobs: Jobs
    options: SurveyOptions
    infrared: InfraredImages
    is_alone: bool
    large: contextlib.AbstractContextManager = dataclasses.field(
        default_factory=threading.Lock
    )

    def __call__(self, path: Path) -> MosaicSearch:
        """Returns what was found in a mosaic.

        Raises:
            ImageError: The mosaic cannot be used.
            OSError: Partial results or maps cannot be written.
        """
        options, jobs = self.options, self.jobs
        mosaic = open_mosaic(
            path, survey=options.survey, beam_arcsec=options.beam_arcsec,
            scratch=jobs.folder,
        )  # fmt: skip
        if mosaic.infrared:
            raise ImageError(
                f"{path}: is an infrared image ({mosaic.infrared}); give radio mosaics "
                "alone."
            )
        is_large = len(make_tiles(mosaic.shape, options.tile_size)) > jobs.width
        run = _runner(jobs, mosaic, shown=is_large or self.is_alone)
        scene = self.network.preprocessor.shape(mosaic)
        with self.large if is_large else contextlib.nullcontext():
            found = search_mosaic(
                mosaic, self.network, run, score_threshold=options.score_threshold,
                tile_size=options.tile_size,
                infrared=self.infrared.of(path, mosaic, scene, run),
                hosts=options.hosts is not None,
            )  # fmt: skip
            if options.write_maps:
                for one in map_paths(mosaic, jobs.folder.parent):
                    remove_partials(one)
                write_maps(found.maps, jobs.folder.parent)
        return found


def _search_all(
    files: Sequence[Path],
    names: Mapping[Path, str],
    search: "_Search",
    side_by_side: ThreadPoolExecutor,
) -> tuple[dict[str, MosaicSearch], list[str]]:
    """Returns what was found in each mosaic by its name, and the names of others."""
    found: dict[str, MosaicSearch] = {}
    skipped: list[str] = []
    single = True if len(files) == 1 else None
    searches = [side_by_side.submit(search, path) for path in files]
    try:
        for path, one in zip(
            tqdm(files, "Mosaics", unit="mosaic", disable=single), searches, strict=True
        ):
            try:
                found[names[path]] = one.result()
            except OSError:
                raise
            except Exception as error:
                named = unusable(str(path), error)
                if len(files) == 1:
                    raise named from error
                tqdm.write(f"Skipped: {named}", file=sys.stderr)
                skipped.append(names[path])
    finally:
        side_by_side.shutdown(wait=False, cancel_futures=True)
    if not found:
        raise ImageError(
            f"None of {len(files)} mosaics could be used (see above); wrote nothing."
        )
    return found, skipped


def _runner(jobs: Jobs, mosaic: Mosaic, *, shown: bool) -> RunJobs:
    """Returns what runs the stages of a mosaic, and shows the progress on the sky."""
    pixel = mosaic.pixel_arcsec or 0.0
    scale, unit = ((pixel / 3600) ** 2, "deg2") if pixel else (1e-6, "Mpx")

    def run(
        stage: str, function: Any, context: Any, items: Sequence[Any], **_: Any
    ) -> Iterator[dict[str, np.ndarray]]:
        areas = None
        if items and isinstance(items[0], Tile):
            areas = [tile.area * scale for tile in items]
        elif stage in ("measure", "hosts"):
            areas = [sum(tile.area for tile in tiles) * scale for tiles in items]
        return jobs.run(
            stage, function, context, items, areas=areas, unit=unit, shown=shown
        )

    return run


def _settings(detector: Detector, options: SurveyOptions) -> dict[str, Any]:
    """Returns what changes results and is in no context of a stage."""
    return {
        "--model": detector.fingerprint,
        "--score_threshold": options.score_threshold,
        **detector.engine.settings,
    }


def _as_catalog(name: str, search: MosaicSearch) -> MosaicCatalog:
    mosaic = search.mosaic
    pixel = mosaic.pixel_arcsec or 1.0
    return MosaicCatalog(
        name=name, wcs=mosaic.wcs, shape=mosaic.shape,
        beam_arcsec=mosaic.beam_pixels * pixel, sources=search.sources,
        components=search.components, outlines=search.outlines,
        corners=search.corners, outline_sources=search.outline_sources,
    )  # fmt: skip


def _area(found: Mapping[str, MosaicSearch]) -> float:
    """Returns the sum of the areas of all mosaics, deg2, where they have values."""
    return sum(
        float(search.coarse.measured.sum())
        * ((search.mosaic.pixel_arcsec or math.nan) / 3600) ** 2
        for search in found.values()
    )
