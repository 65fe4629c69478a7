"""The measurements in a mosaic: what the network sees, components and islands.

A tile has the windows with their center in it, and the flood islands with their first
pixel in it. All of them are measured on pixels that do not depend on the tile, so that
neither do the results.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from claran.detection.detections import Detections
from claran.detection.engine import window_detections
from claran.detection.group_members import MEMBERS, MOST_MEMBERS
from claran.detection.mosaic_infrared import MosaicInfrared, WholeInfrared
from claran.detection.mosaic_windows import MosaicFrame, MosaicScene
from claran.detection.network_calls import island_slots, window_view
from claran.detection.symmetries import LOOK
from claran.detection.windows import Window
from claran.fields.preprocessing import View
from claran.photometry.emission_columns import component_rows, island_rows
from claran.photometry.flood import MARGIN_BEAMS, IslandCutout, NumberedCutout
from claran.photometry.pixel_beams import PixelBeam
from claran.sky.bands import crop
from claran.sky.islands import Islands, find_all_peaks
from claran.sky.mosaic_maps import MosaicMaps, Region
from claran.sky.peak_counts import count_peaks
from claran.survey.mosaic_islands import MosaicIslands
from claran.survey.needed_regions import grown, inside, needed_regions
from claran.survey.region_labels import label_region
from claran.survey.survey_network import SurveyNetwork
from claran.survey.tiles import Tile

__all__ = ["Measuring", "measure_tiles"]

NO_BOXES = np.zeros((0, 4), np.float32)

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Measuring:
    """What is to be measured in a mosaic.

    Attributes:
        maps: The mosaic, with its background and noise.
        network: The network.
        islands: The islands of the mosaic.
        frame: The mosaic at the network's resolution.
        windows: Windows that are shown to the network.
        beam: The beam.
        lowest: Score above which detections of the network are taken.
        infrared: Infrared images of the mosaic, if there are any.
    """

    maps: MosaicMaps
    network: SurveyNetwork
    islands: MosaicIslands
    frame: MosaicFrame
    windows: Sequence[Window]
    beam: PixelBeam
    lowest: float
    infrared: MosaicInfrared | WholeInfrared | None = None

    @functools.cached_property
    def bounds(self) -> Int[np.ndarray, "w 4"]:
        """Bounds of the windows, pixels of the scene, y down."""
        rows, columns = self.frame.shape
        whole = (0, 0, columns, rows)
        bounds = [window.bounds or whole for window in self.windows]
        return np.array(bounds, np.int64).reshape(-1, 4)

    @functools.cached_property
    def centers(self) -> Float[np.ndarray, "w 2"]:
        """Centers of the windows, `(x, y)` in pixels of the mosaic, y up."""
        x0, y0, x1, y1 = self.bounds.T / self.frame.scale
        center = np.stack([x0 + x1, y0 + y1], axis=1) / 2
        ny, nx = self.frame.picture_shape
        center[:, 1] = ny - center[:, 1]
        # By rounding, a center may lie beyond the last pixel.
        return np.clip(center, 0, [nx - 1, ny - 1])

    def __getstate__(self) -> dict[str, Any]:
        """Returns the fields alone, without what is computed of them."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: self.__dict__[name] for name in names}


def measure_tiles(measuring: Measuring, tiles: Sequence[Tile]) -> Arrays:
    """Returns all that is measured in some tiles.

    The components of all of them are fitted at once: fits are packed into batches of a
    fixed size, and those of a single tile would fill a quarter of them.

    Args:
        measuring: What is to be measured.
        tiles: The tiles.

    Returns:
        Arrays by names that begin with what a row is:

        - `detection_`: `boxes` (edges, pixels of the mosaic), `labels`, `scores`, the
          `look` (0 unless the network looked in all symmetries), the number of the
          `window`, and `members`, see `MEMBERS`;
        - `component_`: the columns of `component_rows`;
        - `island_`: the columns of `island_rows`;
        - `outline_`: `x` and `y` of the corners of all outlines, by island.
    """
    detections, cutouts = [], []
    for tile in tiles:
        shown, islands = _look(measuring, tile)
        detections.append(_detections(measuring, shown))
        cutouts += islands
    found = {
        name: np.concatenate([part[name] for part in detections])
        for name in detections[0]
    }
    cutouts.sort(key=lambda one: one.number)
    (components,) = component_rows([(cutouts, measuring.beam)])
    islands = island_rows(cutouts, measuring.beam)
    found |= {f"component_{name}": column for name, column in components.items()}
    return found | {
        name if name.startswith("outline_") else f"island_{name}": column
        for name, column in islands.items()
    }


def _look(
    measuring: Measuring, tile: Tile
) -> tuple[list[tuple[int, View]], list[NumberedCutout]]:
    """Returns views of the windows and cutouts of the flood islands in a tile."""
    windows = np.flatnonzero(inside(measuring.centers, tile))
    floods = np.flatnonzero(inside(measuring.islands.flood_first, tile))
    margin = math.ceil(MARGIN_BEAMS * measuring.maps.mosaic.beam_pixels)
    bounds = measuring.bounds[windows].tolist()
    needs = [measuring.frame.needed((x0, y0, x1, y1)) for x0, y0, x1, y1 in bounds]
    needs += [
        grown(box, margin, measuring.frame.picture_shape)
        for box in measuring.islands.flood_boxes[floods].astype(int).tolist()
    ]
    work = [(True, int(window)) for window in windows]
    work += [(False, int(flood)) for flood in floods]
    shown: list[tuple[int, View]] = []
    cutouts: list[NumberedCutout] = []
    for region, rows in needed_regions(measuring.maps, needs):
        chosen = [work[row] for row in rows]
        scene = MosaicScene(measuring.frame, region, measuring.infrared)
        shown += [
            (number, window_view(scene, measuring.windows[number]))
            for is_window, number in chosen
            if is_window
        ]
        own = np.array([number for is_window, number in chosen if not is_window], int)
        cutouts += _cutouts(measuring, region, own, margin)
    return shown, cutouts


def _detections(measuring: Measuring, shown: Sequence[tuple[int, View]]) -> Arrays:
    """Returns the network's detections in windows, in the order of the windows."""
    by_size: dict[tuple[tuple[int, int], int], list[tuple[int, View]]] = {}
    size_of = measuring.network.model.preprocessor.size
    for number, view in sorted(shown, key=lambda one: one[0]):
        size = size_of(*view.image.shape[:2])
        key = size, island_slots(view.islands)
        by_size.setdefault(key, []).append((number, view))
    found = {}
    for (size, _), group in by_size.items():
        outputs = measuring.network.detect([view for _, view in group], size)
        found |= dict(zip([number for number, _ in group], outputs, strict=True))
    mosaic, scene = measuring.maps.mosaic, MosaicScene(measuring.frame, None)
    parts = [
        window_detections(
            scene, mosaic, measuring.windows[number], found[number], measuring.lowest
        )
        for number in sorted(found)
    ]
    every = Detections.concatenate(parts)
    groups = measuring.network.finisher.groups
    unknown = np.zeros((len(every), MOST_MEMBERS if groups else 0), np.int64)
    counts = [len(part) for part in parts]
    return {
        "detection_look": every.columns.get(LOOK, np.zeros(len(every), np.int64)),
        "detection_boxes": every.boxes,
        "detection_labels": every.labels,
        "detection_scores": every.scores,
        "detection_members": every.columns.get(MEMBERS, unknown),
        "detection_window": np.repeat(np.array(sorted(found), np.int64), counts),
    }


def _cutouts(
    measuring: Measuring, region: Region, floods: Int[np.ndarray, "k"], margin: int
) -> list[NumberedCutout]:
    """Returns flood islands in a region.

    Peaks are those of the signal-to-noise, in which islands were found, as those of
    `Field.peak_counts`: they decide on classes.
    """
    if not len(floods):
        return []
    chosen, numbers = measuring.islands.of_floods(floods)
    labels = label_region(region, chosen)
    factor = np.float32(measuring.maps.mosaic.jansky)
    found = []
    for place, flood in enumerate(floods.tolist()):
        masks = labels.masks(chosen, place, margin)
        own = crop((masks.rows, masks.columns), (region.rows, region.columns))
        zero = measuring.maps.zero.pixels((masks.rows, masks.columns))
        values = (region.values[own] - zero) * factor
        cutout = IslandCutout(
            masks.columns.start, masks.rows.start, values,
            region.noise[own] * factor, masks.flood, masks.others, masks.islands,
        )  # fmt: skip
        inside = Islands(masks.islands, NO_BOXES)
        ratio = region.signal_to_noise[own]
        islands = numbers[masks.numbers]
        counts = find_all_peaks(ratio, inside, 1.0).counts(len(islands))
        peaks = count_peaks(
            ratio, inside, counts, beam=measuring.maps.mosaic.beam_pixels
        )
        found.append(NumberedCutout(flood, islands, peaks, cutout))
    return found
