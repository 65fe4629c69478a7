"""Fields out of a prepared data set of TensorFlow Datasets."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from claran.data.elements import Element
from claran.data.fusion import picture_to_array

__all__ = ["Records", "from_record", "open_split"]


class Records:
    """The fields of one split, decoded as they are read.

    Args:
        records: TFDS's data source, or any sequence of decoded examples with the
            features of `datasets/rgz/README.md`.
    """

    def __init__(self, records: Any) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Element:
        return from_record(self._records[index])


def open_split(folder: str | os.PathLike, split: str) -> Records:
    """Returns the fields of a split in a folder that TFDS has prepared.

    Args:
        folder: Holds `dataset_info.json`, such as `DIR/rgz/pairs/1.0.0`.
        split: "train", "validation", "test", or a part such as "train[:100]".

    Raises:
        ValueError: There is no such data set or split.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415 - slow, and not always needed

    try:
        builder: Any = tfds.builder_from_directory(folder)
        source = builder.as_data_source(split)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder}: holds no prepared data set ({error}); give the folder with its "
            "dataset_info.json, or make it with --mode=prepare."
        ) from None
    return Records(source)


def from_record(record: Mapping[str, Any]) -> Element:
    """Returns the field of a decoded example.

    Labels count from 1 instead of 0, and the infrared is BGR instead of RGB. Objects
    of a class outside of the list are ignored.

    A ready-made picture (D1, D3, D4) is returned as the infrared of a radio image of
    the same size without a source in it, for `claran.data.inputs.Picture(method=None)`.
    """
    objects = record["objects"]
    labels = np.asarray(objects["labels"], np.int32) + np.int32(1)
    boxes = np.asarray(objects["boxes"], np.float32)
    ignored = np.asarray(objects["ignore"], bool) | (labels < 1)
    name = record["name"]
    name = name.decode() if isinstance(name, bytes) else str(name)
    if "radio" not in record:
        return _from_picture(name, record["image"], boxes, labels, ignored)
    infrared = None
    if record["has_infrared"]:
        infrared = np.ascontiguousarray(record["infrared"][..., ::-1])
    major, minor = record["beam"][:2]
    return Element(
        name=name,
        radio=np.asarray(record["radio"], np.float32),
        noise=float(record["noise"]),
        beam=float(np.sqrt(major * minor) / record["pixel_arcsec"]),
        infrared=infrared,
        boxes=boxes,
        labels=labels,
        ignored=ignored,
    )


def _from_picture(
    name: str,
    image: np.ndarray,
    boxes: np.ndarray,
    labels: Int32[np.ndarray, "n"],
    ignored: Bool[np.ndarray, "n"],
) -> Element:
    shape = image.shape[:2]
    return Element(
        name=name,
        radio=np.zeros(shape, np.float32),
        noise=0.0,
        infrared=np.ascontiguousarray(image[..., ::-1]),
        boxes=picture_to_array(boxes, shape, shape),  # Its y runs down.
        labels=labels,
        ignored=ignored,
    )
