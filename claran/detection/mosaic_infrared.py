"""What the network sees of the infrared images that cover a mosaic.

Each image has colors of its own, as the one of a field has: they follow from its levels
on the whole mosaic. So neighboring images may have different units and levels. Images
and mosaic are read by parts, and a pixel has the same value in whatever part it is.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float32

from claran.fields.channels import BLANK_HEAT, heat, shown_infrared
from claran.fields.rescaling import rescaled_part
from claran.io.silencing import without_warnings
from claran.sky.bands import RunJobs, run_here
from claran.sky.infrared_pictures import (
    Stretch,
    infrared_colors,
    measure_stretch,
    sampling_step,
)
from claran.sky.mesh import Part
from claran.sky.mosaics import Mosaic
from claran.sky.resampling import fine_places, finer_by, resample
from claran.sky.sky_balls import grid_on_sky

__all__ = ["InfraredLayer", "MosaicInfrared", "WholeInfrared", "show_on"]


@dataclasses.dataclass(frozen=True, eq=False)
class InfraredLayer:
    """One infrared image on a mosaic.

    Attributes:
        image: The image.
        stretch: Its levels on the mosaic, from which its colors follow.
        extent: Rows and columns of divided pixels, y up, that hold all that it shows.
    """

    image: Mosaic
    stretch: Stretch
    extent: Part


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MosaicInfrared:
    """The infrared images that cover a mosaic; it can be sent to other processes.

    Attributes:
        mosaic: The mosaic; only its WCS and shape are used.
        layers: The images. Where several have values, the first of them is shown.
        zoom: Pixels of the infrared picture for each side of a pixel of the mosaic.
    """

    mosaic: Mosaic
    layers: Sequence[InfraredLayer]
    zoom: int

    def channel(
        self, shape: tuple[int, int], part: Part
    ) -> Float32[np.ndarray, "rows columns"] | None:
        """Returns the infrared channel of a part of the scene; None if all is blank.

        Args:
            shape: Rows and columns of the scene of the mosaic.
            part: Rows and columns of the scene, y down.

        Raises:
            ImageError: A file has vanished, was changed, or is damaged.
        """
        ny, nx = self.mosaic.shape
        picture = self.zoom * ny, self.zoom * nx
        return shown_infrared(rescaled_part(self._picture, picture, shape, part))

    def _picture(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Returns a part of the infrared picture, y down, as its channel."""
        top = self.zoom * self.mosaic.shape[0]
        upward = slice(top - rows.stop, top - rows.start)
        sky = places_on_sky(self.mosaic, self.zoom, (upward, columns))
        found = np.full(sky.shape, BLANK_HEAT, np.float32)
        blank = np.ones(sky.shape, bool)
        for layer in self.layers:
            if not blank.any():
                break
            if not _overlap(layer.extent, (upward, columns)):
                continue
            values = _values(layer.image, sky)
            new = blank & np.isfinite(values)
            if new.any():
                found[new] = heat(infrared_colors(values, layer.stretch))[new]
                blank &= ~new
        return found[::-1]


@dataclasses.dataclass(frozen=True, eq=False)
class WholeInfrared:
    """An infrared picture that shows the same field as a mosaic; see `MosaicInfrared`.

    Attributes:
        infrared: The channel of the whole scene, y down.
    """

    infrared: Float32[np.ndarray, "rows columns"]

    def channel(
        self, shape: tuple[int, int], part: Part
    ) -> Float32[np.ndarray, "rows columns"] | None:
        """Returns the infrared channel of a part of the scene; None if all is blank."""
        del shape  # That of the channel.
        return shown_infrared(self.infrared[part])


def show_on(
    mosaic: Mosaic, images: Sequence[Mosaic], jobs_run: RunJobs = run_here
) -> MosaicInfrared | None:
    """Returns the infrared images that cover a mosaic; None if none does.

    Args:
        mosaic: The mosaic, with a WCS.
        images: Infrared images with a WCS, as they are preferred.
        jobs_run: Runs the jobs, as `claran.survey.jobs.Jobs.run`.

    Raises:
        ImageError: A file has vanished, was changed, or is damaged.
    """
    if not images:
        return None
    zoom = max(finer_by(_wcs(mosaic), _wcs(image)) for image in images)
    numbers = list(range(len(images)))
    found = jobs_run("infrared", _stretch_of, (mosaic, tuple(images), zoom), numbers)
    layers = []
    for image, levels in zip(images, found, strict=True):
        if len(levels["levels"]):
            sky, bright, sigma = levels["levels"]
            stretch = Stretch(sky, bright, float(sigma))
            top, bottom, left, right = levels["extent"].tolist()
            extent = slice(top, bottom), slice(left, right)
            layers.append(InfraredLayer(image, stretch, extent))
    if not layers:
        return None
    return MosaicInfrared(mosaic=mosaic, layers=tuple(layers), zoom=zoom)


def places_on_sky(mosaic: Mosaic, zoom: int, part: Part, step: int = 1) -> Any:
    """Returns where divided pixels of a mosaic are on the sky, y up.

    Args:
        mosaic: The mosaic.
        zoom: See `MosaicInfrared`.
        part: Rows and columns of divided pixels, y up.
        step: Distance between those to return.
    """
    rows, columns = (fine_places(zoom, one.start, one.stop)[::step] for one in part)
    with without_warnings():
        return _wcs(mosaic).pixel_to_world(*np.meshgrid(columns, rows))


def _stretch_of(
    context: tuple[Mosaic, Sequence[Mosaic], int], number: int
) -> dict[str, np.ndarray]:
    """Returns the levels of an image on a mosaic; none if it shows nothing of it."""
    mosaic, images, zoom = context
    ny, nx = mosaic.shape
    step = sampling_step(zoom * ny * zoom * nx)
    none = {"levels": np.zeros(0), "extent": np.zeros(0, np.int64)}
    part = _extent(mosaic, images[number], zoom, step)
    if part is None:
        return none
    values = _values(images[number], places_on_sky(mosaic, zoom, part, step))
    if not np.isfinite(values).any():
        return none
    rows, columns = part
    return {
        "levels": np.array(measure_stretch(values)),
        "extent": np.array([rows.start, rows.stop, columns.start, columns.stop]),
    }


def _extent(mosaic: Mosaic, image: Mosaic, zoom: int, step: int) -> Part | None:
    """Returns divided pixels of a mosaic among which are all that an image shows.

    They begin at a multiple of the step. None if there are none.
    """
    sky = grid_on_sky(_wcs(image), image.shape)
    with without_warnings():
        places = _wcs(mosaic).world_to_pixel(sky)
    found = []
    for place, side in zip(places[::-1], mosaic.shape, strict=True):
        place = np.asarray(place)  # noqa: PLW2901
        if not np.isfinite(place).all():  # Far from the mosaic, or around the sky.
            found.append(slice(0, zoom * side))
            continue
        # Between the places, an image may reach further by as much as they differ.
        steps = [np.abs(np.diff(place, axis=axis)).max() for axis in (0, 1)]
        margin = max(steps) + step / zoom
        low, high = (
            int(np.clip(zoom * edge, 0, zoom * side))
            for edge in (place.min() - margin, place.max() + margin + 1)
        )
        if high <= low:
            return None
        found.append(slice(low // step * step, high))
    return found[0], found[1]


def _overlap(one: Part, other: Part) -> bool:
    return all(
        a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True)
    )


def _values(image: Mosaic, sky: Any) -> Float32[np.ndarray, "h w"]:
    return resample(image.read, image.shape, _wcs(image), sky)


def _wcs(mosaic: Mosaic) -> WCS:
    assert mosaic.wcs is not None  # noqa: S101 - only such are taken.
    return mosaic.wcs
