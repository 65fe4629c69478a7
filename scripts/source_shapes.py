"""Which class a RadioGalaxyNET source has, by what is measured of its shape.

Its labels agree with a rule: FR-I, FR-X and FR-II differ in how far the peaks of a
source are from each other, as a share of its extent, and most of R have one peak. So a
class follows from peaks and extents, as those of Radio Galaxy Zoo follow from numbers
of components and peaks. A small network learns from the labels what counts.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError, distance

from claran.fields.field import Field

import keras  # isort: skip

LEVELS = (1.0, 2.0, 3.0, 5.0)  # Signal-to-noise of the outlines.
FAINTEST = 3.0  # Of peaks.
SMOOTHING = (0.0, 1.0, 2.0)  # Pixels, one sigma: peaks are counted on each.
PEAKS = 4
BINS = 12
FEATURES = 3 + len(LEVELS) + BINS + 6 + len(SMOOTHING) * (2 * PEAKS + 3)
MEMBERS = 5  # Networks, whose probabilities are averaged.
HIDDEN = 32


def shapes(
    field: Field, groups: Sequence[Int[np.ndarray, "k"]]
) -> Float[np.ndarray, "n f"]:
    """Returns what is measured of some sources of a field.

    Args:
        field: The field.
        groups: Islands of each source.
    """
    ratio, labels = field.signal_to_noise, field.islands.labels
    outlines = [
        ndimage.label(ratio > level, np.ones((3, 3)))[0]  # type: ignore[index]
        for level in LEVELS
    ]
    images = [cv2.GaussianBlur(ratio, (0, 0), s) if s else ratio for s in SMOOTHING]
    tops = [
        (image >= cv2.dilate(image, np.ones((3, 3), np.uint8))) & (image > FAINTEST)
        for image in images
    ]
    rows = []
    for group in groups:
        inside = np.isin(labels, group + 1)
        lengths = [_extent(_touched(outline, inside)) for outline in outlines]
        extent = lengths[LEVELS.index(FAINTEST)]
        found: list[float] = [
            *np.eye(3)[min(len(group), 3) - 1],
            *np.log(np.array(lengths) / field.beam_pixels),
            *_profile(ratio, inside, extent),
        ]  # fmt: skip
        for image, top in zip(images, tops, strict=True):
            found += _peaks(image, top & inside, extent)
        rows.append(found)
    return np.array(rows, np.float32).reshape(len(groups), FEATURES)


def _touched(
    outline: Int[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Returns the outlines that a source touches."""
    numbers = np.unique(outline[inside])
    return np.isin(outline, numbers[numbers > 0])


def _extent(inside: Bool[np.ndarray, "h w"]) -> float:
    """Returns the largest distance between two pixels, plus one."""
    points = np.argwhere(inside).astype(float)
    if len(points) < 2:
        return 1.0
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:  # All on a line.
        points = points[[0, -1]]
    return float(distance.pdist(points).max()) + 1


def _profile(
    ratio: Float[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"], extent: float
) -> Iterator[float]:
    """Yields the flux along the principal axis, and its moments."""
    points, flux = np.argwhere(inside).astype(float), ratio[inside].astype(float)
    flux = np.maximum(flux, 1e-3) / np.maximum(flux, 1e-3).sum()
    center = flux @ points
    offsets = points - center
    spread, axes = np.linalg.eigh((offsets * flux[:, None]).T @ offsets)
    along = offsets @ axes[:, 1]
    edges = np.linspace(along.min() - 1e-6, along.max() + 1e-6, BINS + 1)
    share, _ = np.histogram(along, edges, weights=flux)
    yield from share if share[: BINS // 2].sum() > 0.5 else share[::-1]
    yield float(np.log(spread[1] + 0.1) - np.log(spread[0] + 0.1))
    yield float(flux @ np.hypot(*offsets.T)) / extent
    yield float(np.hypot(*offsets[flux.argmax()])) / extent
    yield len(flux) / extent**2
    yield float(np.log(len(flux)))
    yield float(np.log(np.maximum(ratio[inside].max(), 1.0)))


def _peaks(
    image: Float[np.ndarray, "h w"], top: Bool[np.ndarray, "h w"], extent: float
) -> list[float]:
    """Returns number, brightness and distances of peaks in units of the extent."""
    labels: Any = ndimage.label(top, np.ones((3, 3)))  # Plateaus are one peak.
    numbers = np.arange(1, labels[1] + 1)
    points = np.array(ndimage.center_of_mass(top, labels[0], numbers)).reshape(-1, 2)
    heights = np.array(ndimage.maximum(image, labels[0], numbers)).reshape(-1)
    order = np.argsort(-heights, kind="stable")
    points, heights = points[order], heights[order]
    count = np.eye(PEAKS + 1)[min(len(points), PEAKS)].tolist()
    heights = np.pad(heights, (0, PEAKS))[1:PEAKS] / max(float(heights[:1].sum()), 1e-6)
    between = distance.pdist(points[: 2 * PEAKS])
    two = float(between[0]) if len(between) else 0.0
    bright = points[: (heights > 0.3).sum() + 1]
    outer = [
        float(distance.pdist(some).max()) if len(some) > 1 else 0.0
        for some in (points[: 2 * PEAKS], bright)
    ]
    return [*count, *heights.tolist(), two / extent, *(one / extent for one in outer)]


class Classifier:
    """Probabilities of the classes by the shape of a source.

    Args:
        features: (n, f) of the training sources.
        labels: Class of each, from 1.
        class_count: Number of classes.
    """

    def __init__(
        self,
        features: Float[np.ndarray, "n f"],
        labels: Int[np.ndarray, "n"],
        class_count: int,
    ) -> None:
        self.mean, self.scale = features.mean(axis=0), features.std(axis=0) + 1e-3
        self.members = [
            self._fitted(features, labels, class_count, seed) for seed in range(MEMBERS)
        ]

    def __call__(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n c"]:
        """Returns the probability of each class."""
        scaled = (features - self.mean) / self.scale
        return np.mean([np.asarray(one(scaled)) for one in self.members], axis=0)

    def _fitted(
        self,
        features: Float[np.ndarray, "n f"],
        labels: Int[np.ndarray, "n"],
        class_count: int,
        seed: int,
    ) -> Any:
        keras.utils.set_random_seed(seed)
        decay = keras.regularizers.L2(3e-3)
        network = keras.Sequential([
            keras.Input((features.shape[1],)),
            keras.layers.Dense(HIDDEN, activation="gelu", kernel_regularizer=decay),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(class_count, activation="softmax"),
        ])  # fmt: skip
        network.compile(
            keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy()
        )
        scaled = (features - self.mean) / self.scale
        quiet: Any = 0
        network.fit(scaled, labels - 1, batch_size=64, epochs=60, verbose=quiet)
        return network
