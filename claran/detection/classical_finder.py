"""Radio sources without a network: islands of emission, joined where they are close.

The baseline that a detector has to beat. Given which islands belong together, the class
of a source is a computation (see `claran.sky.islands`); this finder decides that by
distance alone. On 153 real FIRST cutouts with 168 sources its average precision at an
IoU of 0.5 is 0.585, 0.420, 0.830, 0.250, 0.655 and 0.832 for the six classes of Radio
Galaxy Zoo (`tests/survey/test_classical.py`).
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from claran.fields.field import beam_width
from claran.fields.outlines import smallest_island
from claran.labels import RGZ_CLASSES
from claran.sky.islands import Islands, find_islands, find_peaks
from claran.sky.noise import noise

__all__ = ["LINKING_ARCSEC", "Sources", "find_sources"]

LINKING_ARCSEC = 45.0
MOST = 3  # Components and peaks that the classes of Radio Galaxy Zoo tell apart.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sources:
    """What was found in a field, in scan order.

    Attributes:
        boxes: Around all islands of each source, edges in pixels of the FITS array.
        codes: Classes, such as "2_3". More than three components or peaks count as
            three.
        scores: 1 less the relative uncertainty of the brightest peak, `1 - sigma /
            peak`: 0.81 at the threshold of the islands, 0.99 at 100 sigma.
    """

    boxes: Float32[np.ndarray, "n 4"]
    codes: tuple[str, ...]
    scores: Float64[np.ndarray, "n"]

    @property
    def labels(self) -> Int[np.ndarray, "n"]:
        """Places of the classes in `claran.labels.RGZ_CLASSES`, from 1."""
        return np.array([RGZ_CLASSES.index(code) + 1 for code in self.codes], int)


def find_sources(
    radio: Float32[np.ndarray, "ny nx"],
    *,
    pixel_arcsec: float,
    sigma: float | None = None,
    beam: float = math.nan,
    linking_arcsec: float = LINKING_ARCSEC,
) -> Sources:
    """Returns the sources of a field.

    Islands are joined if the centers of their nearest pixels are within the linking
    length, and so are those that are linked through others.

    Args:
        radio: Any unit; blank pixels are NaN.
        pixel_arcsec: Side of a pixel.
        sigma: Noise, in the unit of `radio`; None to measure it.
        beam: Full width at half maximum in pixels, which decides how small an island
            may be; NaN for FIRST's.
        linking_arcsec: See above.

    Raises:
        ValueError: There is no noise, no pixel size, or a senseless linking length.
    """
    if not pixel_arcsec > 0:
        raise ValueError(
            f"`pixel_arcsec` must be above 0, got {pixel_arcsec}: the linking length "
            "needs it; give an image with a WCS."
        )
    if not linking_arcsec >= 0:
        raise ValueError(f"`linking_arcsec` must be at least 0, got {linking_arcsec}.")
    sigma = noise(radio) if sigma is None else sigma
    if not sigma > 0:
        raise ValueError(
            f"`sigma` must be above 0, got {sigma}; are most of the pixels blank?"
        )
    smallest = smallest_island(beam_width(beam, pixel_arcsec))
    islands = find_islands(radio, sigma, min_pixels=smallest)
    if not len(islands):
        return Sources(boxes=islands.boxes, codes=(), scores=np.array([]))
    owners = _join(islands, linking_arcsec / pixel_arcsec)
    # As the published figures of this finder were made; see claran.sky.islands.
    peaks = [
        find_peaks(radio, islands, i, sigma, corners=True) for i in range(len(islands))
    ]
    boxes, codes, scores = [], [], []
    for source in dict.fromkeys(owners.tolist()):
        own = np.flatnonzero(owners == source)
        edges = islands.boxes[own]
        boxes.append([*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)])
        codes.append(_code(len(own), sum(len(peaks[i]) for i in own)))
        x, y = np.array([peaks[i][0] for i in own]).T.astype(int)
        scores.append(1 - sigma / float(radio[y, x].max()))
    return Sources(
        boxes=np.array(boxes, np.float32), codes=tuple(codes), scores=np.array(scores)
    )


def _code(components: int, peaks: int) -> str:
    return f"{min(components, MOST)}_{min(peaks, MOST)}"


def _join(islands: Islands, reach: float) -> Int[np.ndarray, "n"]:
    """Returns the source of each island.

    Args:
        islands: Of a field.
        reach: Linking length, pixels.
    """
    count = len(islands)
    linked = np.zeros((count, count), bool)
    low, high = islands.boxes[:, :2], islands.boxes[:, 2:]
    # Boxes are a pixel wider than from center to center.
    gaps = np.maximum(low[:, None], low) - np.minimum(high[:, None], high) + 1
    near = np.hypot(*np.moveaxis(gaps.clip(min=0), -1, 0)) <= reach
    trees = [KDTree(_pixels(islands, i)) for i in range(count)]
    for i, j in np.argwhere(np.triu(near, 1)).tolist():
        linked[i, j] = trees[i].count_neighbors(trees[j], reach) > 0
    return connected_components(linked, directed=False)[1]


def _pixels(islands: Islands, island: int) -> Float[np.ndarray, "p 2"]:
    x0, y0, x1, y1 = islands.boxes[island].astype(int)
    inside = islands.labels[y0:y1, x0:x1] == island + 1
    return np.argwhere(inside) + np.array([y0, x0], float)
