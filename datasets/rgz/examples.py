"""The features of the data set, and the examples made from the files of a field."""

import struct
import warnings
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from claran.data.annotations import LabelledObject
from claran.data.field_files import FieldFiles, Problems, load_field
from claran.errors import ImageError
from claran.sky.images import SkyImage
from claran.sky.infrared_pictures import MEAN_INFRARED

__all__ = [
    "as_rgb_png",
    "objects_example",
    "pair_example",
    "pair_features",
    "picture_features",
    "radio_example",
    "to_png",
]

PNG = b"\x89PNG\r\n\x1a\n"


def pair_features(classes: Sequence[str]) -> tfds.features.FeaturesDict:
    """Returns the features of a field with a radio image; see README.md.

    Args:
        classes: The class list.
    """
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            # Noise hardly compresses: zlib takes 1.6 ms to save 7%.
            "radio": tfds.features.Tensor(
                shape=(None, None), dtype=np.float32, encoding="bytes"
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
    """Returns the features of a ready-made picture; see README.md.

    Args:
        classes: The class list.
    """
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


def pair_example(
    files: FieldFiles, *, classes: Sequence[str]
) -> tuple[dict[str, Any] | None, Problems]:
    """Returns the example of a field, and the problems that were found.

    Args:
        files: The files of the field.
        classes: The class list.

    Returns:
        The example, None if there is no usable radio image; and the problems.
    """
    loaded, problems = load_field(files, classes)
    if loaded is None or loaded.field.image is None:
        return None, problems
    field = loaded.field
    example = radio_example(
        field.name, loaded.field.image, field.picture, noise=field.noise
    )
    positions = {
        "host": field.objects.host,
        "component_positions": field.objects.component_positions,
        "component_objects": field.objects.component_objects,
    }
    objects = objects_example(loaded.labelled, classes) | positions
    notes = [("note on a header", f"{files.radio}: {note}") for note in field.notes]
    return example | {"objects": objects}, problems + notes


def radio_example(
    name: str, radio: SkyImage, picture: np.ndarray | None, *, noise: float
) -> dict[str, Any]:
    """Returns all parts of an example except the objects.

    Args:
        name: Name of the field.
        radio: The radio image, in Jy/beam.
        picture: The infrared picture of the same field, (h, w, 3) uint8 BGR, row 0 on
            top. If None, the example has the mean color of infrared pictures.
        noise: The noise of the radio image, in Jy/beam.
    """
    header = ""
    if radio.wcs is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About cards without meaning in the WCS.
            header = radio.wcs.to_header(relax=True).tostring(sep="\n", padding=False)
    blank = np.broadcast_to(MEAN_INFRARED, (*radio.values.shape, 3))
    return {
        "name": name,
        "radio": np.ascontiguousarray(radio.values, np.float32),
        "infrared": to_png(blank if picture is None else picture),
        "has_infrared": picture is not None,
        "noise": np.float32(noise),
        "beam": np.array(radio.beam or (np.nan,) * 3, np.float32),
        "pixel_arcsec": np.float32(radio.pixel_arcsec or np.nan),
        "wcs": header,
    }


def objects_example(
    objects: Sequence[LabelledObject], classes: Sequence[str]
) -> dict[str, Any]:
    """Returns the arrays of the objects; the label is -1 for a class not in the list.

    Args:
        objects: The labeled objects of a field.
        classes: The class list.
    """
    index = {code: number for number, code in enumerate(classes)}
    return {
        "boxes": np.array([o.box for o in objects], np.float32).reshape(-1, 4),
        "labels": [index.get(o.code, -1) for o in objects],
        "consensus": np.array([o.consensus for o in objects], np.float32),
        "components": np.array([o.components for o in objects], np.int32),
        "peaks": np.array([o.peaks for o in objects], np.int32),
        "ignore": np.array([o.ignore for o in objects], np.bool_),
    }


def to_png(picture: np.ndarray) -> bytes:
    """Returns an (h, w, 3) uint8 BGR picture as the bytes of an RGB PNG."""
    return cv2.imencode(".png", np.ascontiguousarray(picture))[1].tobytes()


def as_rgb_png(content: bytes, name: str) -> tuple[bytes, tuple[int, int]]:
    """Returns a picture as an 8-bit RGB PNG, and its (height, width).

    Args:
        content: Content of an image file.
        name: Name of the field, for error messages.

    Raises:
        ImageError: The picture cannot be decoded.
    """
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ImageError(f"{name}: not a picture, or a damaged one; download it again.")
    height, width = picture.shape[:2]
    # Bit depth and color type are at fixed bytes; color type 2 is RGB.
    if content.startswith(PNG) and struct.unpack("BB", content[24:26]) == (8, 2):
        return content, (height, width)
    return to_png(picture), (height, width)
