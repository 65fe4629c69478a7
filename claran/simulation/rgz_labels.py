"""The labels Radio Galaxy Zoo would give a simulated field, computed by its own rule.

Volunteers joined the islands of one source. Given that grouping, a class is a
computation (see `claran.sky.islands`); here the grouping is known from the model.

Positions and boxes are in pixel edges of the FITS array: column `i` covers
`[i, i + 1]`, row 0 is the southernmost.
"""

import dataclasses

import numpy as np

from claran.labels import RGZ_CLASSES
from claran.simulation.observation import Survey
from claran.simulation.populations import Source
from claran.sky.islands import Islands, class_code, find_all_peaks, find_islands

__all__ = ["LabelledSource", "label"]

_SEEN = 0.25  # Share of an island's flux from which a source counts as part of it.
_INSIDE = 0.8  # Share of a source's flux that the field must hold.


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledSource:
    """One source as a volunteer saw it; frames as in the module.

    Attributes:
        box: (4,) float32 `(x0, y0, x1, y1)`, the union of its components' boxes.
        code: Class, components and peaks as "2_3"; "0_0" below the threshold.
        component_boxes: (c, 4) float32.
        peaks: (p, 2) float32, brightest of each component first.
        component_positions: (c, 2) float32, the brightest peak of each component.
        host: (2,) float32 position of the host galaxy; NaN where W1 shows none.
        family: The true morphology, a name of `morphology`.
        consensus: Whether volunteers would agree: False where sources blend or the
            edge cuts.
        ignore: Whether training should neither learn it nor punish it: a class outside
            the six, below the threshold, or mostly outside the field.
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
        """Number of islands."""
        return int(self.code.partition("_")[0])


def label(
    image: np.ndarray,
    models: np.ndarray,
    sources: list[Source],
    survey: Survey,
    *,
    sigma: float,
) -> tuple[tuple[LabelledSource, ...], np.ndarray]:
    """Returns the labels of an image whose sources are known, and the membership map.

    An island belongs to the source that gives it most of its flux: it is one click to a
    volunteer, who takes a blend for one source. A second source with a quarter of
    the flux makes it a blend. Islands to which no source gives a quarter of what is
    seen are noise or sidelobes, and belong to none.

    Args:
        image: (h, w) the image, noise included.
        models: (n, h, w) the noise-free image of each source.
        sources: The n sources.
        survey: Beam and pixels.
        sigma: Noise of the image.
    """
    islands = find_islands(image, sigma, min_pixels=survey.min_pixels)
    owner, seen = _associate(image, models, islands)
    blended = seen.sum(axis=0) > 1
    peaks = find_all_peaks(image, islands, sigma)
    found = []
    members = np.zeros(len(islands) + 1, np.uint8)
    for index, source in enumerate(sources):
        own = np.flatnonzero(owner == index)
        if len(own):
            positions = [peaks.positions[peaks.islands == i] for i in own]
            entry = _describe(source, islands.boxes[own], positions, survey)
            flux = float(source.blobs[:, 2].sum()) * survey.beam_pixels
            outside = float(models[index].sum()) < _INSIDE * flux
            entry = dataclasses.replace(
                entry,
                consensus=entry.consensus and not blended[own].any(),
                ignore=entry.ignore or outside,
            )
        elif seen[index].any():
            continue  # Its islands went to a brighter source: volunteers saw that one.
        else:
            entry = _describe_faint(source, models[index], survey, sigma)
        if entry is not None:
            found.append(entry)
            members[own + 1] = len(found)
    return tuple(found), members[islands.labels]


def _associate(
    image: np.ndarray, models: np.ndarray, islands: Islands
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each island's owner, (islands,) or -1, and who is seen in which.

    The second is (sources, islands) bool.
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
    source: Source, boxes: np.ndarray, peaks: list[np.ndarray], survey: Survey
) -> LabelledSource:
    """Returns the label of a source that owns islands."""
    box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    code = class_code(len(boxes), sum(map(len, peaks)))
    cut = box[:2].min() <= 0 or box[2:].max() >= survey.size
    return LabelledSource(
        box=box, code=code, component_boxes=boxes, peaks=np.concatenate(peaks),
        component_positions=np.array([p[0] for p in peaks]),
        host=_host_position(source, survey), family=source.family,
        consensus=not cut, ignore=code not in RGZ_CLASSES,
    )  # fmt: skip


def _describe_faint(
    source: Source, model: np.ndarray, survey: Survey, sigma: float
) -> LabelledSource | None:
    """Returns an entry to be ignored for a source that is above three sigma only."""
    rows, columns = np.nonzero(model > max(3 * sigma, 0.3 * float(model.max())))
    if not rows.size:
        return None
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return LabelledSource(
        box=np.array(box, np.float32), code="0_0",
        component_boxes=np.empty((0, 4), np.float32),
        peaks=np.empty((0, 2), np.float32),
        component_positions=np.empty((0, 2), np.float32),
        host=_host_position(source, survey), family=source.family,
        consensus=False, ignore=True,
    )  # fmt: skip


def _host_position(source: Source, survey: Survey) -> np.ndarray:
    position = source.host[:2] / survey.pixel_arcsec + survey.size / 2
    return position.astype(np.float32)
