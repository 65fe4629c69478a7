"""Fields from a prepared data set of TensorFlow Datasets."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.io.text_files import brief
from claran.sky.images import SkyImage
from claran.sky.pictures import picture_to_array
from claran.sky.surveys import Survey

__all__ = ["Records", "from_record", "no_split", "open_prepared"]


class Records:
    """The fields of a split, decoded when they are read.

    Args:
        records: TFDS's data source, or any sequence of decoded examples with the
            features of `datasets/rgz/README.md`.
        labels: Label of each class of the data set, from 1; 0 for an ignored class.
            None for the order of the data set.
        survey: Survey of the images; see `claran.fields.field.Field`.
    """

    def __init__(
        self,
        records: Any,
        labels: Sequence[int] | None = None,
        *,
        survey: Survey | None = None,
    ) -> None:
        self._records = records
        self._labels = labels
        self._survey = survey

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Field:
        return from_record(self._records[index], self._labels, survey=self._survey)


def open_prepared(folder: str | os.PathLike, split: str) -> tuple[Any, tuple[str, ...]]:
    """Returns TFDS's data source of a split, and the names of the classes.

    Args:
        folder: Folder with `dataset_info.json`, such as `DIR/rgz/pairs/1.1.0`.
        split: "train", "validation", "test", "all", or a part such as "train[:100]".

    Raises:
        ValueError: There is no such data set or split.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415 - slow, and not always needed

    try:
        builder: Any = tfds.builder_from_directory(folder)
        names = tuple(builder.info.features["objects"]["labels"].feature.names)
    except Exception as error:  # TFDS and Protobuf fail in many ways.
        raise ValueError(
            f"{folder}: has no prepared data set ({brief(error)}); give the folder "
            "with its dataset_info.json, or make it with --mode=prepare."
        ) from None
    try:
        return builder.as_data_source(split), names
    except (OSError, ValueError, NotImplementedError) as error:
        sizes = {name: one.num_examples for name, one in builder.info.splits.items()}
        raise no_split(folder, split, sizes, error) from None


def no_split(
    data: str | os.PathLike, split: str, sizes: Mapping[str, int], error: Exception
) -> ValueError:
    """Returns the error for a split that TFDS cannot find, or read as one.

    Args:
        data: Path of the data.
        split: What was asked for. Parts of "all" are a NotImplementedError of TFDS.
        sizes: Number of fields in each split that there is.
        error: What TFDS says.
    """
    there = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    return ValueError(f"{data}: has no split {split!r} ({error}); it has {there}.")


def from_record(
    record: Mapping[str, Any],
    classes: Sequence[int] | None = None,
    *,
    survey: Survey | None = None,
) -> Field:
    """Returns the field of a decoded example.

    Labels count from 1 instead of 0, and pictures are BGR instead of RGB. Objects of
    ignored classes are ignored. A record of a picture (D1, D3, D4) is a field without a
    radio image.

    Args:
        record: Example with the features of `datasets/rgz/README.md`.
        classes: Label of each class, see `Records`.
        survey: Survey of the image; see `claran.fields.field.Field`.
    """
    name = record["name"]
    name = name.decode() if isinstance(name, bytes) else str(name)
    if "radio" not in record:
        picture = np.ascontiguousarray(record["image"][..., ::-1])
        shape = picture.shape[:2]
        objects = _objects(record["objects"], classes)
        boxes = picture_to_array(objects.boxes, shape, shape)
        objects = dataclasses.replace(objects, boxes=boxes)
        return Field(name, picture=picture, objects=objects)
    picture = None
    if record["has_infrared"]:
        picture = np.ascontiguousarray(record["infrared"][..., ::-1])
    major, minor, angle = map(float, record["beam"])
    pixel = float(record["pixel_arcsec"])
    image = SkyImage(
        values=np.asarray(record["radio"], np.float32),
        pixel_arcsec=pixel if pixel > 0 else None,
        name=name,
        beam=(major, minor, angle) if major > 0 and minor > 0 else None,
    )
    return Field(
        name,
        image=image,
        picture=picture,
        objects=_objects(record["objects"], classes),
        survey=survey,
        noise=float(record["noise"]),
    )


def _objects(columns: Mapping[str, Any], classes: Sequence[int] | None) -> Objects:
    labels = np.asarray(columns["labels"], np.int32) + np.int32(1)
    if classes is not None:
        labels = np.array([0, *classes], np.int32)[labels]
    known: dict[str, Any] = {
        name: np.asarray(columns[name], dtype)
        for name, dtype in (
            ("host", np.float32),
            ("component_positions", np.float32),
            ("component_objects", np.int32),
        )
        if name in columns
    }
    return Objects(
        boxes=np.asarray(columns["boxes"], np.float32),
        labels=labels,
        ignored=np.asarray(columns["ignore"], bool) | (labels < 1),
        consensus=np.asarray(columns["consensus"], np.float32),
        **known,
    )
