"""One labelled field out of its files: images read, boxes cut, positions in pixels."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from jaxtyping import Float, Float32, Int32, UInt8

from claran.data.annotations import FieldLabels, LabelledObject
from claran.data.sky_splits import position_from_name
from claran.errors import ImageError
from claran.fields.field import Element
from claran.io.paths import FITS_ENDINGS
from claran.sky.images import SkyImage, read_picture, read_sky_image
from claran.sky.noise import noise
from claran.sky.pictures import infrared_field, picture_to_array

__all__ = [
    "FieldFiles",
    "LoadedField",
    "Place",
    "Problems",
    "field_element",
    "load_field",
    "picture_element",
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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LoadedField:
    """A field in memory; positions are in the frame of its labels.

    Attributes:
        name: Name of the field.
        radio: In Jy/beam; None for a field that is nothing but a picture.
        sigma: Noise of the radio image, Jy/beam; 0 without one.
        picture: BGR, row 0 on top: the infrared, or the field itself; None without.
        objects: Its sources; all boxes are inside the image.
        host: Pixel of each object's host galaxy, edges; NaN where unknown.
        component_positions: Pixels of the components' brightest peaks, edges.
        component_objects: Which object each of them belongs to.
    """

    name: str
    radio: SkyImage | None
    sigma: float
    picture: UInt8[np.ndarray, "h w 3"] | None
    objects: tuple[LabelledObject, ...]
    host: Float32[np.ndarray, "n 2"]
    component_positions: Float32[np.ndarray, "m 2"]
    component_objects: Int32[np.ndarray, "m"]


def load_field(files: FieldFiles) -> tuple[LoadedField | None, Problems]:
    """Returns the field, and what was wrong.

    It is None if the radio image, or the picture without one, cannot be used. An
    infrared image that cannot be is left out.
    """
    try:
        if files.radio is None:
            return _load_picture(files)
        return _load_pair(files, files.radio)
    except ImageError as error:
        return None, [("unusable image", str(error))]


def field_element(field: LoadedField, classes: Sequence[str]) -> Element:
    """Returns the field as it goes into a pipeline.

    Args:
        field: From `load_field`.
        classes: The class list; an object of a class outside of it is ignored.
    """
    label = {code: number for number, code in enumerate(classes, start=1)}
    objects = field.objects
    labels = np.array([label.get(o.code, 0) for o in objects], np.int32)
    ignored = np.array([o.ignore for o in objects], bool) | (labels < 1)
    boxes = np.array([o.box for o in objects], np.float32).reshape(-1, 4)
    consensus = np.array([o.consensus for o in objects], np.float32)
    if field.radio is None:
        assert field.picture is not None  # noqa: S101 - `load_field` sees to it.
        element = picture_element(
            field.name, field.picture, boxes=boxes, labels=labels, ignored=ignored
        )
        x, y = field.host.T
        # The picture's y runs down.
        element["host"] = np.stack([x, len(field.picture) - y], axis=1)
        element["consensus"] = consensus
        return element
    beam, pixel = field.radio.beam, field.radio.pixel_arcsec or np.nan
    return Element(
        name=field.name,
        radio=field.radio.values,
        noise=field.sigma,
        beam=float(np.sqrt(beam[0] * beam[1]) / pixel) if beam else np.nan,
        pixel_arcsec=pixel,
        infrared=field.picture,
        boxes=boxes,
        labels=labels,
        ignored=ignored,
        consensus=consensus,
        host=field.host,
        component_positions=field.component_positions,
        component_objects=field.component_objects,
    )


def picture_element(
    name: str,
    picture: UInt8[np.ndarray, "h w 3"],
    *,
    boxes: Float32[np.ndarray, "n 4"],
    labels: Int32[np.ndarray, "n"],
    ignored: np.ndarray,
) -> Element:
    """Returns a field that is nothing but a picture.

    It stands as the infrared of a radio image of the same size without a source in it,
    for `claran.fields.preprocessing.Picture(method=None)`.

    Args:
        name: Name of the field.
        picture: BGR, row 0 on top.
        boxes: In the picture, edges, y down.
        labels: Classes, from 1.
        ignored: See `Element`.
    """
    shape = picture.shape[:2]
    return Element(
        name=name,
        radio=np.zeros(shape, np.float32),
        noise=0.0,
        infrared=np.ascontiguousarray(picture),
        boxes=picture_to_array(boxes, shape, shape),
        labels=labels,
        ignored=ignored,
    )


def sky_place(name: str, radio: SkyImage | None) -> Place:
    """Returns where a field is, from its WCS or else from its name."""
    if radio is None or radio.wcs is None or radio.pixel_arcsec is None:
        return position_from_name(name), 0.0
    ny, nx = radio.values.shape
    center = radio.wcs.pixel_to_world(nx / 2 - 0.5, ny / 2 - 0.5).icrs
    return (center.ra.deg, center.dec.deg), max(nx, ny) * radio.pixel_arcsec / 60


def _load_pair(files: FieldFiles, path: Path) -> tuple[LoadedField, Problems]:
    name = files.labels.name
    radio = read_sky_image(path)
    radio = dataclasses.replace(
        radio, values=radio.values * np.float32(_to_jansky(radio.unit))
    )
    sigma = noise(radio.values)
    if not sigma > 0:
        raise ImageError(
            f"{path}: most of its pixels have one value, so that it has no noise to "
            "measure; make blank pixels NaN."
        )
    picture, problems = None, []
    if files.picture is not None:
        try:
            picture = _infrared(radio, files.picture)
        except ImageError as error:
            problems.append(("unusable infrared image", str(error)))
    objects, cut = _inside(files.labels, radio.values.shape)
    field = LoadedField(
        name=name,
        radio=radio,
        sigma=sigma,
        picture=picture,
        objects=objects,
        **_positions(objects, radio.wcs),
    )
    return field, problems + cut


def _load_picture(files: FieldFiles) -> tuple[LoadedField | None, Problems]:
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
    objects, cut = _inside(labels, shape)
    field = LoadedField(
        name=labels.name,
        radio=None,
        sigma=0.0,
        picture=picture,
        objects=objects,
        **_positions(objects, None),
    )
    return field, cut


def _positions(
    objects: Sequence[LabelledObject], wcs: WCS | None
) -> dict[str, np.ndarray]:
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
