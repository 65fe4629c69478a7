"""The interface of preprocessors, from fields to the input of a network.

A preprocessor makes a `Scene`: the field at the network's resolution, y down. The
network sees a `View` of all of it or of a part. The `image_info` of a view is `(rows,
columns, scale)`, where `scale` is the number of its pixels per pixel of the field's
picture. The network's box is the picture's box times `scale`, minus the view's origin.

`claran.fields.channels` and `claran.fields.framing` have the two preprocessors, for
physical channels and for pictures.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from claran.fields.field import Field
from claran.sky.pictures import array_to_picture, picture_to_array

__all__ = [
    "Bounds",
    "Grid",
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

LEAST_SIZE = 16  # Pixels; one cell of the coarsest features.

Bounds = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels of a scene, y down."""


class View(NamedTuple):
    """A part of a scene, as the network sees it."""

    image: Float32[np.ndarray, "rows columns c"]
    image_info: Float32[np.ndarray, "3"]
    origin: tuple[int, int] = (0, 0)  # (x, y) in the scene.
    islands: Float32[np.ndarray, "k 4"] | None = None
    """Boxes of the islands, edges in its pixels, y down; for networks that see them."""


@runtime_checkable
class Grid(Protocol):
    """Pixels and beam of a mosaic."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def beam_pixels(self) -> float:
        """Full width at half maximum of the beam, in pixels."""
        ...


@runtime_checkable
class Scene(Protocol):
    """A field at the network's resolution, y down."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def scale(self) -> float:
        """Pixels of the scene per pixel of the picture."""
        ...

    @property
    def picture_shape(self) -> tuple[int, int]:
        """Rows and columns of the field's picture."""
        ...

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene; None for all of it."""
        ...


@runtime_checkable
class Preprocessor(Protocol):
    """Makes the input of a network from a field."""

    @property
    def channels(self) -> int:
        """Number of channels of a view."""
        ...

    @property
    def blank(self) -> Any:
        """Value or color of the padding around a view in a batch."""
        ...

    @property
    def uses_beam(self) -> bool:
        """Whether the scale depends on the width of the beam."""
        ...

    @property
    def needs_infrared(self) -> bool:
        """Whether a field needs an infrared image."""
        ...

    def __call__(self, field: Field) -> Scene:
        """Returns the scene of a field.

        Raises:
            ImageError: The field cannot be used.
            ValueError: The field lacks an image that is needed.
        """
        ...

    def shape(self, field: Field) -> tuple[int, int]:
        """Returns rows and columns of a field's scene, without making it."""
        ...

    def size(self, rows: int, columns: int) -> tuple[int, int]:
        """Returns rows and columns of the network's input for a view."""
        ...

    def get_config(self) -> dict[str, Any]:
        """Returns values for JSON, see `claran.fields.preprocessor_config`."""
        ...


def padded(
    view: View, size: tuple[int, int], blank: float | tuple[float, ...]
) -> Float32[np.ndarray, "rows columns c"]:
    """Returns a view's image in the upper left corner of a larger one.

    Args:
        view: The view.
        size: Rows and columns of the larger image.
        blank: See `Preprocessor.blank`.

    Raises:
        ValueError: The view is larger than `size`.
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
    boxes: Float[np.ndarray, "n 4"], scene: Scene, field: Field | Grid
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes in pixels of a scene, y down.

    Args:
        boxes: `(x0, y0, x1, y1)`, edges in pixels of the field's FITS array, y up.
        scene: The scene of the field.
        field: The field, or a mosaic.
    """
    turned = array_to_picture(boxes, field.shape, scene.picture_shape)
    return turned * np.float32(scene.scale)


def field_boxes(
    boxes: Float[np.ndarray, "n 4"], scene: Scene, field: Field | Grid
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes in pixels of a field's FITS array, the inverse of `network_boxes`.

    Args:
        boxes: `(x0, y0, x1, y1)`, edges in pixels of the scene, y down.
        scene: The scene of the field.
        field: The field, or a mosaic.
    """
    return picture_to_array(boxes / scene.scale, field.shape, scene.picture_shape)


def make_view(
    image: Float32[np.ndarray, "rows columns c"], scale: float, origin: tuple[int, int]
) -> View:
    """Returns a view with its `image_info`.

    Args:
        image: Part of a scene.
        scale: See `Scene`.
        origin: `(x, y)` of its upper left corner in the scene.
    """
    rows, columns = image.shape[:2]
    return View(image, np.array([rows, columns, scale], np.float32), origin)


def scaled(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Returns rows and columns times a scale, rounded, at least 1.

    >>> scaled((132, 3), 0.1)
    (13, 1)
    """
    rows, columns = (max(1, round(side * scale)) for side in shape)
    return rows, columns


def check_image_size(image_size: int) -> None:
    """Checks the side of the square that fields are scaled to.

    Raises:
        ValueError: The side is below 16 pixels.
    """
    if not image_size >= LEAST_SIZE:
        raise ValueError(
            f"`image_size` must be at least {LEAST_SIZE} pixels, got {image_size}."
        )
