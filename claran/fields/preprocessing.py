"""What a network sees of a field: a picture (D1, D3, D4), or physical channels.

A preprocessor brings a field to the network's resolution, y down. The network is shown
all of it, or windows of it. A `View` says in an `image_info` of `(rows, columns,
scale)` how large it is, and how many of its pixels make one of the field's picture. A
box of the picture times `scale`, less the view's origin, is one of the network.
"""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from claran.errors import ImageError
from claran.fields.field import Field
from claran.sky.islands import LEVEL_RATIO, THRESHOLD
from claran.sky.pictures import METHODS, array_to_picture, fuse, picture_to_array

__all__ = [
    "CHANNELS",
    "Channels",
    "Picture",
    "Preprocessor",
    "Scene",
    "View",
    "channel_image",
    "field_boxes",
    "infrared_channel",
    "network_boxes",
    "padded",
    "preprocessor_from_config",
]

CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR: VGG16 sees it as zero.
LEAST_BEAM = 0.5  # Pixels; no interferometer's image is so coarse.
BRIGHT = 1000.0  # Ratio to the noise that the signal channel shows as 1.
LEVELS = 10  # Levels up to BRIGHT; the contour channel shows the last as 1.
STEP, COARSE_STEP = 16, 64  # Pixels: sizes that a network is compiled for.
FINE_SIZE = 256  # Pixels, up to which sizes come in fine steps.

CHANNELS = ("signal", "contours", "valid", "infrared", "has_infrared")
"""The physical channels, see `Channels`."""

Bounds = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels of a scene, y down."""


class View(NamedTuple):
    """What a network is shown of a field at once."""

    image: Float32[np.ndarray, "rows columns c"]
    image_info: Float32[np.ndarray, "3"]
    origin: tuple[int, int] = (0, 0)  # (x, y) in the scene.


@runtime_checkable
class Scene(Protocol):
    """A field at the network's resolution, y down; views are cut from it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def scale(self) -> float:
        """Pixels of the scene to one of the picture."""
        ...

    @property
    def picture_shape(self) -> tuple[int, int]:
        """Rows and columns of the field's picture."""
        ...

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene, or all of it."""
        ...


@runtime_checkable
class Preprocessor(Protocol):
    """Turns a field into what a network sees."""

    @property
    def channels(self) -> int:
        """Length of a view's last axis."""
        ...

    @property
    def blank(self) -> Any:
        """Value, or color, of the pixels that fill a view up to the size of a batch."""
        ...

    @property
    def uses_beam(self) -> bool:
        """Whether what the network sees depends on the width of the beam."""
        ...

    @property
    def needs_infrared(self) -> bool:
        """Whether a radio image alone does not do."""
        ...

    def __call__(self, field: Field) -> Scene: ...

    def shape(self, field: Field) -> tuple[int, int]:
        """Returns rows and columns of a field's scene, without making it."""
        ...

    def size(self, rows: int, columns: int) -> tuple[int, int]:
        """Returns the size that a network is compiled for to hold a view."""
        ...

    def get_config(self) -> dict[str, Any]:
        """Returns plain values for `preprocessor_from_config`."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """The picture of `claran.sky.pictures.fuse`, BGR 0 to 255, scaled to fit a square.

    A field without a radio image is its own picture.
    """

    method: str = "D4"
    """One of `claran.sky.pictures.METHODS`."""
    image_size: int = 600
    """Side of the square, pixels."""
    blank: tuple[float, ...] = CAFFE_MEAN
    """Color of the square where the picture leaves it free."""

    channels = 3
    uses_beam = False

    def __post_init__(self) -> None:
        if not self.image_size >= STEP:
            raise ValueError(
                f"`image_size` must be at least {STEP} pixels, got {self.image_size}."
            )
        if self.method not in METHODS:
            raise ValueError(
                f"`method` must be one of {', '.join(METHODS)}, got {self.method!r}."
            )

    @property
    def needs_infrared(self) -> bool:
        """Whether radio alone does not do."""
        return self.method != "D1"

    def __call__(self, field: Field) -> "PictureScene":
        picture = self._draw(field)
        height, width = picture.shape[:2]
        scale = self.image_size / max(height, width)
        shape = _scaled(height, scale), _scaled(width, scale)
        image = picture
        if shape != (height, width):
            # In float32, as ClaRAN: rounding to 8 bits would move the activations.
            image = cv2.resize(picture.astype(np.float32), shape[::-1])
        return PictureScene(
            np.asarray(image, np.float32), shape, scale, (height, width)
        )

    def shape(self, field: Field) -> tuple[int, int]:  # noqa: ARG002 - all alike
        """Returns rows and columns that hold the scene of any field."""
        return self.image_size, self.image_size

    def size(self, rows: int, columns: int) -> tuple[int, int]:  # noqa: ARG002 - likewise
        """Returns the one size of all pictures."""
        return self.image_size, self.image_size

    def get_config(self) -> dict[str, Any]:
        """Returns plain values for `preprocessor_from_config`."""
        return {"kind": "picture", "method": self.method, "image_size": self.image_size}

    def _draw(self, field: Field) -> UInt8[np.ndarray, "h w 3"]:
        if field.image is None:
            assert field.picture is not None  # noqa: S101 - `Field` sees to it.
            return field.picture
        if self.needs_infrared and field.picture is None:
            raise ValueError(
                f"{field.name}: has no infrared picture, which {self.method} needs; D1 "
                "works without."
            )
        picture = field.picture if self.needs_infrared else None
        sigma = field.noise if self.needs_infrared else None
        return fuse(field.image, picture, method=self.method, noise=sigma)


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
        if self.image_size is not None and not self.image_size >= STEP:
            raise ValueError(
                f"`image_size` must be at least {STEP} pixels, got {self.image_size}."
            )

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
        height, width = field.shape
        scale = self._scale(field)
        return _scaled(height, scale), _scaled(width, scale)

    def size(self, rows: int, columns: int) -> tuple[int, int]:
        """Returns the next size up: few are compiled, all multiples of every stride."""
        rows, columns = (
            step * math.ceil(side / step)
            for side in (rows, columns)
            for step in [STEP if side <= FINE_SIZE else COARSE_STEP]
        )
        return rows, columns

    def get_config(self) -> dict[str, Any]:
        """Returns plain values for `preprocessor_from_config`."""
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


class PictureScene(NamedTuple):
    """A picture at the network's resolution; see `Scene`."""

    image: Float32[np.ndarray, "rows columns 3"]
    shape: tuple[int, int]
    scale: float
    picture_shape: tuple[int, int]

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene, or all of it."""
        x0, y0, x1, y1 = bounds or (0, 0, *self.shape[::-1])
        return _view(self.image[y0:y1, x0:x1], self.scale, (x0, y0))


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
        return _view(image, self.scale, (x0, y0))


def preprocessor_from_config(config: dict[str, Any]) -> Preprocessor:
    """Returns the preprocessor that `get_config` described.

    Raises:
        ValueError: There is no such kind, or a value makes no sense.
    """
    values = dict(config)
    kinds = {"channels": Channels, "picture": Picture}
    kind = values.pop("kind", None)
    if kind not in kinds:
        raise ValueError(
            f"`kind` of a preprocessor must be one of {', '.join(kinds)}, got {kind!r}."
        )
    return kinds[kind](**values)


def padded(
    view: View, size: tuple[int, int], blank: float | tuple[float, ...]
) -> Float32[np.ndarray, "rows columns c"]:
    """Returns a view's image in the upper left of a larger one.

    Args:
        view: The view.
        size: Rows and columns of the result.
        blank: See `Preprocessor.blank`.

    Raises:
        ValueError: The view is larger than that.
    """
    rows, columns, channels = view.image.shape
    if rows > size[0] or columns > size[1]:
        raise ValueError(
            f"`size` must be at least {rows} x {columns} pixels to hold the view, got "
            f"{size[0]} x {size[1]}."
        )
    image = np.empty((*size, channels), np.float32)
    image[:] = blank
    image[:rows, :columns] = view.image
    return image


def network_boxes(
    boxes: Float[np.ndarray, "n 4"], scene: Scene, field: Field
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes of a field's FITS array in pixels of its scene, y down."""
    turned = array_to_picture(boxes, field.shape, scene.picture_shape)
    return turned * np.float32(scene.scale)


def field_boxes(
    boxes: Float[np.ndarray, "n 4"], scene: Scene, field: Field
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes of a scene in pixels of the FITS array: `network_boxes` undone."""
    return picture_to_array(boxes / scene.scale, field.shape, scene.picture_shape)


def _view(
    image: Float32[np.ndarray, "rows columns c"], scale: float, origin: tuple[int, int]
) -> View:
    rows, columns = image.shape[:2]
    return View(image, np.array([rows, columns, scale], np.float32), origin)


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))


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
