"""Where the fits of an island's Gaussians start."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int

__all__ = ["find_seeds", "split_seeds"]

DIP = 2.0  # Sigmas that the emission must fall between two seeds.
DIP_SHARE = 0.02  # And this share of the fainter peak, for artifacts of bright sources.
REACH = 4.0  # Beam sigmas; more distant maxima are apart whatever lies between.
FAINTEST = 4.0  # Signal-to-noise of a maximum.


def find_seeds(
    signal_to_noise: Float32[np.ndarray, "h w"],
    flood: Bool[np.ndarray, "h w"],
    to_sigmas: Float[np.ndarray, "2 2"],
) -> Int[np.ndarray, "k 2"]:
    """Returns rows and columns of the maxima of an island, the brightest first.

    A maximum counts if the emission falls on the straight line to each brighter one.

    Args:
        signal_to_noise: Of the cutout.
        flood: Pixels of the island.
        to_sigmas: See `claran.photometry.pixel_beams.PixelBeam`.
    """
    ratio = np.where(flood, signal_to_noise, np.float32(0))
    top = cv2.dilate(ratio, np.ones((3, 3), np.uint8))
    places = np.argwhere((ratio == top) & (ratio > FAINTEST))
    if len(places) <= 1:
        return places if len(places) else np.argwhere(ratio == ratio.max())[:1]
    heights = ratio[places[:, 0], places[:, 1]]
    places = places[np.argsort(-heights, kind="stable")]
    kept: list[int] = [0]
    for index in range(1, len(places)):
        offsets = places[kept] - places[index]
        near = np.hypot(*(to_sigmas @ offsets[:, ::-1].T)) < REACH
        if all(_falls(ratio, places[index], offset) for offset in offsets[near]):
            kept.append(index)
    return places[kept]


def _falls(
    ratio: Float32[np.ndarray, "h w"],
    place: Int[np.ndarray, "2"],
    offset: Int[np.ndarray, "2"],
) -> bool:
    """Returns whether the emission falls on the straight line to a brighter maximum."""
    height = ratio[tuple(place)]
    steps = np.linspace(0, 1, int(np.abs(offset).max()) + 1)[1:-1, None]
    y, x = np.rint(place + steps * offset).astype(int).T
    least = DIP + DIP_SHARE * height
    return len(y) > 0 and bool(height - ratio[y, x].min() >= least)


def split_seeds(
    seeds: Float[np.ndarray, "k 2"], most: int
) -> list[Int[np.ndarray, "_"]]:
    """Returns the indices of groups of at most so many seeds, each close together.

    Too large a group is cut in two halves across its longer side.
    """
    groups, waiting = [], [np.arange(len(seeds))]
    while waiting:
        group = waiting.pop()
        if len(group) <= most:
            groups.append(group)
            continue
        points = seeds[group]
        axis = int(np.argmax(np.ptp(points, axis=0)))
        order = group[np.argsort(points[:, axis], kind="stable")]
        waiting += [np.sort(part) for part in np.array_split(order, 2)]
    return sorted(groups, key=lambda group: int(group[0]))
