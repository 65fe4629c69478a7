"""What the network sees of a mosaic, which is read by parts.

A view is that of `claran.fields.channels.Channels` on the whole mosaic, bit for bit,
whatever part of the mosaic it is made of.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from claran.detection.mosaic_infrared import MosaicInfrared, WholeInfrared
from claran.fields.channels import Channels, channel_image
from claran.fields.preprocessing import Bounds, Grid, View, make_view
from claran.fields.rescaling import (
    Samples,
    from_first,
    interpolate,
    linear_samples,
)
from claran.sky.pictures import array_to_picture

__all__ = ["MosaicFrame", "MosaicScene", "mosaic_frame"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MosaicFrame:
    """The frame of a mosaic at the network's resolution, y down.

    Attributes:
        picture_shape: Rows and columns of the mosaic.
        shape: Rows and columns of the scene.
        scale: Pixels of the scene per pixel of the mosaic.
    """

    picture_shape: tuple[int, int]
    shape: tuple[int, int]
    scale: float

    def scene_boxes(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """Returns boxes in pixels of the scene, see `network_boxes`.

        Args:
            boxes: Edges in pixels of the mosaic, y up.
        """
        turned = array_to_picture(boxes, self.picture_shape, self.picture_shape)
        return turned * np.float32(self.scale)

    def needed(self, bounds: Bounds | None = None) -> tuple[slice, slice]:
        """Returns the rows and columns of the mosaic that a view is made of, y up.

        Args:
            bounds: See `claran.detection.windows.Window`; None for all of the mosaic.
        """
        rows, columns = self.samples(bounds)
        ny, _ = self.picture_shape
        low, high = int(rows.low[0]), int(rows.high[-1])
        return (
            slice(ny - 1 - high, ny - low),
            slice(int(columns.low[0]), int(columns.high[-1]) + 1),
        )

    def samples(self, bounds: Bounds | None = None) -> tuple[Samples, Samples]:
        """Returns where rows and columns of a view lie in the mosaic, y down."""
        (ny, nx), (rows, columns) = self.picture_shape, self.shape
        x0, y0, x1, y1 = bounds or (0, 0, columns, rows)
        return linear_samples(ny, rows, y0, y1), linear_samples(nx, columns, x0, x1)


def mosaic_frame(preprocessor: Channels, mosaic: Grid) -> MosaicFrame:
    """Returns the frame of a mosaic for a network.

    Raises:
        ImageError: The beam is narrower than half a pixel or wider than the mosaic.
    """
    return MosaicFrame(
        picture_shape=mosaic.shape,
        shape=preprocessor.shape(mosaic),
        scale=preprocessor.scale(mosaic),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class MosaicScene:
    """A region of a mosaic at the network's resolution; a `Scene` of all of it.

    Only windows can be viewed that the region holds, see `MosaicFrame.needed`.

    Attributes:
        frame: Of the mosaic.
        region: `claran.sky.mosaic_maps.Region`.
        infrared: Infrared images of the mosaic, if there are any.
    """

    frame: MosaicFrame
    region: Any
    infrared: MosaicInfrared | WholeInfrared | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene of the mosaic."""
        return self.frame.shape

    @property
    def scale(self) -> float:
        """Pixels of the scene per pixel of the mosaic."""
        return self.frame.scale

    @property
    def picture_shape(self) -> tuple[int, int]:
        """Rows and columns of the mosaic."""
        return self.frame.picture_shape

    def view(self, bounds: Bounds | None = None) -> View:
        """Returns a part of the scene; None for all of it.

        Raises:
            ValueError: The region does not hold the part.
        """
        x0, y0, x1, y1 = bounds or (0, 0, *self.shape[::-1])
        infrared = None
        if self.infrared is not None:
            part = slice(y0, y1), slice(x0, x1)
            infrared = self.infrared.channel(self.shape, part)
        image = channel_image(self._ratio(bounds), infrared)
        return make_view(image, self.scale, (x0, y0))

    def _ratio(self, bounds: Bounds | None) -> Float32[np.ndarray, "rows columns"]:
        needed = self.frame.needed(bounds)
        held = self.region.rows, self.region.columns
        if any(
            part.start < whole.start or part.stop > whole.stop
            for part, whole in zip(needed, held, strict=True)
        ):
            raise ValueError(
                f"`bounds` {bounds} need rows and columns {needed} of the mosaic, but "
                f"the region has {held}."
            )
        rows, columns = (
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(needed, held, strict=True)
        )
        ratio = self.region.signal_to_noise[rows, columns][::-1]
        if self.shape == self.picture_shape:
            return ratio
        return interpolate(ratio, *map(from_first, self.frame.samples(bounds)))
