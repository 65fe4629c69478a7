"""Detections in files: claran's table, VOC's text and COCO's JSON.

Boxes are in pixels of the field's array. In a table y is up for FITS fields, and down
for fields that are only pictures; in VOC and COCO y is down.
"""

import dataclasses
import itertools
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import QTable, Table
from jaxtyping import Bool, Float, Int

from claran.catalog.tables import detection_table
from claran.data.annotations import Report
from claran.data.field_names import FieldNames
from claran.detection.detections import ALTERNATIVE, PROBABILITY, Detections
from claran.errors import ImageError
from claran.evaluation.origin import Origin
from claran.evaluation.prediction_tables import (
    COLUMNS,
    NUMBERS,
    read_coco_results,
    read_table,
)
from claran.evaluation.voc_text import file_names, format_voc, read_voc_detections
from claran.fields.field import Field
from claran.io.text_files import brief
from claran.sky.pictures import array_to_picture

__all__ = [
    "Predictions",
    "coco_files",
    "read_origin",
    "read_predictions",
    "to_table",
    "voc_files",
]

FARTHEST = 1e9  # Pixels; areas of boxes beyond have no meaning.


class Predictions(NamedTuple):
    """Detections of another run or tool."""

    fields: list[Detections]  # Detections in each field.
    unknown: int  # Number of detections in other fields.
    report: Report  # Boxes that look wrong.
    origin: Origin = Origin()


def read_predictions(
    path: Path, fields: Sequence[Field], class_names: Sequence[str]
) -> Predictions:
    """Returns the detections in each field, from any of the three kinds of file.

    Args:
        path: A table with the columns of `claran.catalog.tables.detection_table`, a
            COCO `.json` of results (fields counted from 1), or a folder of VOC's text.
            A table or a text names a field, or a file of it such as
            `field_radio.fits`; see `claran.data.field_names.FieldNames`.
        fields: The fields.
        class_names: Names of the labels 1, 2 ...

    Raises:
        ImageError: The file cannot be read, or is none of these; or it has none of the
            fields, or other classes.
    """
    names = [field.name for field in fields]
    if path.is_dir():
        found, unknown = read_voc_detections(path, names, class_names)
        down = [True] * len(fields)
        origin = Origin()
    else:
        is_coco = path.suffix.lower() == ".json"
        table = (
            read_coco_results(path, names, class_names) if is_coco else read_table(path)
        )
        found, unknown = _by_field(path, table, names, class_names)
        origin = Origin.of(table.meta or {})
        down = [is_coco or not field.has_radio for field in fields]
    report = Report()
    turned = [
        _in_order(one.flip_y(field.shape[0]) if y_down else one, field, report)
        for one, field, y_down in zip(found, fields, down, strict=True)
    ]
    return Predictions(turned, unknown, report, origin)


def read_origin(path: Path) -> Origin:
    """Returns what the file says of the detector; nothing but a table says any.

    Raises:
        ImageError: The table cannot be read.
    """
    if path.is_dir() or path.suffix.lower() == ".json":
        return Origin()
    return Origin.of(read_table(path).meta or {})


def to_table(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    *,
    meta: Mapping[str, Any] = types.MappingProxyType({}),
) -> QTable:
    """Returns all detections as a table.

    Args:
        fields: The fields.
        detections: Detections in each field.
        class_names: Names of the labels 1, 2 ...
        meta: See `claran.catalog.tables.detection_table`.
    """
    turned = [
        found if field.has_radio else found.flip_y(field.shape[0])
        for field, found in zip(fields, detections, strict=True)
    ]
    found = Detections.concatenate(turned)
    known = any(ALTERNATIVE in one.columns for one in turned)
    columns = {ALTERNATIVE: found.alternative} if known else {}
    columns |= {
        name: column for name, column in found.columns.items()
        if name.startswith((PROBABILITY, "host_", "place_"))
    }  # fmt: skip
    counts = [len(one) for one in turned]
    names = np.repeat(np.array([field.name for field in fields], dtype=str), counts)
    return detection_table(
        names.tolist(),
        [str(class_names[label - 1]) for label in found.labels],
        found.scores,
        found.boxes,
        columns=columns,
        meta=meta,
    )


def voc_files(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_names: Sequence[str],
) -> dict[str, str]:
    """Returns the text of each file, by `claran.evaluation.voc_text.file_names`."""
    names = [field.name for field in fields]
    turned = [
        found.flip_y(field.shape[0])
        for field, found in zip(fields, detections, strict=True)
    ]
    return {
        name: format_voc(names, turned, label)
        for label, name in enumerate(file_names(class_names), start=1)
    }


def coco_files(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_names: Sequence[str],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the labels and the detections as COCO's JSON, for `pycocotools`.

    Images and classes are counted from 1. Ignored sources are crowds.
    """
    images, annotations, results = [], [], []
    for number, (field, found) in enumerate(
        zip(fields, detections, strict=True), start=1
    ):
        height, width = field.shape
        images.append(
            {"id": number, "file_name": field.name, "height": height, "width": width}
        )
        ignored = field.objects.ignored
        for i, box in enumerate(_coco_boxes(field.objects.boxes, field.shape)):
            crowd = int(ignored[i])
            # An ignored source without a class may be of any class.
            own = int(field.objects.labels[i])
            for label in [own] if own else range(1, len(class_names) + 1):
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": number,
                        "category_id": label, "bbox": box, "area": box[2] * box[3],
                        "iscrowd": crowd,
                    }
                )  # fmt: skip
        results += [
            {"image_id": number, "category_id": int(label), "bbox": box,
             "score": float(score)}
            for label, box, score in zip(
                found.labels, _coco_boxes(found.boxes, field.shape), found.scores,
                strict=True,
            )
        ]  # fmt: skip
    categories = [{"id": i, "name": name} for i, name in enumerate(class_names, 1)]
    truth_file = {
        "images": images, "categories": categories, "annotations": annotations,
    }  # fmt: skip
    return truth_file, results


def _coco_boxes(boxes: np.ndarray, shape: tuple[int, int]) -> list[list[float]]:
    turned = array_to_picture(boxes.astype(np.float64), shape, shape)
    return np.concatenate([turned[:, :2], turned[:, 2:] - turned[:, :2]], 1).tolist()


def _by_field(
    path: Path, table: Table, names: Sequence[str], class_names: Sequence[str]
) -> tuple[list[Detections], int]:
    """Returns the rows of each field, and the number of rows of other fields."""
    fields = _fields(path, table, names)
    codes = np.array([str(code) for code in table["label"]], dtype=str)
    others = sorted(set(codes[fields >= 0].tolist()) - set(class_names))
    if others:
        raise ImageError(
            f"{path}: label {brief(others[0])!r} is no class of the data "
            f"({', '.join(class_names)}); rename it, or give --class_names."
        )
    numbers = {name: i for i, name in enumerate(class_names, start=1)}
    labels = np.array([numbers.get(code, 0) for code in codes], int)
    values = _values(path, table)
    columns = _alternative(table) | _further(path, table)
    if PROBABILITY in columns:
        known = columns[PROBABILITY]
        columns[PROBABILITY] = np.where(np.isfinite(known), known, values[:, 0])
    order = np.argsort(fields, kind="stable")
    start = np.searchsorted(fields[order], np.arange(len(names) + 1))
    rows = [order[low:high] for low, high in itertools.pairwise(start)]
    return [
        Detections(
            boxes=values[own, 1:],
            labels=labels[own],
            scores=values[own, 0],
            columns={name: column[own] for name, column in columns.items()},
        )
        for own in rows
    ], int((fields < 0).sum())


def _fields(path: Path, table: Table, names: Sequence[str]) -> Int[np.ndarray, "n"]:
    """Returns the number of each row's field; -1 for other fields."""
    place = {name: i for i, name in enumerate(names)}
    index = FieldNames(names)
    images = [str(image) for image in table["image"]]
    known = {image: place.get(index.find(image) or "", -1) for image in set(images)}
    fields = np.array([known[image] for image in images], int)
    if len(fields) and (fields < 0).all():
        raise ImageError(
            f"{path}: none of its images is a field of the data. The first image is "
            f"{brief(images[0])!r}, the first field {names[0]!r}; give the data of "
            "these detections, or another --split."
        )
    return fields


def _alternative(table: Table) -> dict[str, Bool[np.ndarray, "n"]]:
    """Returns the column of alternatives, if there is one; CSV has it as text."""
    if ALTERNATIVE not in table.colnames:
        return {}
    texts = np.array([str(value).lower() for value in table[ALTERNATIVE]], dtype=str)
    return {ALTERNATIVE: np.isin(texts, ["true", "1"])}


def _further(path: Path, table: Table) -> dict[str, Float[np.ndarray, "n"]]:
    """Returns the further numbers that there are; NaN where nothing is known."""
    there = [name for name in NUMBERS if name in table.colnames]
    values = _numbers(path, table, there) if there else np.zeros((len(table), 0))
    return dict(zip(there, values.T, strict=True))


def _numbers(
    path: Path, table: Table, names: Sequence[str]
) -> Float[np.ndarray, "n k"]:
    """Returns some columns as numbers."""
    try:
        columns = [np.ma.asarray(table[name], np.float64) for name in names]
        if any(column.ndim > 1 for column in columns):
            raise ValueError("a cell has several numbers")
    except (ValueError, TypeError) as error:
        raise ImageError(
            f"{path}: has text in a column of numbers ({brief(error)})."
        ) from None
    return np.stack([np.ma.filled(column, np.nan) for column in columns], axis=1)


def _values(path: Path, table: Table) -> Float[np.ndarray, "n 5"]:
    """Returns score and box edges of each row."""
    values = _numbers(path, table, COLUMNS[2:])
    wrong = np.flatnonzero(~(np.abs(values) <= FARTHEST).all(axis=1))
    if len(wrong):
        raise ImageError(
            f"{path}: row {wrong[0] + 1} has a score or a box edge that is no number, "
            f"or beyond {FARTHEST:.0e}: {values[wrong[0]].tolist()}."
        )
    return values


def _in_order(found: Detections, field: Field, report: Report) -> Detections:
    """Returns the detections with `x0 <= x1` and `y0 <= y1`, and reports others."""
    boxes = found.boxes
    turned = np.sort(boxes.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    height, width = field.shape
    outside = (turned[:, 2:] <= 0) | (turned[:, :2] >= [width, height])
    for box in boxes[(turned != boxes).any(axis=1)].tolist():
        report.add("reversed box", f"{field.name}: {box}; its edges are exchanged")
    for box in boxes[outside.any(axis=1)].tolist():
        what = f"{field.name}: {box} in {width} x {height} pixels"
        report.add("outside the image", what)
    return dataclasses.replace(found, boxes=turned)
