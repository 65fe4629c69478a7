"""One labelled field out of its files: images read, boxes cut, positions in pixels."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from jaxtyping import Float, UInt8

from claran.data.annotations import FieldLabels, LabelledObject
from claran.data.sky_splits import position_from_name
from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.io.paths import FITS_ENDINGS
from claran.sky.images import SkyImage, read_picture, read_sky_image
from claran.sky.pictures import infrared_field, picture_to_array
from claran.sky.surveys import Survey

__all__ = [
    "FieldFiles",
    "Loaded",
    "Place",
    "Problems",
    "load_field",
    "sky_place",
]

JANSKY = {"mjy": 1e-3, "ujy": 1e-6}  # Units of headers that are not Jy, per beam.

Problems = list[tuple[str, str]]
"""What was wrong: kinds and messages of a `Report`."""

Place = tuple[tuple[float, float] | None, float]
"""A field's center, degrees (None if unknown), and its longer side, arcmin (0 then)."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldFiles:
    """The labels of a field and where its images are.

    Attributes:
        labels: Its labels.
        radio: Radio FITS file; None for a field that is nothing but a picture.
        picture: Infrared picture or FITS file; without `radio` the picture itself.
    """

    labels: FieldLabels
    radio: Path | None
    picture: Path | None


class Loaded(NamedTuple):
    """A field in memory, and its labels as they were read."""

    field: Field
    labelled: tuple[LabelledObject, ...]  # Boxes cut to the image; one an object.


def load_field(
    files: FieldFiles,
    classes: Sequence[str],
    *,
    survey: Survey | None = None,
    noise: float | None = None,
) -> tuple[Loaded | None, Problems]:
    """Returns the field, radio in Jy/beam, and what was wrong.

    It is None if the radio image, or the picture without one, cannot be used. An
    infrared image that cannot be is left out. An object of a class outside of the list
    is ignored.

    Args:
        files: Labels and images.
        classes: The class list.
        survey: What the header does not say; see `Field`.
        noise: See `Field`.
    """
    try:
        if files.radio is None:
            return _load_picture(files, classes)
        return _load_pair(files, files.radio, classes, survey=survey, noise=noise)
    except ImageError as error:
        return None, [("unusable image", str(error))]


def sky_place(name: str, radio: SkyImage | None) -> Place:
    """Returns where a field is, from its WCS or else from its name."""
    if radio is None or radio.wcs is None or radio.pixel_arcsec is None:
        return position_from_name(name), 0.0
    ny, nx = radio.values.shape
    center = radio.wcs.pixel_to_world(nx / 2 - 0.5, ny / 2 - 0.5).icrs
    return (center.ra.deg, center.dec.deg), max(nx, ny) * radio.pixel_arcsec / 60


def _load_pair(
    files: FieldFiles,
    path: Path,
    classes: Sequence[str],
    *,
    survey: Survey | None,
    noise: float | None,
) -> tuple[Loaded, Problems]:
    radio = read_sky_image(path)
    radio = dataclasses.replace(
        radio, values=radio.values * np.float32(_to_jansky(radio.unit))
    )
    picture, problems = None, []
    if files.picture is not None:
        try:
            picture = _infrared(radio, files.picture)
        except ImageError as error:
            problems.append(("unusable infrared image", str(error)))
    labelled, cut = _inside(files.labels, radio.values.shape)
    field = Field(
        files.labels.name,
        image=radio,
        picture=picture,
        objects=_objects(labelled, classes, radio.wcs),
        survey=survey,
        noise=noise,
    )
    try:
        field.noise  # noqa: B018 - an image without noise is found out now.
    except ImageError:
        raise ImageError(
            f"{path}: most of its pixels have one value, so that it has no noise to "
            "measure; make blank pixels NaN."
        ) from None
    return Loaded(field, labelled), problems + cut


def _load_picture(
    files: FieldFiles, classes: Sequence[str]
) -> tuple[Loaded | None, Problems]:
    labels = files.labels
    assert files.picture is not None  # noqa: S101 - a field has an image.
    picture = read_picture(files.picture)
    shape = picture.shape[:2]
    if labels.shape not in (None, shape):
        message = (
            f"{labels.name}: the picture has {shape[0]} rows and {shape[1]} columns, "
            f"the annotation says {labels.shape[0]} and {labels.shape[1]}"
        )
        return None, [("malformed", message)]
    labelled, cut = _inside(labels, shape)
    objects = _objects(labelled, classes, None)
    if objects.host is not None:
        x, y = objects.host.T  # The picture's y runs down.
        host = np.stack([x, len(picture) - y], axis=1)
        boxes = picture_to_array(objects.boxes, shape, shape)
        objects = dataclasses.replace(objects, host=host, boxes=boxes)
    field = Field(labels.name, picture=picture, objects=objects)
    return Loaded(field, labelled), cut


def _objects(
    labelled: Sequence[LabelledObject], classes: Sequence[str], wcs: WCS | None
) -> Objects:
    numbers = {code: number for number, code in enumerate(classes, start=1)}
    labels = np.array([numbers.get(o.code, 0) for o in labelled], np.int32)
    return Objects(
        boxes=np.array([o.box for o in labelled], np.float32).reshape(-1, 4),
        labels=labels,
        ignored=np.array([o.ignore for o in labelled], bool) | (labels < 1),
        consensus=np.array([o.consensus for o in labelled], np.float32),
        **_positions(labelled, wcs),
    )


def _positions(objects: Sequence[LabelledObject], wcs: WCS | None) -> dict[str, Any]:
    """Returns hosts and components in pixels, edges; what is unknown is NaN or left."""
    host = np.full((len(objects), 2), np.nan, np.float32)
    places, owners = [np.empty((0, 2))], []
    for number, entry in enumerate(objects):
        if entry.host is not None:
            host[number] = entry.host
        if wcs is not None and entry.host_sky is not None:
            host[number] = _to_pixels(wcs, np.array([entry.host_sky]))[0]
        if wcs is not None and len(entry.component_sky):
            places.append(_to_pixels(wcs, entry.component_sky))
            owners += [number] * len(entry.component_sky)
    return {
        "host": host,
        "component_positions": np.concatenate(places).astype(np.float32),
        "component_objects": np.array(owners, np.int32),
    }


def _to_pixels(wcs: WCS, sky: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Returns pixels, edges, of right ascensions and declinations in degrees."""
    x, y = wcs.world_to_pixel(SkyCoord(*sky.T, unit="deg"))
    # A WCS counts from the center of the first pixel.
    return np.column_stack([np.asarray(x), np.asarray(y)]) + 0.5


def _inside(
    labels: FieldLabels, shape: tuple[int, int]
) -> tuple[tuple[LabelledObject, ...], Problems]:
    """Returns the objects with all boxes cut to the image, and what was cut."""
    height, width = shape
    limits = np.array([width, height, width, height], np.float32)
    objects, problems = [], []
    for entry in labels.objects:
        box = np.clip(entry.box, 0, limits).astype(np.float32)
        what = f"{labels.name}: box {entry.box.tolist()} in {width} x {height} pixels"
        if not (box[:2] < box[2:]).all():
            problems.append(("outside the image", what))
            continue
        if (box != entry.box).any():
            problems.append(("cut by the edge", what))
        objects.append(dataclasses.replace(entry, box=box))
    return tuple(objects), problems


def _infrared(radio: SkyImage, path: Path) -> UInt8[np.ndarray, "h w 3"]:
    if path.name.lower().endswith(FITS_ENDINGS):
        return infrared_field(radio, read_sky_image(path))
    return read_picture(path)


def _to_jansky(unit: str) -> float:
    """Returns the factor that makes Jy of a header's unit; 1 of any but mJy and uJy.

    >>> _to_jansky("mJy/beam"), _to_jansky("uJy beam-1"), _to_jansky("MJy/sr")
    (0.001, 1e-06, 1.0)
    """
    name = re.split(r"[/ .*]", unit.strip())[0]
    return 1.0 if name == "MJy" else JANSKY.get(name.lower(), 1.0)
