"""Physical channels: what a network sees in units of the noise and of the beam."""

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
    View,
    check_image_size,
    make_view,
    scaled,
)
from claran.sky.islands import LEVEL_RATIO, THRESHOLD

__all__ = [
    "CHANNELS",
    "ChannelScene",
    "Channels",
    "channel_image",
    "infrared_channel",
]

LEAST_BEAM = 0.5  # Pixels; no interferometer's image is so coarse.
BRIGHT = 1000.0  # Ratio to the noise that the signal channel shows as 1.
LEVELS = 10  # Levels up to BRIGHT; the contour channel shows the last as 1.
STEP, COARSE_STEP = 16, 64  # Pixels: sizes that a network is compiled for.
FINE_SIZE = 256  # Pixels, up to which sizes come in fine steps.

CHANNELS = ("signal", "contours", "valid", "infrared", "has_infrared")
"""The physical channels, see `Channels`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels:
    """Float channels in units of the noise and of the beam.

    With `s` the radio brightness over the noise (`Field.signal_to_noise`), in the order
    of `CHANNELS`:

    * signal: `asinh(s) / asinh(1000)`; 1 sigma is 0.12, 1,000 sigma is 1;
    * contours: `(1 + floor(log(s / 5.196) / log(sqrt(3)))) / 10`, the number of Radio
      Galaxy Zoo's contours around the pixel; 0 below the first, 1 at 1,000 sigma;
    * valid: 1 where the radio image is, 0 where it is blank or the field ends;
    * infrared: twice the place in the color map "gist_heat" less 0.55, that of the
      empty sky; grey pictures do as well. 0 without infrared;
    * has_infrared: 1 in the field if it comes with infrared, else 0.
    """

    beam_pixels: float | None = 3.0
    """Pixels that the width of the beam is scaled to, see `Field.beam_pixels`; None
    scales the field to fit `image_size`."""
    image_size: int | None = None
    """Side of the square that a field is scaled to fit; with `beam_pixels` None."""

    channels = len(CHANNELS)
    blank = 0.0
    needs_infrared = False

    def __post_init__(self) -> None:
        if (self.beam_pixels is None) == (self.image_size is None):
            raise ValueError(
                "give one of `beam_pixels` and `image_size`, got "
                f"{self.beam_pixels} and {self.image_size}."
            )
        if self.beam_pixels is not None and not 1 <= self.beam_pixels <= 100:
            raise ValueError(
                f"`beam_pixels` must be in [1, 100], got {self.beam_pixels}."
            )
        if self.image_size is not None:
            check_image_size(self.image_size)

    @property
    def uses_beam(self) -> bool:
        """Whether the scale follows from the beam."""
        return self.beam_pixels is not None

    def __call__(self, field: Field) -> "ChannelScene":
        if field.image is None:
            raise ValueError(
                f"{field.name}: is a picture, and the network looks at radio images; "
                "give FITS files, or a model that was trained on pictures."
            )
        height, width = field.shape
        scale, shape = self._scale(field), self.shape(field)
        ratio = field.signal_to_noise[::-1]
        if shape != (height, width):
            ratio = cv2.resize(np.ascontiguousarray(ratio), shape[::-1])
        ratio = np.asarray(ratio, np.float32)
        infrared = infrared_channel(field.picture, ratio)
        return ChannelScene(ratio, infrared, shape, scale, (height, width))

    def shape(self, field: Field) -> tuple[int, int]:
        """Returns rows and columns of a field's scene, without making it."""
        return scaled(field.shape, self._scale(field))

    def size(self, rows: int, columns: int) -> tuple[int, int]:
        """Returns the next size up: few are compiled, all multiples of every stride."""
        rows, columns = (
            step * math.ceil(side / step)
            for side in (rows, columns)
            for step in [STEP if side <= FINE_SIZE else COARSE_STEP]
        )
        return rows, columns

    def get_config(self) -> dict[str, Any]:
        """Returns plain values for `claran.fields.preprocessor_config`."""
        return {"kind": "channels"} | dataclasses.asdict(self)

    def _scale(self, field: Field) -> float:
        longest = max(field.shape)
        if self.beam_pixels is None:
            assert self.image_size is not None  # noqa: S101 - checked when made.
            return self.image_size / longest
        beam = field.beam_pixels
        if not LEAST_BEAM <= beam <= longest:
            raise ImageError(
                f"{field.name}: its beam would be {beam:.3g} pixels wide and the field "
                f"{longest}; correct BMAJ and BMIN, which are in degrees, or the "
                "pixels' size, or give the beam."
            )
        return self.beam_pixels / beam


class ChannelScene(NamedTuple):
    """Ratio to the noise, and infrared, at the network's resolution; see `Scene`.

    The channels are made view by view: of a large field they would take five times the
    memory of the image.
    """

    ratio: Float32[np.ndarray, "rows columns"]
    infrared: Float32[np.ndarray, "rows columns"] | None
    shape: tuple[int, int]
    scale: float
    picture_shape: tuple[int, int]

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene, or all of it."""
        x0, y0, x1, y1 = bounds or (0, 0, *self.shape[::-1])
        infrared = self.infrared
        if infrared is not None:
            infrared = infrared[y0:y1, x0:x1]
        image = channel_image(self.ratio[y0:y1, x0:x1], infrared)
        return make_view(image, self.scale, (x0, y0))


def channel_image(
    ratio: Float32[np.ndarray, "rows columns"],
    infrared: Float32[np.ndarray, "rows columns"] | None,
) -> Float32[np.ndarray, "rows columns 5"]:
    """Returns the channels of `Channels`.

    Args:
        ratio: Brightness over noise, NaN where blank.
        infrared: See `infrared_channel`.
    """
    image = np.zeros((*ratio.shape, len(CHANNELS)), np.float32)
    valid = np.isfinite(ratio)
    ratio = np.where(valid, ratio, np.float32(0))
    image[..., 0] = np.arcsinh(ratio) * np.float32(1 / math.asinh(BRIGHT))
    # Few pixels are above the threshold: only these pay for a logarithm.
    above = ratio >= THRESHOLD
    level = np.log(ratio[above] / THRESHOLD) / math.log(LEVEL_RATIO)
    image[above, 1] = (1 + np.floor(level)) / LEVELS
    image[..., 2] = valid
    if infrared is not None:
        image[..., 3] = infrared
        image[..., 4] = 1
    return image


def infrared_channel(
    picture: UInt8[np.ndarray, "h w 3"] | None,
    ratio: Float32[np.ndarray, "rows columns"],
) -> Float32[np.ndarray, "rows columns"] | None:
    """Returns the infrared channel of a picture at the size of the radio channels."""
    return None if picture is None else _shrink(_heat(picture), *ratio.shape)


def _shrink(
    values: Float32[np.ndarray, "h w"], rows: int, columns: int
) -> Float32[np.ndarray, "rows columns"]:
    if values.shape == (rows, columns):
        return values
    # Averages where it gets smaller, so that no star is lost between pixels.
    finer = values.shape[0] > rows
    method = cv2.INTER_AREA if finer else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (columns, rows), interpolation=method))


def _heat_table() -> Float32[np.ndarray, "766"]:
    """Returns the infrared channel of each sum of blue, green and red."""
    place_in_map = np.linspace(0, 1, 4096)
    slopes = np.array([[1.5, 2.0, 4.0]]).T * place_in_map + [[0.0], [-1.0], [-3.0]]
    total = 255 * np.clip(slopes, 0, 1).sum(axis=0)  # Rises throughout.
    return (2 * (np.interp(np.arange(766), total, place_in_map) - 0.55)).astype("f4")


HEAT = _heat_table()


def _heat(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    blue, green, red = (picture[..., i].astype(np.uint16) for i in range(3))
    return HEAT[blue + green + red]
