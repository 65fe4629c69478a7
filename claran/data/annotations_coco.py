"""Labels in COCO's JSON: boxes and keypoints in pixels of a picture, y down."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from claran.data.annotations import (
    Annotations,
    FieldLabels,
    LabelledObject,
    Report,
    gather,
)
from claran.errors import ImageError

__all__ = ["read_coco"]


def read_coco(
    path: str | os.PathLike, *, classes: Sequence[str] | None = None
) -> Annotations:
    """Returns the labels in a COCO file; its `bbox` is x, y, width, height.

    The name of a field is the file name of its image without the ending. A single
    keypoint is the pixel of the host galaxy. Invalid entries are left out and reported
    as "malformed", second entries for an image as "duplicated". An image without a box
    is kept and reported as "unlabelled".

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
    fields = _fields(images, report)
    if not fields:
        raise ImageError(f"{path}: has no valid image; {report}.")
    names = {
        entry["id"]: str(entry["name"])
        for entry in categories
        if isinstance(entry, dict)
        and {"id", "name"} <= set(entry)
        and isinstance(entry["id"], int)
    }
    objects: dict[int | str, list[LabelledObject]] = {number: [] for number in fields}
    for entry in annotations:
        try:
            number, labelled = _read_object(entry, names)
            objects[number].append(labelled)
        except KeyError as error:
            what = f"{error} is missing or unknown"
            report.add("malformed", f"annotation {_identity(entry)}: {what}")
        except (TypeError, ValueError, OverflowError) as error:
            report.add("malformed", f"annotation {_identity(entry)}: {error}")
    for number, field in fields.items():
        if not objects[number]:
            report.add("unlabelled", f"{field['image']}: has no box")
    if classes is None:
        classes = list(dict.fromkeys(names[number] for number in sorted(names)))
    labelled = [
        FieldLabels(**field, objects=tuple(objects[number]), y_up=False)
        for number, field in fields.items()
    ]
    return gather(labelled, classes, report)


def _load(path: Path) -> list[list[Any]]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ImageError(f"{path}: cannot be read as JSON ({error}).") from None
    parts = ("images", "categories", "annotations")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(part), list) for part in parts
    ):
        raise ImageError(
            f"{path}: is not COCO; it must have the lists {', '.join(parts)}."
        )
    return [content[part] for part in parts]


def _fields(images: list[Any], report: Report) -> dict[int | str, dict[str, Any]]:
    """Returns name, image and shape of each field by the number of its image."""
    fields: dict[int | str, dict[str, Any]] = {}
    names: set[str] = set()
    for entry in images:
        try:
            number, file = entry["id"], str(entry["file_name"])
            size = entry.get("height"), entry.get("width")
            shape = None if None in size else (int(size[0]), int(size[1]))
            known = number in fields or Path(file).stem in names
        except (KeyError, TypeError, ValueError, OverflowError):
            report.add("malformed", f"image {entry!r}: needs id and file_name")
            continue
        if known:
            report.add("duplicated", f"image {number}, {file}")
            continue
        names.add(Path(file).stem)
        fields[number] = {"name": Path(file).stem, "image": file, "shape": shape}
    return fields


def _read_object(
    entry: dict[str, Any], names: dict[int, str]
) -> tuple[int | str, LabelledObject]:
    """Returns the number of the image, and the object."""
    x, y, width, height = (float(value) for value in entry["bbox"])
    if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(f"its bbox must be x, y, width, height, got {entry['bbox']}")
    host = None
    if entry.get("num_keypoints") == 1 and len(entry.get("keypoints", ())) == 3:
        # Keypoints are numbers of pixels, counted from zero: take the pixel's center.
        column, row, _ = entry["keypoints"]
        host = float(column) + 0.5, float(row) + 0.5
    return entry["image_id"], LabelledObject(
        box=np.array([x, y, x + width, y + height], np.float32),
        code=names[entry["category_id"]],
        host=host,
        ignore=bool(entry.get("iscrowd", 0)),
    )


def _identity(entry: Any) -> str:
    return str(entry.get("id", "?")) if isinstance(entry, dict) else repr(entry)
