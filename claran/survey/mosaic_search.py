"""The search of one mosaic: from its pixels to its sources and components."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from claran.detection.counting import FieldIslands, SourceGroup, count_groups
from claran.detection.mosaic_infrared import MosaicInfrared, WholeInfrared
from claran.detection.mosaic_windows import mosaic_frame
from claran.detection.source_columns import source_columns
from claran.detection.windows import find_windows, with_islands
from claran.hosts.packed_densities import PackedDensities
from claran.hosts.position_density import network_fingerprint
from claran.photometry.flood import FLOOD
from claran.photometry.image_beams import pixel_beam
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.sky_measures import sky_components
from claran.sky.mosaic_maps import MosaicMaps, measure_maps
from claran.sky.mosaics import Mosaic
from claran.survey.coarse_maps import CoarseMap, look_at_tile
from claran.survey.host_places import HostPlacing, place_hosts
from claran.survey.measuring import Measuring, measure_tiles
from claran.survey.mosaic_islands import MosaicIslands, find_mosaic_islands
from claran.survey.survey_network import SurveyNetwork
from claran.survey.tiles import Tile, make_tiles

__all__ = ["MosaicSearch", "search_mosaic"]

MOST_TILES, LEAST_JOBS = 16, 8  # Of a job, and of a mosaic.
LARGEST = 2**24  # Pixels in the box of a flood island, each of which needs 40 bytes.

Columns = dict[str, np.ndarray]
RunJobs = Callable[..., Iterator[Columns]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MosaicSearch:
    """What was found in a mosaic.

    Attributes:
        mosaic: The mosaic.
        maps: Its background and noise.
        beam: Its beam in pixels.
        coarse: The mosaic in blocks.
        sources: Columns of its sources, in pixels and on the sky.
        components: The same of its components; `source` is a row of `sources` or -1.
        outlines: (v, 2) corners of the islands of sources, pixel edges of the mosaic.
        corners: Number of corners of each island.
        outline_sources: Row in `sources` of each island.
        notes: What the user should know about the search.
        hosts: Where the host of each source can be, in pixels of the mosaic; None if
            this was not asked for.
    """

    mosaic: Mosaic
    maps: MosaicMaps
    beam: PixelBeam
    coarse: CoarseMap
    sources: Columns
    components: Columns
    outlines: Float[np.ndarray, "v 2"]
    corners: Int[np.ndarray, "k"]
    outline_sources: Int[np.ndarray, "k"]
    notes: tuple[str, ...] = ()
    hosts: PackedDensities | None = None


def search_mosaic(
    mosaic: Mosaic,
    network: SurveyNetwork,
    run: RunJobs,
    *,
    score_threshold: float,
    tile_size: int,
    infrared: MosaicInfrared | WholeInfrared | None = None,
    hosts: bool = False,
) -> MosaicSearch:
    """Returns the sources and components of a mosaic.

    Args:
        mosaic: The mosaic.
        network: The network.
        run: Runs a stage, see `claran.survey.jobs.Jobs.run`.
        score_threshold: Sources with a higher probability are returned.
        tile_size: Side of the tiles, pixels; it does not change the result.
        infrared: Infrared images of the mosaic, if there are any.
        hosts: Whether to say where the hosts of the sources can be.

    Raises:
        ImageError: The mosaic cannot be read or used.
        OSError: Partial results cannot be written.
    """
    model = network.model
    frame = mosaic_frame(network.preprocessor, mosaic)
    maps = measure_maps(mosaic, run)
    tiles = make_tiles(mosaic.shape, tile_size)
    coarse = CoarseMap(mosaic.shape)
    islands = find_mosaic_islands(maps, tiles, _with_blocks(run, coarse))
    islands, notes = _without_huge(islands)
    scene_boxes = frame.scene_boxes(islands.boxes)
    windows, cluster = find_windows(frame.shape, scene_boxes)
    if model.network.sees_islands:
        windows = with_islands(windows, cluster, scene_boxes)
    beam = pixel_beam(mosaic.beam, mosaic.wcs, mosaic.shape, mosaic.beam_pixels)
    measuring = Measuring(
        maps=maps, network=network, islands=islands, frame=frame, windows=windows,
        beam=beam, lowest=network.finisher.network_threshold(score_threshold),
        infrared=infrared,
    )  # fmt: skip
    points = np.concatenate([measuring.centers, islands.flood_first])
    busy = _busy_tiles(points, tiles)
    found = _join(run("measure", measure_tiles, measuring, _together(busy)))
    rows = _sorted(found, "island_number") | {"boxes": islands.boxes}
    rows |= {"flood": islands.flood, "cluster": cluster}
    components = _sorted(found, "component_flood")
    detections = _sorted(found, "detection_window")
    window_clusters = np.array([window.cluster for window in windows], np.int64)
    groups = count_groups(
        np.clip(detections["boxes"], 0, np.tile(mosaic.shape[::-1], 2)),
        detections["labels"],
        detections["scores"],
        FieldIslands(islands.boxes, rows["peaks"]),
        model.class_names,
        trust=network.finisher.count_trust,
        clusters=(window_clusters[detections["window"]], cluster),
        looks=detections["look"] if network.average else None,
        members=detections["members"] if network.finisher.groups else None,
    )
    chosen = np.flatnonzero(
        ~groups.alternative & (groups.classes.sum(axis=1) > score_threshold)
    )
    taken = groups.sources(chosen.tolist())
    sources = source_columns(
        taken, rows, components, beam, wcs=mosaic.wcs,
        class_names=model.class_names, scale=frame.scale,
    )  # fmt: skip
    components |= sky_components(components, mosaic.wcs)
    source_of = np.full(len(islands) + 1, -1)  # The last one for no island.
    for source, group in enumerate(taken):
        source_of[group.islands] = source
    components["source"] = source_of[components["island"]]
    outlines, corners, owners = _outlines(found, rows, source_of[:-1])
    return MosaicSearch(
        mosaic=mosaic, maps=maps, beam=beam, coarse=coarse, sources=sources,
        components=components, outlines=outlines, corners=corners,
        outline_sources=owners, notes=notes,
        hosts=_host_places(maps, islands, taken, tiles, run) if hosts else None,
    )  # fmt: skip


def _without_huge(islands: MosaicIslands) -> tuple[MosaicIslands, tuple[str, ...]]:
    """Returns the islands without emission that would not fit into memory, and notes.

    Such is no source, but what a background map would take off.
    """
    sizes = islands.flood_boxes[:, 2:] - islands.flood_boxes[:, :2]
    huge = sizes.prod(axis=1) > LARGEST
    if not huge.any():
        return islands, ()
    kept, numbers = islands.of_floods(np.flatnonzero(~huge))
    width, height = sizes[huge][0].astype(int).tolist()
    x, y = islands.flood_first[huge][0].tolist()
    note = (
        f"emission above {FLOOD:g} sigma is connected over {width:,} x {height:,} "
        f"pixels, from pixel ({x}, {y}) on, which is too large to be measured: it is "
        f"left out of the catalog (islands in it: {len(islands) - len(numbers):,}); "
        "subtract it to find what lies on it"
    )
    more = int(huge.sum()) - 1
    return kept, (note + (f"; {more} more such areas are left out" if more else ""),)


def _with_blocks(run: RunJobs, coarse: CoarseMap) -> RunJobs:
    """Returns what runs `look_at_tile` instead of `label_tile`, and fills the map."""

    def run_with_blocks(
        stage: str, _: Any, context: Any, items: Sequence[Tile], **options: Any
    ) -> Iterator[Columns]:
        found = run(stage, look_at_tile, context, items, **options)
        for tile, arrays in zip(items, found, strict=True):
            coarse.add(tile, arrays)
            yield arrays

    return run_with_blocks


def _host_places(
    maps: MosaicMaps,
    islands: MosaicIslands,
    sources: Sequence[SourceGroup],
    tiles: Sequence[Tile],
    run: RunJobs,
) -> PackedDensities:
    """Returns where the hosts of sources can be, in the order of the sources."""
    if not sources:
        return PackedDensities.of([])
    placing = HostPlacing(
        maps=maps, islands=islands, network=network_fingerprint(),
        members=np.concatenate([source.islands for source in sources]),
        counts=np.array([len(source.islands) for source in sources]),
    )  # fmt: skip
    busy = _together(_busy_tiles(placing.first, tiles))
    found = _join(run("hosts", place_hosts, placing, busy))
    order = np.argsort(found.pop("source"))
    return PackedDensities.from_arrays(found).chosen(order)


def _busy_tiles(points: np.ndarray, tiles: Sequence[Tile]) -> list[Tile]:
    """Returns the tiles with a point in them, one at the least."""
    side = tiles[0].x1 - tiles[0].x0, tiles[0].y1 - tiles[0].y0
    places = {(int(x), int(y)) for x, y in np.unique(points // side, axis=0)}
    busy = [t for t in tiles if (t.x0 // side[0], t.y0 // side[1]) in places]
    return busy or list(tiles[:1])


def _together(tiles: Sequence[Tile]) -> list[tuple[Tile, ...]]:
    """Returns tiles in groups that are measured together, in eight jobs at least."""
    size = max(1, min(MOST_TILES, len(tiles) // LEAST_JOBS))
    return [tuple(tiles[i : i + size]) for i in range(0, len(tiles), size)]


def _join(parts: Iterator[Columns]) -> Columns:
    """Returns arrays of all tiles, one after the other."""
    found: dict[str, list[np.ndarray]] = {}
    for part in parts:
        for name, array in part.items():
            found.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in found.items()}


def _sorted(found: Mapping[str, np.ndarray], key: str) -> Columns:
    """Returns the columns that begin like a key, in the order of that one."""
    prefix = key.partition("_")[0] + "_"
    order = np.argsort(found[key], kind="stable")
    return {
        name.removeprefix(prefix): column[order]
        for name, column in found.items()
        if name.startswith(prefix)
    }


def _outlines(
    found: Columns, islands: Columns, source_of: Int[np.ndarray, "k"]
) -> tuple[Float[np.ndarray, "v 2"], Int[np.ndarray, "j"], Int[np.ndarray, "j"]]:
    """Returns the outlines of the islands of sources, by island."""
    corners = found["island_corners"]
    number = np.repeat(found["island_number"], corners)
    order = np.argsort(number, kind="stable")
    points = np.stack([found["outline_x"], found["outline_y"]], axis=1)[order]
    owners = source_of[number[order]]
    held = source_of >= 0
    return points[owners >= 0], islands["corners"][held], source_of[held]
