"""Labels in COCO's JSON: boxes and keypoints in pixels of a picture, y down."""

import math
import os
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from claran.data.annotations import (
    LARGEST_EDGE,
    Annotations,
    FieldLabels,
    LabelledObject,
    Report,
    gather,
    read_box,
    read_flag,
    read_name,
)
from claran.data.field_names import distinct_names
from claran.errors import ImageError
from claran.io.text_files import read_json

__all__ = ["read_coco"]


def read_coco(
    path: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Annotations:
    """Returns the labels in a COCO file; its `bbox` is x, y, width, height.

    The name of a field is the file name of its image without the ending, or more of its
    path where images share that name. A single keypoint is the pixel of the host
    galaxy. An id is the same as a number and as text. Invalid entries are left out and
    reported as "malformed", second entries for an image as "duplicated". An image
    without a box is kept and reported as "unlabelled".

    Args:
        path: The JSON file.
        classes: Names of the classes; None for the file's categories, in the order of
            their numbers.

    Raises:
        ImageError: The file cannot be read, is not COCO, or has no valid image.
    """
    path = Path(path)
    images, categories, annotations = _load(path)
    report = Report()
    sizes, files = _read_images(images, report)
    if not sizes:
        raise ImageError(f"{path}: has no valid image; {report}.")
    names = _read_categories(categories, report)
    objects: dict[str, list[LabelledObject]] = {file: [] for file in sizes}
    for entry in annotations:
        try:
            file, labelled = _read_object(entry, files, names, report)
            objects[file].append(labelled)
        except KeyError as error:
            what = f"{error} is missing or unknown"
            report.add("malformed", f"annotation {_identity(entry)}: {what}")
        except (TypeError, ValueError, OverflowError) as error:
            report.add("malformed", f"annotation {_identity(entry)}: {error}")
    for file, own in objects.items():
        if not own:
            report.add("unlabelled", f"{file}: has no box")
    if classes is None:
        classes = list(dict.fromkeys(names[key] for key in sorted(names, key=_order)))
    labelled = [
        FieldLabels(
            name=name, image=file, shape=sizes[file], objects=tuple(objects[file]),
            y_up=False,
        )
        for name, file in zip(distinct_names(list(sizes)), sizes, strict=True)
    ]  # fmt: skip
    return gather(labelled, classes, report)


def _load(path: Path) -> list[list[Any]]:
    content = read_json(path)
    parts = ("images", "categories", "annotations")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(part), list) for part in parts
    ):
        raise ImageError(
            f"{path}: is not COCO; it must have the lists {', '.join(parts)}."
        )
    return [content[part] for part in parts]


def _read_images(
    images: list[Any], report: Report
) -> tuple[dict[str, tuple[int, int] | None], dict[str, str]]:
    """Returns the shape of each image by its file, and the files by id."""
    shapes: dict[str, dict[str, tuple[int, int] | None]] = {}
    seen = set()
    for entry in images:
        try:
            key, file, shape = _read_image(entry)
        except (KeyError, TypeError, ValueError, OverflowError):
            what = "needs id and file_name, and whole numbers as height and width"
            report.add("malformed", f"image {_identity(entry)}: {what}")
            continue
        if key in shapes or file in seen:
            report.add("duplicated", f"image {key}, {file}")
        shapes.setdefault(key, {}).setdefault(file, shape)
        seen.add(file)
    # Of an id of two images nobody knows to which a box belongs.
    clear = {key: own for key, own in shapes.items() if len(own) == 1}
    sizes = {file: shape for own in clear.values() for file, shape in own.items()}
    return sizes, {key: next(iter(own)) for key, own in clear.items()}


def _read_image(entry: Any) -> tuple[str, str, tuple[int, int] | None]:
    """Returns id, file and shape."""
    key = _key(entry["id"])
    file = read_name(entry["file_name"], "file_name").replace("\\", "/")
    if PurePosixPath(file).name in ("", ".."):
        raise ValueError(f"file_name names no file: {file}")
    size = entry.get("height"), entry.get("width")
    return key, file, None if None in size else (int(size[0]), int(size[1]))


def _read_categories(categories: list[Any], report: Report) -> dict[str, str]:
    """Returns the names of the classes by id."""
    names: dict[str, str] = {}
    twice = set()
    for entry in categories:
        try:
            key, name = _key(entry["id"]), read_name(entry["name"], "name")
        except (KeyError, TypeError, ValueError):
            what = "needs a name, and as id a number or text"
            report.add("malformed", f"category {_identity(entry)}: {what}")
            continue
        if names.setdefault(key, name) != name:
            report.add("duplicated", f"category {key}: is {names[key]} and {name}")
            twice.add(key)
    return {key: name for key, name in names.items() if key not in twice}


def _read_object(
    entry: dict[str, Any], files: dict[str, str], names: dict[str, str], report: Report
) -> tuple[str, LabelledObject]:
    """Returns the file of the image, and the object."""
    x, y, width, height = (float(value) for value in entry["bbox"])
    if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(f"its bbox must be x, y, width, height, got {entry['bbox']}")
    host = None
    if entry.get("num_keypoints") == 1 and len(entry.get("keypoints", ())) == 3:
        # Keypoints are numbers of pixels, counted from zero: take the pixel's center.
        column, row, _ = entry["keypoints"]
        host = float(column) + 0.5, float(row) + 0.5
        if not all(abs(value) <= LARGEST_EDGE for value in host):
            raise ValueError(f"its keypoint must be a pixel, got {host}")
    file = _find(files, entry["image_id"])
    ignore = read_flag(entry.get("iscrowd"))
    labelled = LabelledObject(
        box=read_box([x, y, x + width, y + height]),
        code=_find(names, entry["category_id"]),
        host=host,
        polygons=_polygons(entry.get("segmentation")),
        ignore=ignore is not False,
    )
    if ignore is None:
        what = f"iscrowd is {reprlib.repr(entry['iscrowd'])}; it is ignored"
        report.add("unclear flag", f"annotation {_identity(entry)}: {what}")
    return file, labelled


def _polygons(parts: Any) -> tuple[np.ndarray, ...]:
    """Returns the polygons of a `segmentation`; none of a bitmap or a damaged one."""
    if not isinstance(parts, list):
        return ()
    try:
        polygons = [np.array(part, np.float64).reshape(-1, 2) for part in parts]
    except (TypeError, ValueError):
        return ()
    return tuple(one for one in polygons if len(one) > 2 and np.isfinite(one).all())


def _key(number: Any) -> str:
    """Returns an id in one form, as tools write 1 also as "1" and 1.0.

    >>> _key(1), _key("1"), _key(1.0), _key("a")
    ('1', '1', '1', 'a')
    """
    whole = isinstance(number, float) and number.is_integer()
    return read_name(int(number) if whole else number, "id")


def _find(found: dict[str, str], number: Any) -> str:
    key = _key(number)
    if key not in found:
        raise KeyError(number)
    return found[key]


def _order(key: str) -> tuple[float, str]:
    """Returns what sorts ids: numbers by their value, then texts."""
    return (int(key), "") if re.fullmatch(r"-?\d{1,18}", key) else (math.inf, key)


def _identity(entry: Any) -> str:
    # Short, whatever an entry holds.
    number = entry.get("id", "?") if isinstance(entry, dict) else entry
    return str(number) if isinstance(number, int) else reprlib.repr(number)
