"""Fields out of a prepared data set of TensorFlow Datasets."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from claran.data.field_files import picture_element
from claran.fields.field import Element

__all__ = ["Records", "from_record", "open_prepared"]


class Records:
    """The fields of one split, decoded as they are read.

    Args:
        records: TFDS's data source, or any sequence of decoded examples with the
            features of `datasets/rgz/README.md`.
        labels: The label of each class of the data set, from 1; 0 for one that is to be
            ignored. None for the data set's own order.
    """

    def __init__(self, records: Any, labels: Sequence[int] | None = None) -> None:
        self._records = records
        self._labels = labels

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Element:
        return from_record(self._records[index], self._labels)


def open_prepared(folder: str | os.PathLike, split: str) -> tuple[Any, tuple[str, ...]]:
    """Returns TFDS's data source of a split, and the names of the classes.

    Args:
        folder: Holds `dataset_info.json`, such as `DIR/rgz/pairs/1.1.0`.
        split: "train", "validation", "test", "all", or a part such as "train[:100]".

    Raises:
        ValueError: There is no such data set or split.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415 - slow, and not always needed

    try:
        builder: Any = tfds.builder_from_directory(folder)
        names = tuple(builder.info.features["objects"]["labels"].feature.names)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{folder}: holds no prepared data set ({error}); give the folder with its "
            "dataset_info.json, or make it with --mode=prepare."
        ) from None
    try:
        return builder.as_data_source(split), names
    except (OSError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"{folder}: cannot give the split {split!r} ({error}); it has "
            f"{', '.join(builder.info.splits)}."
        ) from None


def from_record(
    record: Mapping[str, Any], classes: Sequence[int] | None = None
) -> Element:
    """Returns the field of a decoded example.

    Labels count from 1 instead of 0, and the infrared is BGR instead of RGB. Objects
    of a class outside of the list are ignored. A ready-made picture (D1, D3, D4) gives
    what `claran.data.field_files.picture_element` says.

    Args:
        record: With the features of `datasets/rgz/README.md`.
        classes: See `Records`.
    """
    objects = record["objects"]
    labels = np.asarray(objects["labels"], np.int32) + np.int32(1)
    if classes is not None:
        labels = np.array([0, *classes], np.int32)[labels]
    boxes = np.asarray(objects["boxes"], np.float32)
    ignored = np.asarray(objects["ignore"], bool) | (labels < 1)
    consensus = np.asarray(objects["consensus"], np.float32)
    name = record["name"]
    name = name.decode() if isinstance(name, bytes) else str(name)
    if "radio" not in record:
        picture = record["image"][..., ::-1]
        element = picture_element(
            name, picture, boxes=boxes, labels=labels, ignored=ignored
        )
        element["consensus"] = consensus
        return element
    infrared = None
    if record["has_infrared"]:
        infrared = np.ascontiguousarray(record["infrared"][..., ::-1])
    major, minor = record["beam"][:2]
    return Element(
        name=name,
        radio=np.asarray(record["radio"], np.float32),
        noise=float(record["noise"]),
        beam=float(np.sqrt(major * minor) / record["pixel_arcsec"]),
        pixel_arcsec=float(record["pixel_arcsec"]),
        infrared=infrared,
        boxes=boxes,
        labels=labels,
        ignored=ignored,
        consensus=consensus,
        host=np.asarray(objects["host"], np.float32),
        component_positions=np.asarray(objects["component_positions"], np.float32),
        component_objects=np.asarray(objects["component_objects"], np.int32),
    )
