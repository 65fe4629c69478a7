"""The preprocessor for physical channels, in units of the noise and of the beam."""

import dataclasses
import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.preprocessing import (
    Bounds,
    Grid,
    View,
    check_image_size,
    make_view,
    scaled,
)
from claran.fields.rescaling import interpolate, linear_samples
from claran.sky.infrared_pictures import MEAN_INFRARED
from claran.sky.islands import LEVEL_RATIO, THRESHOLD

__all__ = [
    "CHANNELS",
    "ChannelScene",
    "Channels",
    "channel_image",
    "heat",
    "infrared_channel",
    "shown_infrared",
]

LEAST_BEAM = 0.5  # Pixels; no image of an interferometer is coarser.
BRIGHT = 1000.0  # Signal-to-noise with the value 1 in the signal channel.
LEVELS = 10  # Levels up to BRIGHT; the last has the value 1 in the contour channel.
STEP, COARSE_STEP = 16, 64  # Pixels; input sizes are multiples of these.
HALFWAY = 12.0  # Pixels from the center, where its channel is a half: four beams.
ROUNDING = 1e-5  # Of the infrared channel where it is averaged.
FINE_SIZE = 256  # Pixels; larger sizes are multiples of COARSE_STEP.

CHANNELS = ("signal", "contours", "valid", "infrared", "has_infrared")
"""Names of the physical channels, see `Channels`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels:
    """Float channels in units of the noise and of the beam.

    In the order of `CHANNELS`, with the signal-to-noise `s` (`Field.signal_to_noise`):

    * signal: `asinh(s) / asinh(1000)`; 0.12 for 1 sigma, 1 for 1,000 sigma;
    * contours: `(1 + floor(log(s / 5.196) / log(sqrt(3)))) / 10`, the number of Radio
      Galaxy Zoo's contours around the pixel; 0 below the first, 1 at 1,000 sigma;
    * valid: 1 for pixels with a value, 0 for blank ones and outside of the field;
    * infrared: `2 (p - 0.55)`, with the position `p` of the pixel's color in the color
      map "gist_heat", which is 0.55 for empty sky; also for gray pictures. 0 without an
      infrared image;
    * has_infrared: 1 with an infrared image that is not blank all over the view, or 0.

    If `centered`, one more: `1 / (1 + d / 12)`, with the distance `d` of the pixel from
    the center of the field, in pixels of the scene.
    """

    beam_pixels: float | None = 3.0
    """Width of the beam in the scene, pixels, see `Field.beam_pixels`; None to scale
    the field to `image_size`."""
    image_size: int | None = None
    """Longer side of the scene, pixels; only if `beam_pixels` is None."""
    centered: bool = False
    """Whether the network sees where the center of the field is. For cutouts around the
    sources of a catalog, most of which have the source to find in their center."""

    blank = 0.0
    needs_infrared = False

    def __post_init__(self) -> None:
        if (self.beam_pixels is None) == (self.image_size is None):
            raise ValueError(
                "give either `beam_pixels` or `image_size`, got "
                f"{self.beam_pixels} and {self.image_size}."
            )
        if self.beam_pixels is not None and not 1 <= self.beam_pixels <= 100:
            raise ValueError(
                f"`beam_pixels` must be in [1, 100], got {self.beam_pixels}."
            )
        if self.image_size is not None:
            check_image_size(self.image_size)

    @property
    def channels(self) -> int:
        """Number of channels of a view."""
        return len(CHANNELS) + self.centered

    @property
    def uses_beam(self) -> bool:
        """Whether the scale depends on the width of the beam."""
        return self.beam_pixels is not None

    def __call__(self, field: Field) -> "ChannelScene":
        if field.image is None:
            raise ValueError(
                f"{field.name}: is a picture, but the network needs a radio image; "
                "give FITS files, or a model that was trained on pictures."
            )
        height, width = field.shape
        scale, shape = self.scale(field), self.shape(field)
        ratio = field.signal_to_noise[::-1]
        if shape != (height, width):
            axes = map(linear_samples, (height, width), shape)
            ratio = interpolate(ratio, *axes)
        infrared = infrared_channel(field.picture, ratio)
        return ChannelScene(
            ratio, infrared, shape, scale, (height, width), self.centered
        )

    def shape(self, field: Field | Grid) -> tuple[int, int]:
        """Returns rows and columns of a field's scene, without making it."""
        return scaled(field.shape, self.scale(field))

    def scale(self, field: Field | Grid) -> float:
        """Returns the pixels of the scene per pixel of the field.

        Raises:
            ImageError: The beam is narrower than half a pixel or wider than the field.
        """
        longest = max(field.shape)
        if self.beam_pixels is None:
            assert self.image_size is not None  # noqa: S101 - checked when made.
            return self.image_size / longest
        beam = field.beam_pixels
        if not LEAST_BEAM <= beam <= longest:
            raise ImageError(
                f"{field.name}: the beam would be {beam:.3g} pixels wide and the field "
                f"{longest}; correct BMAJ and BMIN, which are in degrees, the size of "
                "a pixel, or --beam, which is in arcsec."
            )
        return self.beam_pixels / beam

    def size(self, rows: int, columns: int) -> tuple[int, int]:
        """Returns the next larger size of the network's input.

        There are few, as the network is compiled for each, and all are multiples of its
        strides.
        """
        rows, columns = (
            step * math.ceil(side / step)
            for side in (rows, columns)
            for step in [STEP if side <= FINE_SIZE else COARSE_STEP]
        )
        return rows, columns

    def get_config(self) -> dict[str, Any]:
        """Returns values for JSON, see `claran.fields.preprocessor_config`."""
        return {"kind": "channels"} | dataclasses.asdict(self)


class ChannelScene(NamedTuple):
    """Signal-to-noise and infrared at the network's resolution; see `Scene`.

    The channels are made for each view: those of a large field would need five times
    the memory of the image.
    """

    ratio: Float32[np.ndarray, "rows columns"]
    infrared: Float32[np.ndarray, "rows columns"] | None
    shape: tuple[int, int]
    scale: float
    picture_shape: tuple[int, int]
    centered: bool = False

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene; None for all of it."""
        x0, y0, x1, y1 = bounds or (0, 0, *self.shape[::-1])
        infrared = self.infrared
        if infrared is not None and bounds is not None:
            infrared = shown_infrared(infrared[y0:y1, x0:x1])
        image = channel_image(self.ratio[y0:y1, x0:x1], infrared)
        if self.centered:
            near = _nearness(self.shape, (x0, y0, x1, y1))
            image = np.concatenate([image, near[..., None]], axis=2)
        return make_view(image, self.scale, (x0, y0))


def channel_image(
    ratio: Float32[np.ndarray, "rows columns"],
    infrared: Float32[np.ndarray, "rows columns"] | None,
) -> Float32[np.ndarray, "rows columns 5"]:
    """Returns the channels of `Channels`.

    Args:
        ratio: Signal-to-noise; NaN where blank.
        infrared: See `infrared_channel`; None without.
    """
    image = np.zeros((*ratio.shape, len(CHANNELS)), np.float32)
    valid = np.isfinite(ratio)
    ratio = np.where(valid, ratio, np.float32(0))
    image[..., 0] = np.arcsinh(ratio) * np.float32(1 / math.asinh(BRIGHT))
    # Few pixels are above the threshold; others need no logarithm.
    above = ratio >= THRESHOLD
    level = np.log(ratio[above] / THRESHOLD) / math.log(LEVEL_RATIO)
    image[above, 1] = (1 + np.floor(level)) / LEVELS
    image[..., 2] = valid
    if infrared is not None:
        image[..., 3] = infrared
        image[..., 4] = 1
    return image


def _nearness(
    shape: tuple[int, int], bounds: Bounds
) -> Float32[np.ndarray, "rows columns"]:
    """Returns how near the center of a scene the pixels in some bounds are."""
    rows, columns = shape
    x0, y0, x1, y1 = bounds
    x, y = np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5
    distance = np.hypot(y[:, None] - rows / 2, x - columns / 2)
    return (1 / (1 + distance / HALFWAY)).astype(np.float32)


def infrared_channel(
    picture: UInt8[np.ndarray, "h w 3"] | None,
    ratio: Float32[np.ndarray, "rows columns"],
) -> Float32[np.ndarray, "rows columns"] | None:
    """Returns the infrared channel of a picture, at the size of the radio channels.

    Args:
        picture: BGR, row 0 on top; None without.
        ratio: The signal-to-noise, for its shape.
    """
    return None if picture is None else _shrink(heat(picture), *ratio.shape)


def shown_infrared(
    infrared: Float32[np.ndarray, "rows columns"],
) -> Float32[np.ndarray, "rows columns"] | None:
    """Returns the infrared channel of a part; None if the infrared is blank there.

    No real image has one color throughout, let alone that of blank pixels.
    """
    is_blank = (np.abs(infrared - BLANK_HEAT) < ROUNDING).all()
    return None if is_blank else infrared


def _shrink(
    values: Float32[np.ndarray, "h w"], rows: int, columns: int
) -> Float32[np.ndarray, "rows columns"]:
    if values.shape == (rows, columns):
        return values
    # With averages if it gets smaller, so that no star is lost between pixels.
    finer = values.shape[0] > rows
    method = cv2.INTER_AREA if finer else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (columns, rows), interpolation=method))


def _heat_table() -> Float32[np.ndarray, "766"]:
    """Returns the infrared channel for each sum of blue, green and red."""
    position = np.linspace(0, 1, 4096)
    slopes = np.array([[1.5, 2.0, 4.0]]).T * position + [[0.0], [-1.0], [-3.0]]
    total = 255 * np.clip(slopes, 0, 1).sum(axis=0)  # Rises throughout.
    return (2 * (np.interp(np.arange(766), total, position) - 0.55)).astype("f4")


HEAT = _heat_table()
BLANK_HEAT = HEAT[int(MEAN_INFRARED.sum(dtype=int))]


def heat(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Returns the infrared channel of each pixel of a picture, BGR."""
    blue, green, red = (picture[..., i].astype(np.uint16) for i in range(3))
    return HEAT[blue + green + red]
