"""Which place in a RadioGalaxyNET picture is the host of a source.

Infrared pictures of RadioGalaxyNET are clipped to 8 bits, most of them around a source
whose host is in their center. So the host is chosen among the maxima of the infrared
picture, the place that is most probable by the radio image alone, and the center of the
picture, by a conditional logit (McFadden 1974) with the features of `places`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.optimize import minimize
from scipy.special import logsumexp

from claran.fields.field import Field
from claran.hosts.landmarks import find_landmarks
from claran.hosts.position_density import HostDensity, host_densities

SMOOTHING = 1.2  # Pixels, one sigma.
FAINTEST = 3.0  # Gray levels of 255.
# Pixels, x and y up, from maxima to hosts: the median over the training images.
OFFSET = 0.5, -0.5
LEAST = 12.0  # Natural logarithm: places less probable than the best one by more.
RIGHT = 3.0  # Pixels.
DECAY = 0.5
PEAK, RADIO, CENTER = range(3)


class Places(NamedTuple):
    """Places that may be the host of one source.

    Attributes:
        points: (p, 2), edges, pixels of the field, y up.
        features: (p, f).
    """

    points: Float[np.ndarray, "p 2"]
    features: Float[np.ndarray, "p f"]


def places(
    field: Field,
    groups: Sequence[Int[np.ndarray, "k"]],
    boxes: Float[np.ndarray, "n 4"],
    *,
    centered: bool,
) -> list[Places]:
    """Returns the places that may be the host of each source in a field.

    Args:
        field: The field, with an infrared picture.
        groups: Islands of each source.
        boxes: Of the sources, edges, pixels of the field, y up.
        centered: Whether the center of the field is a place.
    """
    smooth, peaks = infrared_peaks(field)
    ratio, beam = field.signal_to_noise, field.beam_pixels
    marks = [find_landmarks(ratio, field.islands, list(g), beam) for g in groups]
    center = np.array(field.shape[::-1]) / 2
    return [
        _of_source(density, box, smooth, peaks, center if centered else None)
        for density, box in zip(host_densities(marks), boxes, strict=True)
    ]


def infrared_peaks(
    field: Field,
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "m 2"]]:
    """Returns the smoothed infrared picture, y up, and its maxima."""
    assert field.picture is not None  # noqa: S101 - all have one.
    gray = field.picture[::-1, :, 0].astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(gray, (0, 0), SMOOTHING))
    highest = np.asarray(cv2.dilate(smooth, np.ones((5, 5), np.uint8)))
    tops: Any = ndimage.label((smooth >= highest) & (smooth > FAINTEST))
    labels, count = tops
    middles = ndimage.center_of_mass(labels > 0, labels, range(1, count + 1))
    return smooth, np.reshape(middles, (-1, 2))[:, ::-1] + 0.5 + OFFSET


def _of_source(
    density: HostDensity,
    box: Float[np.ndarray, "4"],
    smooth: Float[np.ndarray, "h w"],
    peaks: Float[np.ndarray, "m 2"],
    center: Float[np.ndarray, "2"] | None,
) -> Places:
    best, error = density.best()
    more = [best] if center is None else [best, center]
    points = np.concatenate([peaks, more])
    kind = np.array([PEAK] * len(peaks) + [RADIO, CENTER][: len(more)])
    log = density.logpdf(points)
    kept = (log > log.max() - LEAST) | (kind != PEAK)
    points, kind, log = points[kept], kind[kept], log[kept]
    x, y = np.clip(points.astype(int).T, 0, np.array(smooth.shape[::-1])[:, None] - 1)
    bright = np.log1p(smooth[y, x])
    size = max(float(np.hypot(*(box[2:] - box[:2]))) / 2, 1.0)
    off = (
        0.0 if center is None else float(np.hypot(*((box[:2] + box[2:]) / 2 - center)))
    )
    peak, radio, middle = ((kind == one).astype(float) for one in range(3))
    features = [
        log - log.max(), peak * (bright - 3), peak * (bright**2 / 10 - 1),
        radio, radio * np.log(error),
        middle, middle * min(off / size, 5.0), middle * np.log1p(off), middle * bright,
    ]  # fmt: skip
    return Places(points, np.stack(features, axis=1))


def fit(
    sources: Sequence[Places], hosts: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "f"]:
    """Returns the weights of the features under which the hosts are most probable.

    Sources without a place within 3 pixels of the host count for nothing.
    """
    right = [near(one, host) for one, host in zip(sources, hosts, strict=True)]
    used = [(s.features, r) for s, r in zip(sources, right, strict=True) if r.any()]

    def loss(weights: Float[np.ndarray, "f"]) -> tuple[float, Float[np.ndarray, "f"]]:
        total, slope = DECAY * weights @ weights / 2, DECAY * weights
        for features, hit in used:
            logits = features @ weights
            logits -= logsumexp(logits)
            share = np.where(hit, np.exp(logits), 0)
            total -= np.log(share.sum())
            slope = slope - (share / share.sum() - np.exp(logits)) @ features
        return float(total), slope

    return minimize(loss, np.zeros(sources[0].features.shape[1]), jac=True).x


def near(source: Places, host: Float[np.ndarray, "2"]) -> Bool[np.ndarray, "p"]:
    """Returns which places are within 3 pixels of the host."""
    return np.hypot(*(source.points - host).T) < RIGHT


def choose(source: Places, weights: Float[np.ndarray, "f"]) -> Float[np.ndarray, "2"]:
    """Returns the most probable place of the host."""
    return source.points[int((source.features @ weights).argmax())]
