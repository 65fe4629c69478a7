"""The preprocessor for pictures: D1, D3, D4 or given ones, scaled to fit a square."""

import dataclasses
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from claran.fields.field import Field
from claran.fields.preprocessing import (
    Bounds,
    View,
    check_image_size,
    make_view,
    scaled,
)
from claran.sky.pictures import METHODS, fuse

__all__ = ["CAFFE_MEAN", "Picture", "PictureScene"]

CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR: VGG16 sees it as zero.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """The picture of `claran.sky.pictures.fuse`, BGR 0 to 255, scaled to fit a square.

    For a field that is only a picture, this picture.
    """

    method: str = "D4"
    """One of `claran.sky.pictures.METHODS`."""
    image_size: int = 600
    """Side of the square, pixels."""

    channels = 3
    blank = CAFFE_MEAN
    uses_beam = False

    def __post_init__(self) -> None:
        check_image_size(self.image_size)
        if self.method not in METHODS:
            raise ValueError(
                f"`method` must be one of {', '.join(METHODS)}, got {self.method!r}."
            )

    @property
    def needs_infrared(self) -> bool:
        """Whether a field needs an infrared image."""
        return self.method != "D1"

    def __call__(self, field: Field) -> "PictureScene":
        picture = self._draw(field)
        height, width = picture.shape[:2]
        scale = self.image_size / max(height, width)
        shape = scaled((height, width), scale)
        image = picture
        if shape != (height, width):
            # In float32 as ClaRAN: rounding to 8 bits would change the activations.
            image = cv2.resize(picture.astype(np.float32), shape[::-1])
        return PictureScene(
            np.asarray(image, np.float32), shape, scale, (height, width)
        )

    def shape(self, field: Field) -> tuple[int, int]:  # noqa: ARG002 - all have one size
        """Returns rows and columns that hold the scene of any field."""
        return self.image_size, self.image_size

    def size(self, rows: int, columns: int) -> tuple[int, int]:  # noqa: ARG002 - likewise
        """Returns the one size of all pictures."""
        return self.image_size, self.image_size

    def get_config(self) -> dict[str, Any]:
        """Returns values for JSON, see `claran.fields.preprocessor_config`."""
        return {"kind": "picture", "method": self.method, "image_size": self.image_size}

    def _draw(self, field: Field) -> UInt8[np.ndarray, "h w 3"]:
        if field.image is None:
            assert field.picture is not None  # noqa: S101 - `Field` checks it.
            return field.picture
        if self.needs_infrared and field.picture is None:
            raise ValueError(
                f"{field.name}: has no infrared picture, which {self.method} needs; "
                "give one, or a model for D1."
            )
        picture = field.picture if self.needs_infrared else None
        sigma = field.noise if self.needs_infrared else None
        image = field.source_image if self.needs_infrared else field.image
        assert image is not None  # noqa: S101 - checked above.
        return fuse(image, picture, method=self.method, noise=sigma)


class PictureScene(NamedTuple):
    """A picture at the network's resolution; see `Scene`."""

    image: Float32[np.ndarray, "rows columns 3"]
    shape: tuple[int, int]
    scale: float
    picture_shape: tuple[int, int]

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene; None for all of it."""
        x0, y0, x1, y1 = bounds or (0, 0, *self.shape[::-1])
        return make_view(self.image[y0:y1, x0:x1], self.scale, (x0, y0))
