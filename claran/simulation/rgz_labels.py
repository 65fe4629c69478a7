"""The labels that Radio Galaxy Zoo would give a simulated field, by its own rule.

Volunteers grouped the islands that belong to one source. Given this grouping, the class
follows from the image (see `claran.sky.islands`), in which peaks are counted in the
finer pixels of Radio Galaxy Zoo (see `claran.sky.peak_counts`). Here the model gives
the grouping.

Positions and boxes are pixel edges of the FITS array: column `i` covers `[i, i + 1]`,
and row 0 is the southernmost.
"""

import dataclasses

import numpy as np

from claran.labels import RGZ_CLASSES
from claran.simulation.observation import SimulatedSurvey
from claran.simulation.source_drawing import Source
from claran.sky.box_arrays import union_box
from claran.sky.islands import Islands, class_code, find_all_peaks, find_islands
from claran.sky.peak_counts import RGZ_GRID, count_peaks

__all__ = ["LabeledSource", "label"]

_SEEN = 0.25  # Fraction of an island's flux above which a source is seen in it.
_INSIDE = 0.8  # Fraction of a source's flux that must lie in the field.


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabeledSource:
    """One source as a volunteer saw it; for the frame see the module.

    Attributes:
        box: (4,) float32 `(x0, y0, x1, y1)`, the union of the boxes of its components.
        code: Class: components and peaks as "2_3", or "0_0" below the threshold.
        component_boxes: (c, 4) float32 boxes of its components.
        peaks: (p, 2) float32 positions, the brightest of each component first; those
            in the image's own pixels, which may be others than the class counts.
        component_positions: (c, 2) float32, the brightest peak of each component.
        host: (2,) float32 position of the host galaxy; NaN if W1 does not detect it.
        family: The true morphology, see `morphology.draw_shape`.
        consensus: Whether volunteers would agree. False if the source is blended with
            another or cut by the edge.
        ignore: Whether the source is neither to be learned nor background. Its class is
            none of the six, or it is below the threshold, or less than 0.8 of its flux
            lies in the field.
    """

    box: np.ndarray
    code: str
    component_boxes: np.ndarray
    peaks: np.ndarray
    component_positions: np.ndarray
    host: np.ndarray
    family: str
    consensus: bool
    ignore: bool

    @property
    def components(self) -> int:
        """Number of components (islands)."""
        return int(self.code.partition("_")[0])


def label(
    image: np.ndarray,
    models: np.ndarray,
    sources: list[Source],
    survey: SimulatedSurvey,
    *,
    sigma: float,
) -> tuple[tuple[LabeledSource, ...], np.ndarray]:
    """Returns the labels of an image with known sources, and the membership map.

    An island is assigned to the source that contributes most of its flux, since
    volunteers select an island as a whole and take a blend for one source. It is a
    blend if a second source contributes more than a quarter of its flux. An island to
    which no source contributes a quarter is noise or a sidelobe and is assigned to
    none.

    Args:
        image: (h, w) image including noise, Jy/beam.
        models: (n, h, w) noise-free image of each source, Jy/beam.
        sources: The n sources.
        survey: Sets beam and pixels.
        sigma: Noise of the image, Jy/beam.

    Returns:
        The labels, and an (h, w) uint8 map that is `i + 1` on the islands of label `i`
        and 0 elsewhere.
    """
    islands = find_islands(image, sigma, min_pixels=survey.min_pixels)
    owner, seen = _associate(image, models, islands)
    blended = seen.sum(axis=0) > 1
    peaks = find_all_peaks(image, islands, sigma)
    counts = count_peaks(
        image / sigma, islands, peaks.counts(len(islands)), beam=survey.beam_pixels
    )[:, RGZ_GRID]
    found = []
    members = np.zeros(len(islands) + 1, np.uint8)
    for index, source in enumerate(sources):
        own = np.flatnonzero(owner == index)
        if len(own):
            positions = [peaks.positions[peaks.islands == i] for i in own]
            code = class_code(len(own), int(counts[own].sum()))
            entry = _describe(source, code, islands.boxes[own], positions, survey)
            flux = float(source.blobs[:, 2].sum()) * survey.beam_area_pixels
            outside = float(models[index].sum()) < _INSIDE * flux
            entry = dataclasses.replace(
                entry,
                consensus=entry.consensus and not blended[own].any(),
                ignore=entry.ignore or outside,
            )
        elif seen[index].any():
            continue  # Blended: volunteers see only the brighter source.
        else:
            entry = _describe_faint(source, models[index], survey, sigma)
        if entry is not None:
            found.append(entry)
            members[own + 1] = len(found)
    return tuple(found), members[islands.labels]


def _associate(
    image: np.ndarray, models: np.ndarray, islands: Islands
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the source that each island is assigned to, and which it shows.

    Returns:
        (islands,) index of the source, or -1 for none; and (sources, islands) bool,
        whether the source is seen in the island.
    """
    rows, columns = np.nonzero(islands.labels)
    which = islands.labels[rows, columns] - 1
    count = len(islands)
    total = np.bincount(which, image[rows, columns], count)
    flux = [np.bincount(which, model[rows, columns], count) for model in models]
    shares = np.reshape(flux, (len(models), count)) / total
    seen = shares > _SEEN
    if not len(models):
        return np.full(count, -1), seen
    return np.where(seen.any(axis=0), shares.argmax(axis=0), -1), seen


def _describe(
    source: Source,
    code: str,
    boxes: np.ndarray,
    peaks: list[np.ndarray],
    survey: SimulatedSurvey,
) -> LabeledSource:
    """Returns the label of a source of a class that owns islands."""
    box = union_box(boxes)
    cut = box[:2].min() <= 0 or box[2:].max() >= survey.size
    return LabeledSource(
        box=box, code=code, component_boxes=boxes, peaks=np.concatenate(peaks),
        component_positions=np.array([p[0] for p in peaks]),
        host=_host_position(source, survey), family=source.family,
        consensus=not cut, ignore=code not in RGZ_CLASSES,
    )  # fmt: skip


def _describe_faint(
    source: Source, model: np.ndarray, survey: SimulatedSurvey, sigma: float
) -> LabeledSource | None:
    """Returns an ignored label for a source above three sigma; None below that."""
    highest = float(model.max())
    if not highest > 3 * sigma:
        return None
    seen = model > max(3 * sigma, 0.3 * highest)
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    return LabeledSource(
        box=np.array(box, np.float32), code="0_0",
        component_boxes=np.empty((0, 4), np.float32),
        peaks=np.empty((0, 2), np.float32),
        component_positions=np.empty((0, 2), np.float32),
        host=_host_position(source, survey), family=source.family,
        consensus=False, ignore=True,
    )  # fmt: skip


def _host_position(source: Source, survey: SimulatedSurvey) -> np.ndarray:
    position = source.host[:2] / survey.pixel_arcsec + survey.size / 2
    return position.astype(np.float32)
