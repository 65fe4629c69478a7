"""The pixels of one radio source, and a frame in which turns do not matter.

The frame is in units of the beam. Its origin is the center of the flux, its first axis
the principal one. The axes point to the side on which the source reaches farther. So a
source that is turned or mirrored has the same places in it.
"""

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

from claran.sky.islands import Islands

__all__ = [
    "Cutout",
    "Frame",
    "SourcePixels",
    "cut_out",
    "margin_pixels",
    "measure_source",
    "sample",
]

MARGIN = 4.0  # Beams around the islands in which the image is looked at.


@dataclasses.dataclass(frozen=True, eq=False)
class Cutout:
    """The image about a source; positions are in pixels of the cutout.

    Attributes:
        values: Signal-to-noise, zero in the islands of other sources.
        own: Number of the source's island that a pixel is in, from 1, else 0.
        free: Whether a pixel is in no island.
        corner: `(x, y)` of the cutout in the image.
        beam: FWHM, pixels.
    """

    values: Float32[np.ndarray, "h w"]
    own: Int32[np.ndarray, "h w"]
    free: Bool[np.ndarray, "h w"]
    corner: tuple[int, int]
    beam: float


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """The frame of a source: `(points - origin) @ axes.T / beam`.

    Attributes:
        origin: Center of the flux, pixels of the cutout.
        axes: (2, 2) unit vectors, one a row.
        beam: FWHM, pixels.
    """

    origin: Float[np.ndarray, "2"]
    axes: Float[np.ndarray, "2 2"]
    beam: float

    def to(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        return (points - self.origin) @ self.axes.T / self.beam

    def back(self, places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        return places * self.beam @ self.axes + self.origin


@dataclasses.dataclass(frozen=True, eq=False)
class SourcePixels:
    """The pixels of a source's islands, and what they say of it.

    Attributes:
        cutout: The image about it.
        frame: Its frame.
        pixels: (n, 2) centers of its pixels in the cutout.
        flux: (n,) their brightness, sigma.
        owners: (n,) the island that each is in, from 1.
        places: (n, 2) the centers in the frame, beams.
        low: (2,) the lowest of these.
        high: (2,) the highest of these.
        rms: (2,) their root mean square, weighted by flux.
    """

    cutout: Cutout
    frame: Frame
    pixels: Float[np.ndarray, "n 2"]
    flux: Float[np.ndarray, "n"]
    owners: Int[np.ndarray, "n"]
    places: Float[np.ndarray, "n 2"]
    low: Float[np.ndarray, "2"]
    high: Float[np.ndarray, "2"]
    rms: Float[np.ndarray, "2"]


def margin_pixels(beam: float) -> int:
    """Returns how far around the islands of a source the image is looked at.

    Args:
        beam: FWHM of the beam, pixels.
    """
    return math.ceil(MARGIN * beam)


def cut_out(
    image: Float32[np.ndarray, "ny nx"],
    islands: Islands,
    group: Sequence[int],
    beam: float,
) -> Cutout:
    """Returns the image about a source.

    Args:
        image: Signal-to-noise; NaN where it is blank.
        islands: All islands of the image.
        group: Numbers of the source's islands, from 0.
        beam: FWHM of the beam, pixels.
    """
    boxes = islands.boxes[list(group)]
    margin = margin_pixels(beam)
    x0, y0 = (max(int(low) - margin, 0) for low in boxes[:, :2].min(axis=0))
    x1, y1 = (int(high) + margin for high in boxes[:, 2:].max(axis=0))
    labels = islands.labels[y0:y1, x0:x1]
    own = np.zeros(labels.shape, np.int32)
    for number, island in enumerate(group, start=1):
        own[labels == island + 1] = number
    free = labels == 0
    values = np.where(free | (own > 0), image[y0:y1, x0:x1], 0).astype(np.float32)
    np.nan_to_num(values, copy=False)
    return Cutout(values, own, free, (x0, y0), beam)


def measure_source(cutout: Cutout) -> SourcePixels:
    """Returns the pixels of a source, and its frame."""
    rows, columns = np.nonzero(cutout.own)
    pixels = np.stack([columns, rows], axis=1) + 0.5
    flux = cutout.values[rows, columns].astype(np.float64)
    frame = _frame(pixels, flux, cutout.beam)
    places = frame.to(pixels)
    return SourcePixels(
        cutout=cutout, frame=frame, pixels=pixels, flux=flux,
        owners=cutout.own[rows, columns], places=places,
        low=places.min(axis=0) - 0.5 / cutout.beam,
        high=places.max(axis=0) + 0.5 / cutout.beam,
        rms=np.sqrt(flux @ (places * places) / flux.sum()),
    )  # fmt: skip


def _frame(
    pixels: Float[np.ndarray, "n 2"], flux: Float[np.ndarray, "n"], beam: float
) -> Frame:
    weights = flux / flux.sum()
    origin = weights @ pixels
    offsets = pixels - origin
    (xx, xy), (_, yy) = (offsets * weights[:, None]).T @ offsets
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    cos, sin = math.cos(angle), math.sin(angle)
    axes = np.array([[cos, sin], [-sin, cos]])
    # The third moments show to which side of the center the source reaches farther.
    offsets = offsets @ axes.T
    axes[weights @ (offsets * offsets * offsets) < 0] *= -1
    return Frame(origin, axes, beam)


def sample(
    image: Float32[np.ndarray, "h w"], points: Float[np.ndarray, "*n 2"]
) -> Float32[np.ndarray, "*n"]:
    """Returns values between pixels; zero outside the image."""
    x, y = np.moveaxis(np.atleast_2d(points - 0.5).astype(np.float32), -1, 0)
    shape = x.shape
    x, y = x.reshape(1, -1), y.reshape(1, -1)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR).reshape(shape)
