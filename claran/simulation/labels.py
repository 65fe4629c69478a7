"""The labels Radio Galaxy Zoo would give, computed by its own rule.

Banfield et al. (2015, MNRAS 453, 2326) drew contours of each field from a lowest level
upwards in steps of sqrt(3); volunteers joined the islands of one source. Given that
grouping, a class is a computation:

* sigma is 1.4826 times the median absolute deviation of the field;
* a component is an 8-connected island above 9 / sqrt(3) = 5.196 sigma;
* a peak is a leaf of the island's contour tree: a contour with none inside it.

Positions and boxes are in pixel edges of the FITS array: column `i` covers
`[i, i + 1]`, row 0 is the southernmost.
"""

import dataclasses
import math

import cv2
import numpy as np

from claran.labels import RGZ_CLASSES
from claran.simulation.populations import Source
from claran.simulation.survey import Survey

__all__ = [
    "LEVEL_RATIO",
    "THRESHOLD",
    "Islands",
    "LabelledSource",
    "contour_levels",
    "find_islands",
    "find_peaks",
    "label",
    "noise_sigma",
]

THRESHOLD = 9 / math.sqrt(3)  # Lowest contour, in sigma.
LEVEL_RATIO = math.sqrt(3)
_SEEN = 0.25  # Share of an island's flux from which a source counts as part of it.
_INSIDE = 0.8  # Share of a source's flux that the field must hold.


@dataclasses.dataclass(frozen=True)
class Islands:
    """The islands of one field, in scan order.

    Attributes:
        labels: (h, w) int32, 0 outside islands, `i + 1` in island `i`.
        boxes: (n, 4) float32, `(x0, y0, x1, y1)` in pixel edges.
    """

    labels: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


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


def noise_sigma(image: np.ndarray) -> float:
    """Returns 1.4826 times the median absolute deviation; blank pixels do not count.

    A field that is blank throughout has no noise: the result is NaN.
    """
    values = image[np.isfinite(image)]
    if not values.size:
        return math.nan
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def find_islands(image: np.ndarray, sigma: float, *, min_pixels: int) -> Islands:
    """Returns the 8-connected islands above `THRESHOLD * sigma`.

    Args:
        image: (h, w) brightness; NaN is below every level.
        sigma: Noise, in the image's unit.
        min_pixels: Islands of fewer pixels are dropped.
    """
    above = (image > THRESHOLD * sigma).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_pixels
    keep[0] = False
    if not keep[1:].all():
        renumber = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
        labels = renumber[np.asarray(labels, np.int32)]
    left, top, width, height = stats[keep, :4].T if count > 1 else np.empty((4, 0))
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    return Islands(labels, boxes.astype(np.float32))


def contour_levels(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns how many contours above the lowest each pixel lies; -1 is below it.

    >>> contour_levels(np.array([5.0, 5.2, 9.1, np.nan]), 1.0).tolist()
    [-1, 0, 1, -1]
    """
    above = image > THRESHOLD * sigma  # False where NaN.
    ratio = np.where(above, image, THRESHOLD * sigma) / (THRESHOLD * sigma)
    levels = np.log(ratio) * (1 / math.log(LEVEL_RATIO))
    return np.where(above, levels, -1).astype(np.int32)


def find_peaks(
    image: np.ndarray, islands: Islands, island: int, sigma: float
) -> np.ndarray:
    """Returns the peaks of one island, brightest first.

    Args:
        image: (h, w) brightness.
        islands: From `find_islands`.
        island: Which of them.
        sigma: Noise, in the image's unit.

    Returns:
        (p, 2) float32, p >= 1: `(x, y)` of the centre of each peak's brightest pixel,
        in pixel edges.
    """
    x0, y0, x1, y1 = islands.boxes[island].astype(int)
    crop = image[y0:y1, x0:x1]
    inside = islands.labels[y0:y1, x0:x1] == island + 1
    levels = np.where(inside, contour_levels(crop, sigma), -1)
    found = []
    for level in range(levels.max() + 1):
        above = (levels >= level).astype(np.uint8)
        count, contours = cv2.connectedComponents(above, connectivity=8)
        # A contour that holds a pixel of the next level is no leaf of the tree.
        holds_next = np.bincount(contours[levels > level], minlength=count) > 0
        for leaf in np.flatnonzero(~holds_next[1:]) + 1:
            brightest = np.where(contours == leaf, crop, -np.inf).argmax()
            row, column = divmod(int(brightest), crop.shape[1])
            found.append((crop[row, column], x0 + column + 0.5, y0 + row + 0.5))
    found.sort(reverse=True)
    return np.array([peak[1:] for peak in found], np.float32)


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
    found = []
    members = np.zeros(len(islands) + 1, np.uint8)
    for index, source in enumerate(sources):
        own = np.flatnonzero(owner == index)
        if len(own):
            peaks = [find_peaks(image, islands, int(i), sigma) for i in own]
            entry = _describe(source, islands.boxes[own], peaks, survey)
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
    code = f"{len(boxes)}_{sum(map(len, peaks))}"
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
