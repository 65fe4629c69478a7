"""What is known of each landmark of a radio source: the inputs of a small network.

All numbers are in units of the beam, of the noise and of the source itself, in its
frame: where the landmark lies, how bright and how compact it is, what surrounds it, and
how alike both sides of it are.
"""

import math

import numpy as np
from jaxtyping import Float, Float32, Int

from claran.hosts.source_pixels import Cutout, Frame, SourcePixels, sample

__all__ = ["FAINTEST", "KINDS", "landmark_features"]

KINDS = (
    "peak", "shoulder", "faint", "gap", "saddle", "island", "center", "middle", "axis",
)  # fmt: skip
FAINTEST = 3.0  # Sigma; peaks outside the islands are not looked for below.
RINGS = (0.6, 1.2, 2.4)  # Radii about a landmark, beams.
DIRECTIONS = 8
MOST_MIRRORED = 128  # Pixels that are compared with those on the opposite side.
NEAR = 2.0  # Beams.


def _surroundings(
    cutout: Cutout, frame: Frame, positions: Float[np.ndarray, "k 2"]
) -> Float32[np.ndarray, "k s"]:
    """Returns the brightness at each landmark, and on the rings about it, sigma."""
    angle = np.arange(DIRECTIONS) * (2 * math.pi / DIRECTIONS)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    steps = np.concatenate([np.zeros((1, 2)), *(radius * circle for radius in RINGS)])
    steps = steps * frame.beam @ frame.axes
    return sample(cutout.values, positions[:, None] + steps)


def _shares_below(
    at: Float[np.ndarray, "k"],
    places: Float[np.ndarray, "n"],
    flux: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "k"]:
    """Returns the fraction of the flux at smaller coordinates."""
    order = np.argsort(places, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(flux[order])])
    return total[np.searchsorted(places[order], at)] / total[-1]


def _symmetry(
    source: SourcePixels, positions: Float[np.ndarray, "k 2"]
) -> Float[np.ndarray, "2 k"]:
    """Returns how alike the source is on opposite sides of each landmark, 0 to 1.

    The first row is for all of it, the second for what lies within some beams.
    """
    step = -(-len(source.pixels) // MOST_MIRRORED)
    bright = np.log1p(source.flux[::step]).astype(np.float32)
    away = (source.pixels[None, ::step] - positions[:, None]).astype(np.float32)
    opposite = sample(source.cutout.values, positions[:, None] - away)
    both = np.minimum(np.log1p(np.maximum(opposite, 0)), bright)
    square = (away * away).sum(axis=2) / np.float32((NEAR * source.cutout.beam) ** 2)
    near = np.exp(-0.5 * square)
    whole = both.sum(axis=1) / bright.sum()
    local = (near * both).sum(axis=1) / ((near * bright).sum(axis=1) + 1)
    return np.stack([whole, local])


def landmark_features(
    source: SourcePixels,
    positions: Float[np.ndarray, "k 2"],
    kinds: Int[np.ndarray, "k"],
) -> Float32[np.ndarray, "k f"]:
    """Returns what is known of each landmark."""
    at = source.frame.to(positions)
    around = _surroundings(source.cutout, source.frame, positions)
    value = around[:, 0]
    columns = [
        *(kinds == kind for kind in range(len(KINDS))),
        *_place_features(source, at),
        *_brightness_features(source, around),
        *_peak_features(at, kinds, value),
        *_symmetry(source, positions),
        *_island_features(source, positions, kinds),
    ]
    whole = _source_features(source, kinds)
    features = np.empty((len(columns) + len(whole), len(at)), np.float32)
    for row, column in zip(features, columns, strict=False):
        row[:] = column
    features[len(columns) :] = np.array(whole)[:, None]
    return features.T


def _place_features(
    source: SourcePixels, at: Float[np.ndarray, "k 2"]
) -> list[Float[np.ndarray, "k"]]:
    """Returns where in the source each landmark lies."""
    length = source.high - source.low
    return [
        *(at / (1 + np.abs(at))).T, *(at / length[0]).T,
        *((at - source.low) / length - 0.5).T, *(at / (source.rms + 0.3)).T,
        _log(np.hypot(*at.T) + 0.1),
        _shares_below(at[:, 0], source.places[:, 0], source.flux) - 0.5,
        _shares_below(at[:, 1], source.places[:, 1], source.flux) - 0.5,
    ]  # fmt: skip


def _brightness_features(
    source: SourcePixels, around: Float32[np.ndarray, "k s"]
) -> list[Float[np.ndarray, "k"]]:
    """Returns the brightness of each landmark, and of its surroundings."""
    value, rings = around[:, 0], around[:, 1:]
    relative = np.clip(rings / np.maximum(value, FAINTEST)[:, None], -0.5, 3)
    by_ring = relative.reshape(-1, len(RINGS), DIRECTIONS)
    return [
        _log(value), _log(value / source.flux.max()), *by_ring.mean(axis=2).T,
        *by_ring.min(axis=2).T, *by_ring.max(axis=2).T, *relative.T,
    ]  # fmt: skip


def _peak_features(
    at: Float[np.ndarray, "k 2"],
    kinds: Int[np.ndarray, "k"],
    value: Float[np.ndarray, "k"],
) -> list[Float[np.ndarray, "k"]]:
    """Returns how far the peaks are from each landmark, and how bright they are."""
    is_peak = kinds == KINDS.index("peak")
    peaks, tops = at[is_peak], value[is_peak]
    x, y = np.moveaxis(at[:, None] - peaks, -1, 0)
    distance = np.sqrt(x * x + y * y)
    rows = np.arange(len(at))
    order = np.argsort(distance, axis=1)
    nearest, next_one = order[:, 0], order[:, min(1, len(peaks) - 1)]
    near, second = distance[rows, nearest], distance[rows, next_one]
    other = np.where(distance < 0.3, 100, distance).min(axis=1)
    base = np.maximum(value, FAINTEST)
    tall = np.stack([tops[nearest], tops[next_one]])
    # Peaks come first, the brightest before the others.
    rank = np.where(is_peak, np.minimum(rows, 6) / 3, 0)
    return [
        _log(distance[:, 0] + 0.1), _log(np.minimum(other, 100)),
        _log(distance.max(axis=1) + 0.1), _log(second + 0.1),
        _log(second / (near + 0.1) + 0.1), _log(tall.max(axis=0) / base),
        _log(tall.min(axis=0) / base), rank,
    ]  # fmt: skip


def _island_features(
    source: SourcePixels,
    positions: Float[np.ndarray, "k 2"],
    kinds: Int[np.ndarray, "k"],
) -> list[Float[np.ndarray, "k"]]:
    """Returns whether each landmark is in an island, and in which."""
    own = source.cutout.own
    columns, rows = np.floor(positions).astype(int).T
    inside = np.clip(rows, 0, own.shape[0] - 1), np.clip(columns, 0, own.shape[1] - 1)
    number = own[inside]
    share = np.bincount(source.owners, source.flux) / source.flux.sum()
    tops = np.bincount(number[kinds == KINDS.index("peak")], minlength=len(share))
    return [number > 0, share[number], tops[number] / 3]


def _source_features(source: SourcePixels, kinds: Int[np.ndarray, "k"]) -> list[float]:
    """Returns what is known of the source as a whole."""
    flux, rms = source.flux, source.rms
    weights, area = flux / flux.sum(), source.cutout.beam**2
    x, y = source.places.T
    square = source.places * source.places
    skew = weights @ (square * source.places) / (rms * rms * rms + 0.03)
    flatness = weights @ (square * square) / (rms**4 + 0.01) / 3
    found = np.bincount(kinds, minlength=len(KINDS))
    return [
        math.log(flux.max()), math.log(flux.sum() / area), math.log(len(flux) / area),
        *_log(rms), *_log(source.high - source.low), *skew, *flatness,
        math.log(source.owners.max()), math.log(found[0]),
        weights @ (x * square[:, 1]) / (rms[0] * rms[1] ** 2 + 0.03),
        weights @ (y * square[:, 0]) / (rms[0] ** 2 * rms[1] + 0.03),
        found[1] / 2, found[2] / 2,
    ]  # fmt: skip


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, 1e-3))
