"""What one example of the data set holds, and how it is made from a field's files."""

import dataclasses
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from claran.data.annotations import FieldLabels, LabelledObject
from claran.data.fits import ImageError, SkyImage, read_picture, read_sky_image
from claran.data.fusion import MEAN_INFRARED, infrared_field
from claran.data.radio import noise

__all__ = [
    "Pair",
    "as_rgb_png",
    "objects_example",
    "pair_example",
    "pair_features",
    "picture_features",
    "radio_example",
    "to_png",
]

JANSKY = {"mjy": 1e-3, "ujy": 1e-6}  # Units of headers that are not Jy, before the "/".
PNG = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A field of `pairs`: its labels and where its images are."""

    labels: FieldLabels
    radio: Path
    infrared: Path | None
    classes: tuple[str, ...]


def pair_features(classes: Sequence[str]) -> tfds.features.FeaturesDict:
    """Returns the features of a field with its radio values; see README.md."""
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            "radio": tfds.features.Tensor(
                shape=(None, None), dtype=np.float32, encoding="zlib"
            ),
            "infrared": tfds.features.Image(
                shape=(None, None, 3), encoding_format="png"
            ),
            "has_infrared": np.bool_,
            "noise": np.float32,
            "beam": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "pixel_arcsec": np.float32,
            "wcs": tfds.features.Text(),
            "objects": _object_features(classes)
            | {
                "host": _array((None, 2)),
                "component_positions": _array((None, 2)),
                "component_objects": _array((None,), np.int32),
            },
        }
    )


def picture_features(classes: Sequence[str]) -> tfds.features.FeaturesDict:
    """Returns the features of a ready-made picture; see README.md."""
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "objects": _object_features(classes),
        }
    )


def _object_features(classes: Sequence[str]) -> dict[str, Any]:
    return {
        "boxes": _array((None, 4)),
        "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=list(classes))),
        "consensus": _array((None,)),
        "components": _array((None,), np.int32),
        "peaks": _array((None,), np.int32),
        "ignore": _array((None,), np.bool_),
    }


def _array(shape: tuple[int | None, ...], dtype: Any = np.float32) -> Any:
    return tfds.features.Tensor(shape=shape, dtype=dtype)


def pair_example(pair: Pair) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """Returns the example, and what was wrong: kinds and messages of a report.

    The example is None if the radio image cannot be used; an infrared image that cannot
    be is left out.
    """
    name = pair.labels.name
    problems = []
    try:
        radio = read_sky_image(pair.radio)
    except ImageError as error:
        return None, [("unusable image", str(error))]
    picture = None
    if pair.infrared is not None:
        try:
            picture = _infrared(radio, pair.infrared)
        except ImageError as error:
            problems.append(("unusable infrared image", str(error)))
    labels, problems_of_boxes = _inside(pair.labels, radio.values.shape)
    radio_values = dataclasses.replace(radio, values=radio.values * _scale(radio.unit))
    example = radio_example(name, radio_values, picture) | {
        "objects": objects_example(labels.objects, pair.classes)
        | _positions(labels.objects, radio.wcs)
    }
    return example, problems + problems_of_boxes


def radio_example(
    name: str, radio: SkyImage, picture: np.ndarray | None
) -> dict[str, Any]:
    """Returns all of an example but its objects.

    Args:
        name: Name of the field.
        radio: In Jy/beam.
        picture: The infrared picture, (h, w, 3) uint8 BGR, row 0 on top, of the same
            field; None for the mean color of infrared pictures.
    """
    header = ""
    if radio.wcs is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Cards that no longer say anything.
            header = radio.wcs.to_header(relax=True).tostring(sep="\n", padding=False)
    blank = np.broadcast_to(MEAN_INFRARED, (*radio.values.shape, 3))
    return {
        "name": name,
        "radio": np.ascontiguousarray(radio.values, np.float32),
        "infrared": to_png(blank if picture is None else picture),
        "has_infrared": picture is not None,
        "noise": np.float32(noise(radio.values)),
        "beam": np.array(radio.beam or (np.nan,) * 3, np.float32),
        "pixel_arcsec": np.float32(radio.pixel_arcsec or np.nan),
        "wcs": header,
    }


def objects_example(
    objects: Sequence[LabelledObject], classes: Sequence[str]
) -> dict[str, Any]:
    """Returns the objects' arrays; the label of a class outside the list is -1."""
    index = {code: number for number, code in enumerate(classes)}
    return {
        "boxes": np.array([o.box for o in objects], np.float32).reshape(-1, 4),
        "labels": [index.get(o.code, -1) for o in objects],
        "consensus": np.array([o.consensus for o in objects], np.float32),
        "components": np.array([o.components for o in objects], np.int32),
        "peaks": np.array([o.peaks for o in objects], np.int32),
        "ignore": np.array([o.ignore for o in objects], np.bool_),
    }


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


def _to_pixels(wcs: WCS, sky: np.ndarray) -> np.ndarray:
    """Returns (n, 2) pixels, edges, of right ascensions and declinations in degrees."""
    x, y = wcs.world_to_pixel(SkyCoord(*sky.T, unit="deg"))
    # A WCS counts from the center of the first pixel.
    return np.column_stack([np.asarray(x), np.asarray(y)]) + 0.5


def _inside(
    labels: FieldLabels, shape: tuple[int, int]
) -> tuple[FieldLabels, list[tuple[str, str]]]:
    """Returns the labels with all boxes cut to the image, and what was cut."""
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
    return dataclasses.replace(labels, objects=tuple(objects)), problems


def _infrared(radio: SkyImage, path: Path) -> np.ndarray:
    if path.name.lower().endswith((".fits", ".fit", ".fits.gz")):
        return infrared_field(radio, read_sky_image(path))
    return read_picture(path)


def _scale(unit: str) -> float:
    return JANSKY.get(unit.lower().split("/", maxsplit=1)[0].strip(), 1.0)


def to_png(picture: np.ndarray) -> bytes:
    """Returns a BGR picture as the bytes of an RGB PNG."""
    return cv2.imencode(".png", np.ascontiguousarray(picture))[1].tobytes()


def as_rgb_png(content: bytes, name: str) -> tuple[bytes, tuple[int, int]]:
    """Returns a picture as an RGB PNG of 8 bits, and its (height, width).

    Raises:
        ImageError: It cannot be decoded.
    """
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ImageError(f"{name}: is no picture, or a damaged one; fetch it again.")
    height, width = picture.shape[:2]
    # Bit depth and color type stand at a fixed place; 2 is RGB.
    if content.startswith(PNG) and struct.unpack("BB", content[24:26]) == (8, 2):
        return content, (height, width)
    return to_png(picture), (height, width)
