"""RadioGalaxyNET's pictures as examples with a radio image (Gupta et al. 2024).

A picture holds WISE W1 in red, and the radio image in the two other bytes: high in
blue, low in green. Every island of emission was scaled to its own peak, and all else is
0, so that neither noise nor the relative brightness of islands is left.
`restored_radio` makes an image of them that is measured like any other.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8
from scipy.ndimage import gaussian_filter

from claran.data.annotations import Annotations, FieldLabels, LabelledObject, Report
from claran.data.annotations_coco import read_coco
from claran.errors import ImageError
from claran.io.text_files import read_json
from claran.sky.beams import beam_area_pixels, fwhm_to_sigma
from claran.sky.images import SkyImage

from .examples import objects_example, radio_example

__all__ = ["CLASSES", "examples", "read_labels", "restored_radio"]

CLASSES = ("FR-II", "FR-I", "FR-X", "R")
FILES = {"train": "train.json", "validation": "val.json", "test": "test.json"}
PIXEL_ARCSEC = 2.0
# The pictures' compact islands are 8 to 9 pixels wide at half maximum; a narrower beam
# keeps the smallest ones, and shows more of the shapes.
BEAM_ARCSEC = 14.0
LEVEL = 5.3  # Sigma at the border of an island; they are found above 5.196.
HIGHEST_NOISE = 4.0  # Sigma, so that no island is found in the noise.
MOST_FOLDS = 4.0  # Of e, from the border of an island to its peak.
SCALE = 65535.0
SHARED_SKY = {  # Marks of images that show sky of another split.
    "train": ("overlaps_test", "overlaps_val"),
    "validation": ("overlaps_test",),
    "test": (),
}


def read_labels(
    folder: Path, *, clean: bool, report: Report
) -> dict[str, tuple[Annotations, set[str]]]:
    """Returns the labels of each split, and the files of the images that are left out.

    Args:
        folder: Holds `train.json`, `val.json` and, if there is one, `test.json`.
        clean: Whether images are left out that show sky of a later split.
        report: Gets the problems.

    Raises:
        ImageError: There is no such file, or it is damaged.
    """
    found = {}
    for split, name in FILES.items():
        path = folder / name
        if not path.is_file():
            if split != "test":
                raise ImageError(
                    f"{path}: no such file; --manual_dir must hold RadioGalaxyNET's "
                    "train.json, val.json and the folder images."
                )
            continue
        labels = read_coco(path, classes=CLASSES)
        report.merge(labels.report)
        left_out = _shared_sky(path, split) if clean else set()
        if left_out:
            report.add(
                "left out", f"{name}: {len(left_out)} images of sky in other splits"
            )
        found[split] = labels, left_out
    return found


def _shared_sky(path: Path, split: str) -> set[str]:
    """Returns the files of images that are marked as showing sky of a later split."""
    images = read_json(path)["images"]
    marks = SHARED_SKY[split]
    if marks and not all(mark in image for image in images for mark in marks):
        raise ImageError(
            f"{path}: has images without {' and '.join(marks)}, so that none can be "
            "left out; prepare rgz/radiogalaxynet, or mark them."
        )
    return {
        image["file_name"] for image in images if any(image[mark] for mark in marks)
    }


def examples(
    folder: Path, labels: Annotations, left_out: set[str]
) -> Iterator[dict[str, Any]]:
    """Yields the examples of a split.

    Args:
        folder: Holds the pictures, in `images` or at any depth.
        labels: Labels of the split.
        left_out: Files of images to leave out.
    """
    places = {path.name: path for path in folder.rglob("*") if path.is_file()}
    for field in labels.fields:
        if field.image in left_out:
            continue
        path = places.get(Path(str(field.image)).name)
        picture = None if path is None else cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ImageError(
                f"{folder}: has no readable {field.image}; unpack the pictures there."
            )
        yield _example(field, picture, labels.classes)


def _example(
    field: FieldLabels, picture: UInt8[np.ndarray, "h w 3"], classes: Sequence[str]
) -> dict[str, Any]:
    height = len(picture)
    seed = int.from_bytes(hashlib.sha256(field.name.encode()).digest()[:8], "little")
    radio = restored_radio(picture, np.random.default_rng(seed))
    positions, owners = _components(field.objects, radio)
    image = SkyImage(
        values=np.ascontiguousarray(radio[::-1]), pixel_arcsec=PIXEL_ARCSEC,
        beam=(BEAM_ARCSEC, BEAM_ARCSEC, 0.0), name=field.name,
    )  # fmt: skip
    infrared = np.repeat(picture[..., 2:], 3, axis=2)
    hosts = [(math.nan, math.nan) if o.host is None else o.host for o in field.objects]
    upright = [
        dataclasses.replace(one, box=_upright(one.box, height)) for one in field.objects
    ]
    return radio_example(field.name, image, infrared, noise=1.0) | {
        "objects": objects_example(upright, classes)
        | {
            "host": _flipped(np.array(hosts, np.float32).reshape(-1, 2), height),
            "component_positions": _flipped(positions, height),
            "component_objects": owners,
        }
    }


def restored_radio(
    picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator
) -> Float32[np.ndarray, "h w"]:
    """Returns a radio image in units of its noise, row 0 on top.

    A compact source is a Gaussian as wide as the beam. The area of its island is then
    the beam's solid angle times the logarithm of peak over border, which gives its
    peak. Larger islands get the highest peak. Between them is noise.

    Args:
        picture: BGR as decoded.
        rng: Makes the noise.
    """
    shape = (picture[..., 0].astype(np.float32) * 256 + picture[..., 1]) / SCALE
    count, islands = cv2.connectedComponents((shape > 0).astype(np.uint8))
    beam = BEAM_ARCSEC / PIXEL_ARCSEC
    fold = beam_area_pixels(beam)  # Of an island, for a factor of e.
    areas = np.bincount(islands.ravel(), minlength=count)
    peaks = LEVEL * np.exp(np.minimum(areas / fold, MOST_FOLDS))
    noise = gaussian_filter(
        rng.standard_normal(shape.shape, np.float32), fwhm_to_sigma(beam)
    )
    noise = np.clip(noise / noise.std(), -HIGHEST_NOISE, HIGHEST_NOISE)
    signal = LEVEL + (peaks[np.asarray(islands, np.intp)] - LEVEL) * shape
    return np.where(islands > 0, signal, noise).astype(np.float32)


def _components(
    objects: Sequence[LabelledObject], radio: Float32[np.ndarray, "h w"]
) -> tuple[Float32[np.ndarray, "m 2"], Int32[np.ndarray, "m"]]:
    """Returns the brightest pixel of each island in an object's polygons, y down.

    Also the rows of these objects.
    """
    _, islands = cv2.connectedComponents((radio >= LEVEL).astype(np.uint8))
    points, owners = [], []
    for row, one in enumerate(objects):
        inside = np.zeros(radio.shape, np.uint8)
        for polygon in one.polygons:
            cv2.fillPoly(inside, [np.rint(polygon).astype(np.int32)], 1)
        numbers = np.unique(islands[inside > 0])
        numbers = numbers[numbers > 0]
        for number in numbers:
            peak = np.where(islands == number, radio, -np.inf).argmax()
            y, x = divmod(int(peak), radio.shape[1])
            points.append((x + 0.5, y + 0.5))
            owners.append(row)
    found = np.array(points, np.float32).reshape(-1, 2)
    return found, np.array(owners, np.int32)


def _upright(box: np.ndarray, height: int) -> np.ndarray:
    """Returns a box with y up; its file counts pixels from their centers."""
    corners = _flipped((box + np.float32(0.5)).reshape(2, 2), height)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _flipped(points: np.ndarray, height: int) -> np.ndarray:
    x, y = points.T
    return np.column_stack([x, height - y]).astype(np.float32)
