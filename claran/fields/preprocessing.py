"""What a network sees of a field: a picture (D1, D3, D4), or physical channels.

Both fill a square of fixed size from its upper left corner, y down, and say in an
`image_info` of `(rows, columns, scale)` how much of it is the field, and how many of
its pixels make one of the picture. A box of the picture times `scale` is one of the
network.
"""

import dataclasses
import math
from typing import NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from claran.errors import ImageError
from claran.fields.field import Element, beam_pixels, signal_to_noise
from claran.sky.images import SkyImage
from claran.sky.islands import LEVEL_RATIO, THRESHOLD
from claran.sky.pictures import METHODS, array_to_picture, fuse

__all__ = ["CHANNELS", "Channels", "Inputs", "NetworkInput", "Picture", "place"]

CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR: VGG16 sees it as zero.
LEAST_BEAM = 0.5  # Pixels; no interferometer's image is so coarse.
BRIGHT = 1000.0  # Ratio to the noise that the signal channel shows as 1.
LEVELS = 10  # Levels up to BRIGHT; the contour channel shows the last as 1.

CHANNELS = ("signal", "contours", "valid", "infrared", "has_infrared")
"""The physical channels, see `Channels`."""


class NetworkInput(NamedTuple):
    """One field as a network sees it."""

    image: Float32[np.ndarray, "size size c"]
    image_info: Float32[np.ndarray, "3"]
    boxes: Float32[np.ndarray, "n 4"]  # Pixels of `image`, edges, y down.
    picture_shape: tuple[int, int]  # Rows and columns of the picture before scaling.


@runtime_checkable
class Inputs(Protocol):
    """Turns a field into a network's input."""

    @property
    def size(self) -> int:
        """Side of the square."""
        ...

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        ...

    def __call__(self, element: Element) -> NetworkInput: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """The picture of `claran.sky.pictures.fuse`, BGR 0 to 255, scaled to fit."""

    method: str | None = "D4"
    """One of fusion's; None takes the field's own picture, its `infrared`."""
    size: int = 600
    blank: tuple[float, float, float] = CAFFE_MEAN
    """Color of the square where the picture leaves it free."""

    channels = 3

    def __post_init__(self) -> None:
        _check_size(self.size)
        if self.method not in (*METHODS, None):
            raise ValueError(
                f"`method` must be one of {', '.join(METHODS)} or None, got "
                f"{self.method!r}."
            )

    def __call__(self, element: Element) -> NetworkInput:
        picture = self._draw(element)
        image = np.empty((self.size, self.size, 3), np.float32)
        image[:] = self.blank
        info = place(picture, image)
        shape = picture.shape[:2]
        boxes = _place_boxes(element, shape, info)
        return NetworkInput(image, info, boxes, shape)

    def _draw(self, element: Element) -> UInt8[np.ndarray, "h w 3"]:
        name, infrared = element["name"], element.get("infrared")
        if self.method == "D1":
            infrared = None
        elif infrared is None:
            raise ValueError(
                f"{name}: has no infrared picture, which {self.method or 'this'} "
                "needs; D1 works without."
            )
        if self.method is None:
            return np.asarray(infrared)
        radio = SkyImage(values=element["radio"], name=name)
        return fuse(radio, infrared, method=self.method)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels:
    """Float channels in units of the noise and, if wanted, of the beam.

    With `s` the radio brightness over the noise (`signal_to_noise`), in the order of
    `CHANNELS`:

    * signal: `asinh(s) / asinh(1000)`; 1 sigma is 0.12, 1,000 sigma is 1;
    * contours: `(1 + floor(log(s / 5.196) / log(sqrt(3)))) / 10`, the number of Radio
      Galaxy Zoo's contours around the pixel; 0 below the first, 1 at 1,000 sigma;
    * valid: 1 where the radio image is, 0 where it is blank or the field ends;
    * infrared: twice the place in the color map "gist_heat" less 0.55, that of the
      empty sky; grey pictures do as well. 0 without infrared;
    * has_infrared: 1 in the field if it comes with infrared, else 0.
    """

    size: int = 160
    beam: float | None = None
    """Pixels that the width of the beam is scaled to, see
    `claran.fields.field.beam_width`; None scales the field to fit."""

    channels = len(CHANNELS)

    def __post_init__(self) -> None:
        _check_size(self.size)
        if self.beam is not None and not 1 <= self.beam <= 100:
            raise ValueError(f"`beam` must be in [1, 100] pixels, got {self.beam}.")

    def __call__(self, element: Element) -> NetworkInput:
        if not element["noise"] > 0:
            raise ValueError(
                f"{element['name']}: `noise` must be above 0, got {element['noise']}; "
                "measure it with claran.sky.contours.noise."
            )
        shape = element["radio"].shape
        scale = self._scale(element)
        signal = np.full((self.size, self.size), np.nan, np.float32)
        ratio = signal_to_noise(element)[::-1]
        info = place(ratio, signal, scale=scale)
        image = np.zeros((self.size, self.size, len(CHANNELS)), np.float32)
        _fill_radio(signal, image)
        infrared = element.get("infrared")
        if infrared is not None:
            rows, columns = int(info[0]), int(info[1])
            field = image[:rows, :columns]
            field[..., 3] = _shrink(_heat(infrared), rows, columns)
            field[..., 4] = 1
        return NetworkInput(image, info, _place_boxes(element, shape, info), shape)

    def _scale(self, element: Element) -> float | None:
        if self.beam is None:
            return None
        name, longest = element["name"], max(element["radio"].shape)
        beam = beam_pixels(element)
        if not LEAST_BEAM <= beam <= longest:
            raise ImageError(
                f"{name}: its beam would be {beam:.3g} pixels wide and the field "
                f"{longest}; correct BMAJ and BMIN, which are in degrees, or the "
                "pixels' size, or give the beam."
            )
        scale = self.beam / beam
        if round(longest * scale) > self.size:
            raise ValueError(
                f"{name}: with a beam of {self.beam:g} pixels it needs a `size` of "
                f"{math.ceil(longest * scale)}, got {self.size}; raise it, or cut the "
                "field into tiles."
            )
        return scale


def place(
    picture: Shaped[np.ndarray, "h w *c"],
    canvas: Float[np.ndarray, "size size *c"],
    *,
    scale: float | None = None,
) -> Float32[np.ndarray, "3"]:
    """Scales a picture into the upper left of a square; returns its `image_info`.

    Args:
        picture: Row 0 on top.
        canvas: Written to.
        scale: Pixels of the canvas to one of the picture; None for the picture to fit.
    """
    height, width = picture.shape[:2]
    if scale is None:
        scale = len(canvas) / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    if (rows, columns) == (height, width):
        canvas[:rows, :columns] = picture
    else:
        # In float32, as ClaRAN: rounding to 8 bits first would move the activations.
        cv2.resize(
            picture.astype(np.float32),
            (columns, rows),
            dst=canvas[:rows, :columns],
            interpolation=cv2.INTER_LINEAR,
        )
    return np.array([rows, columns, scale], np.float32)


def _fill_radio(
    ratio: Float32[np.ndarray, "n n"], image: Float32[np.ndarray, "n n c"]
) -> None:
    """Writes the first three channels, from brightness over noise, NaN where blank."""
    valid = np.isfinite(ratio)
    ratio = np.where(valid, ratio, np.float32(0))
    image[..., 0] = np.arcsinh(ratio) * np.float32(1 / math.asinh(BRIGHT))
    # Few pixels are above the threshold: only these pay for a logarithm.
    above = ratio >= THRESHOLD
    level = np.log(ratio[above] / THRESHOLD) / math.log(LEVEL_RATIO)
    image[above, 1] = (1 + np.floor(level)) / LEVELS
    image[..., 2] = valid


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


def _place_boxes(
    element: Element, picture_shape: tuple[int, int], info: Float32[np.ndarray, "3"]
) -> Float32[np.ndarray, "n 4"]:
    boxes = array_to_picture(element["boxes"], element["radio"].shape, picture_shape)
    return boxes * info[2]


def _check_size(size: int) -> None:
    if not size >= 16:
        raise ValueError(f"`size` must be at least 16 pixels, got {size}.")
