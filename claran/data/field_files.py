"""Reading of a labelled field from its files."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from jaxtyping import Float, UInt8

from claran.data.annotations import LARGEST_EDGE, FieldLabels, LabelledObject
from claran.data.sky_splits import position_from_name
from claran.errors import ImageError, unusable
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.io.paths import FITS_ENDINGS
from claran.io.silencing import without_warnings
from claran.sky.images import SkyImage, read_picture, read_sky_image
from claran.sky.infrared_pictures import infrared_field
from claran.sky.pictures import picture_to_array
from claran.sky.surveys import Survey

__all__ = [
    "FieldFiles",
    "Loaded",
    "Place",
    "Problems",
    "load_field",
    "sky_place",
]

JANSKY = {"mjy": 1e-3, "ujy": 1e-6}  # Units of headers other than Jy, in Jy.
OFF_SKY = "position off the image's sky"  # Left out.

Problems = list[tuple[str, str]]
"""Kinds and messages of problems, for a `Report`."""

Place = tuple[tuple[float, float] | None, float]
"""Center of a field, degrees, or None; and its longer side, arcmin, or 0."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldFiles:
    """The labels of a field and the paths of its images.

    Attributes:
        labels: Labels of the field.
        radio: Radio FITS file; None for a field that is only a picture.
        picture: Infrared picture or FITS file, if any; without `radio` the picture of
            the field.
    """

    labels: FieldLabels
    radio: Path | None
    picture: Path | None


class Loaded(NamedTuple):
    """A field, and its labels as they were read."""

    field: Field
    labelled: tuple[LabelledObject, ...]  # With boxes clipped to the image.


def load_field(
    files: FieldFiles,
    classes: Sequence[str],
    *,
    survey: Survey | None = None,
    noise: float | None = None,
) -> tuple[Loaded | None, Problems]:
    """Returns the field, with the radio image in Jy/beam, and its problems.

    The field is None if its radio image, or its picture if it is only a picture, cannot
    be used. An infrared image that cannot be used is left out. Objects of other classes
    are ignored.

    Args:
        files: Labels and images.
        classes: Names of the labels 1, 2 ...
        survey: Survey of the image; see `Field`.
        noise: Noise of the image, Jy/beam; see `Field`.
    """
    try:
        if files.radio is None:
            return _load_picture(files, classes)
        return _load_pair(files, files.radio, classes, survey=survey, noise=noise)
    except Exception as error:  # One bad file never ends the work on many.
        shown = str(files.radio or files.picture)
        return None, [("unusable image", str(unusable(shown, error)))]


def sky_place(name: str, radio: SkyImage | None) -> Place:
    """Returns the place of a field on the sky, from its WCS or else its name.

    Args:
        name: Name of the field.
        radio: Its radio image; None without.
    """
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
        except Exception as error:
            reason = str(unusable(str(files.picture), error))
            problems.append(("unusable infrared image", reason))
    labelled, cut = _inside(files.labels, radio.values.shape)
    objects, lost = _objects(files.labels.name, labelled, classes, radio.wcs)
    field = Field(
        files.labels.name,
        image=radio,
        picture=picture,
        objects=objects,
        survey=survey,
        noise=noise,
    )
    try:
        field.noise  # noqa: B018 - fails for an image without noise.
    except ImageError:
        raise ImageError(
            f"{path}: cannot estimate the noise, as over half of the pixels share one "
            "value; set blank pixels to NaN."
        ) from None
    return Loaded(field, labelled), problems + cut + lost


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
    objects, _ = _objects(labels.name, labelled, classes, None)
    if objects.host is not None:
        x, y = objects.host.T  # The picture's y runs down.
        host = np.stack([x, len(picture) - y], axis=1)
        boxes = picture_to_array(objects.boxes, shape, shape)
        objects = dataclasses.replace(objects, host=host, boxes=boxes)
    field = Field(labels.name, picture=picture, objects=objects)
    return Loaded(field, labelled), cut


def _objects(
    name: str,
    labelled: Sequence[LabelledObject],
    classes: Sequence[str],
    wcs: WCS | None,
) -> tuple[Objects, Problems]:
    numbers = {code: number for number, code in enumerate(classes, start=1)}
    labels = np.array([numbers.get(o.code, 0) for o in labelled], np.int32)
    positions, problems = _positions(name, labelled, wcs)
    consensus = np.array([o.consensus for o in labelled], float)
    odd = (consensus < 0) | (consensus > 1)
    for value in consensus[odd]:
        problems.append(("consensus not from 0 to 1", f"{name}: {value:g}"))
    objects = Objects(
        boxes=np.array([o.box for o in labelled], np.float32).reshape(-1, 4),
        labels=labels,
        ignored=np.array([o.ignore for o in labelled], bool) | (labels < 1),
        consensus=np.where(odd, np.nan, consensus).astype(np.float32),
        **positions,
    )
    return objects, problems


def _positions(
    name: str, objects: Sequence[LabelledObject], wcs: WCS | None
) -> tuple[dict[str, Any], Problems]:
    """Returns hosts (NaN if unknown) and components in pixels, edges, and problems."""
    host = np.full((len(objects), 2), np.nan, np.float32)
    places, owners, problems = [np.empty((0, 2))], [], []
    for number, entry in enumerate(objects):
        if entry.host is not None:
            host[number] = entry.host
        if wcs is None:
            continue
        if entry.host_sky is not None:
            host[number] = _to_pixels(wcs, np.array([entry.host_sky]))[0]
            if np.isnan(host[number]).any():
                problems.append((OFF_SKY, f"{name}: host at {entry.host_sky}"))
        if len(entry.component_sky):
            pixels = _to_pixels(wcs, entry.component_sky)
            there = ~np.isnan(pixels).any(axis=1)
            for ra, dec in entry.component_sky[~there].tolist():
                problems.append((OFF_SKY, f"{name}: component at {(ra, dec)}"))
            places.append(pixels[there])
            owners += [number] * int(there.sum())
    positions = {
        "host": host,
        "component_positions": np.concatenate(places).astype(np.float32),
        "component_objects": np.array(owners, np.int32),
    }
    return positions, problems


def _to_pixels(wcs: WCS, sky: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Returns pixels, edges, of right ascensions and declinations in degrees.

    NaN for what is no position, or is not on the part of the sky that the WCS shows.
    """
    on_sky: Any = (np.abs(sky) <= (360, 90)).all(axis=1)
    known = np.where(on_sky[:, None], sky, 0.0)
    with without_warnings():
        x, y = wcs.world_to_pixel(SkyCoord(*known.T, unit="deg"))
    # A WCS counts from the center of the first pixel.
    pixels = np.column_stack([np.asarray(x), np.asarray(y)]) + 0.5
    good: Any = on_sky & (np.abs(pixels) <= LARGEST_EDGE).all(axis=1)
    return np.where(good[:, None], pixels, np.nan)


def _inside(
    labels: FieldLabels, shape: tuple[int, int]
) -> tuple[tuple[LabelledObject, ...], Problems]:
    """Returns the objects with boxes clipped to the image, and the problems."""
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
    """Returns the factor from a header's unit to Jy; 1 for all but mJy and uJy.

    >>> _to_jansky("mJy/beam"), _to_jansky("uJy beam-1"), _to_jansky("MJy/sr")
    (0.001, 1e-06, 1.0)
    """
    name = re.split(r"[/ .*]", unit.strip())[0]
    return 1.0 if name == "MJy" else JANSKY.get(name.lower(), 1.0)
