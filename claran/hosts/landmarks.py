"""Landmarks of a radio source: the places that say where its host galaxy can be.

They are the peaks, shoulders of brightness, faint peaks below the lowest contour, the
gaps between neighboring peaks, the center of each island, centers of the whole source,
and places on its axis. Each has numbers that describe it (`landmark_features`), which
are the same for a source that is turned or mirrored (`source_pixels`).
"""

import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from claran.hosts.landmark_features import FAINTEST, KINDS, landmark_features
from claran.hosts.source_pixels import (
    Cutout,
    SourcePixels,
    cut_out,
    measure_source,
    sample,
)
from claran.sky.islands import Islands

__all__ = ["Landmarks", "find_landmarks"]

SHARPEST = 1.5  # Sigma by which a shoulder exceeds its surroundings.
MOST = {"peak": 8, "shoulder": 4, "faint": 4, "island": 4}
MOST_GAPS = 8
AXIS = (0.3, 0.4, 0.5, 0.6, 0.7)  # Places between the ends, as fractions.


@dataclasses.dataclass(frozen=True, eq=False)
class Landmarks:
    """The landmarks of one source.

    Attributes:
        positions: (k, 2) `(x, y)` in pixels of the image.
        features: (k, f) float32, what is known of each.
        reach: (k,) scale on which the host can be off the landmark, beams.
        axes: (2, 2) unit vectors of the source's frame, one a row, in pixels of the
            image.
        center: (2,) the center of the flux, pixels of the image.
        size: Half of the extent along the first axis, beams.
        beam: FWHM of the beam, pixels.
    """

    positions: Float[np.ndarray, "k 2"]
    features: Float32[np.ndarray, "k f"]
    reach: Float[np.ndarray, "k"]
    axes: Float[np.ndarray, "2 2"]
    center: Float[np.ndarray, "2"]
    size: float
    beam: float

    def __len__(self) -> int:
        return len(self.positions)


def find_landmarks(
    signal_to_noise: Float32[np.ndarray, "ny nx"],
    islands: Islands,
    group: Sequence[int],
    beam: float,
) -> Landmarks:
    """Returns the landmarks of a source.

    Args:
        signal_to_noise: The image in units of its noise; NaN where it is blank.
        islands: All islands of the image.
        group: Numbers of the source's islands, from 0.
        beam: FWHM of the beam, pixels.

    Raises:
        ValueError: The group is empty.
    """
    if not len(group):
        raise ValueError("`group` must name at least one island, got none.")
    source = measure_source(cut_out(signal_to_noise, islands, group, beam))
    positions, kinds = _find(source)
    corner, frame = source.cutout.corner, source.frame
    wide = kinds >= KINDS.index("gap")
    return Landmarks(
        positions=positions + corner,
        features=landmark_features(source, positions, kinds),
        reach=np.where(wide, 0.3 + source.rms[0] / 4, 0.3), axes=frame.axes,
        center=frame.origin + corner, size=float(source.high[0] - source.low[0]) / 2,
        beam=beam,
    )  # fmt: skip


def _find(
    source: SourcePixels,
) -> tuple[Float[np.ndarray, "k 2"], Int[np.ndarray, "k"]]:
    """Returns positions of all landmarks, pixels of the cutout, and their kinds."""
    cutout, frame, low, high = source.cutout, source.frame, source.low, source.high
    peaks, shoulders, faint = _maxima(source)
    gaps, saddles = _gaps(cutout, np.concatenate([peaks, shoulders]))
    square = source.flux * source.flux
    centers = [frame.origin, source.pixels.mean(axis=0)]
    centers.append(square @ source.pixels / square.sum())
    bright = frame.to(peaks)
    first, last = bright[bright[:, 0].argmin()], bright[bright[:, 0].argmax()]
    axis = first + np.array(AXIS)[:, None] * (last - first)
    axis = np.append(axis, [_brightest_inside(source, first, last)], axis=0)
    middles = frame.back(np.array([(low + high) / 2, (first + last) / 2]))
    found = [
        peaks, shoulders, faint, gaps, saddles, _island_centers(source),
        np.array(centers), middles, frame.back(axis),
    ]  # fmt: skip
    kinds = np.repeat(np.arange(len(KINDS)), [len(part) for part in found])
    return np.concatenate(found), kinds


def _brightest_inside(
    source: SourcePixels, first: Float[np.ndarray, "2"], last: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "2"]:
    """Returns the brightest place in the middle third between two peaks."""
    away = np.abs(source.places[:, 0] - (first[0] + last[0]) / 2)
    inside = away <= (last[0] - first[0]) / 6
    if not inside.any():
        return (first + last) / 2
    return source.places[np.where(inside, source.flux, 0).argmax()]


def _maxima(source: SourcePixels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns peaks, shoulders and faint peaks outside the islands, brightest first."""
    cutout = source.cutout
    values, beam, own = cutout.values, cutout.beam, cutout.own > 0
    width = 2 * max(1, round(0.25 * beam)) + 1
    near = np.ones((width, width), np.uint8)
    top = (values >= cv2.dilate(values, near)) & (values > FAINTEST)
    peaks = _refined(values, top & own, MOST["peak"])
    if not len(peaks):  # The brightest pixel is at the edge of another island.
        peaks = source.pixels[[source.flux.argmax()]]
    sharp = values - cv2.GaussianBlur(values, (0, 0), 0.6 * beam)
    edge = (sharp >= cv2.dilate(sharp, near)) & (sharp > SHARPEST) & own
    shoulders = _refined(sharp, edge, MOST["peak"] + MOST["shoulder"])
    apart = np.hypot(*(shoulders[:, None] - peaks[None]).T).min(axis=0) > 0.6 * beam
    faint = _refined(values, top & cutout.free, 4 * MOST["faint"])
    at = source.frame.to(faint)
    faint = faint[((at >= source.low - 1) & (at <= source.high + 1)).all(axis=1)]
    return peaks, shoulders[apart][: MOST["shoulder"]], faint[: MOST["faint"]]


def _refined(
    image: Float32[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"], most: int
) -> Float[np.ndarray, "n 2"]:
    """Returns maxima, brightest first, by the parabola through three pixels a side."""
    rows, columns = np.nonzero(where)
    order = np.argsort(-image[rows, columns], kind="stable")[:most]
    rows, columns = rows[order], columns[order]
    last_row, last_column = image.shape[0] - 1, image.shape[1] - 1
    top = image[rows, columns]
    right = image[rows, np.minimum(columns + 1, last_column)]
    left = image[rows, np.maximum(columns - 1, 0)]
    up = image[np.minimum(rows + 1, last_row), columns]
    down = image[np.maximum(rows - 1, 0), columns]
    x = columns + 0.5 + _vertex(left, top, right)
    return np.stack([x, rows + 0.5 + _vertex(down, top, up)], axis=1)


def _vertex(before: np.ndarray, top: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns where the parabola through three pixels is highest, from the middle."""
    curve = np.maximum(2 * top - before - after, 1e-6)
    return np.clip((after - before) / (2 * curve), -0.5, 0.5)


def _gaps(
    cutout: Cutout, peaks: Float[np.ndarray, "p 2"]
) -> tuple[Float[np.ndarray, "g 2"], Float[np.ndarray, "g 2"]]:
    """Returns the middle between two neighboring peaks, and the faintest place there.

    Two peaks are neighbors if no third one is in the circle between them (Gabriel &
    Sokal 1969, Syst. Zool. 18, 259).
    """
    i, j = _pairs(len(peaks))
    middle = (peaks[i] + peaks[j]) / 2
    radius = np.hypot(*(peaks[i] - peaks[j]).T) / 2
    apart = np.hypot(*(middle[:, None] - peaks[None]).T).T
    near = (apart.min(axis=1) > 0.99 * radius) & (2 * radius > cutout.beam)
    near = np.flatnonzero(near)[:MOST_GAPS]
    i, j, middle = i[near], j[near], middle[near]
    steps = np.linspace(0.2, 0.8, 13)[:, None]
    line = peaks[i, None] + steps * (peaks[j] - peaks[i])[:, None]
    if not len(near):
        return middle, middle
    lowest = sample(cutout.values, line).argmin(axis=1)
    return middle, line[np.arange(len(near)), lowest]


@functools.cache
def _pairs(count: int) -> tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]:
    return np.triu_indices(count, 1)


def _island_centers(source: SourcePixels) -> Float[np.ndarray, "i 2"]:
    """Returns the centers of the islands, weighted by flux, the brightest first."""
    which, flux = source.owners - 1, source.flux
    total = np.bincount(which, flux)
    x, y = (np.bincount(which, flux * line) / total for line in source.pixels.T)
    order = np.argsort(-total, kind="stable")[: MOST["island"]]
    return np.stack([x, y], axis=1)[order]
