"""What every network sees of a field: the protocols, and what preprocessors share.

A preprocessor brings a field to the network's resolution, y down. The network is shown
all of it, or windows of it. A `View` says in an `image_info` of `(rows, columns,
scale)` how large it is, and how many of its pixels make one of the field's picture. A
box of the picture times `scale`, less the view's origin, is one of the network.

`claran.fields.channels` has the physical channels, `claran.fields.framing` the
pictures.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from claran.fields.field import Field
from claran.sky.pictures import array_to_picture, picture_to_array

__all__ = [
    "Bounds",
    "Preprocessor",
    "Scene",
    "View",
    "check_image_size",
    "field_boxes",
    "make_view",
    "network_boxes",
    "padded",
    "scaled",
]

LEAST_SIZE = 16  # Pixels: one cell of the coarsest features.

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
        """Returns plain values for `claran.fields.preprocessor_config`."""
        ...


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


def make_view(
    image: Float32[np.ndarray, "rows columns c"], scale: float, origin: tuple[int, int]
) -> View:
    """Returns a view of an image that was cut from a scene.

    Args:
        image: What the network is shown.
        scale: See `Scene`.
        origin: (x, y) of its upper left corner in the scene.
    """
    rows, columns = image.shape[:2]
    return View(image, np.array([rows, columns, scale], np.float32), origin)


def scaled(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Returns rows and columns times a scale, each rounded and at least 1.

    >>> scaled((132, 3), 0.1)
    (13, 1)
    """
    rows, columns = (max(1, round(side * scale)) for side in shape)
    return rows, columns


def check_image_size(image_size: int) -> None:
    """Checks the side of the square that a preprocessor scales fields to.

    Raises:
        ValueError: It is below 16 pixels.
    """
    if not image_size >= LEAST_SIZE:
        raise ValueError(
            f"`image_size` must be at least {LEAST_SIZE} pixels, got {image_size}."
        )
