"""Rows of a batch: fields as the network sees them, with their objects."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float32, Int32

from claran.fields.field import Field
from claran.fields.island_rows import pad_islands
from claran.fields.padding import pad_objects
from claran.fields.preprocessing import Preprocessor, network_boxes, padded

__all__ = ["Batch", "make_row", "stack_rows"]


class Batch(TypedDict):
    """The arrays of a training step, and `names`, which a compiled step cannot take.

    `images` and `image_info` are the input of the network. A row with an empty name
    fills up the last batch of a validation and has no field.
    """

    images: Float32[np.ndarray, "b rows columns c"]
    image_info: Float32[np.ndarray, "b 3"]
    boxes: Float32[np.ndarray, "b slots 4"]
    """Pixels of the network's input, edges, y down; see `claran.fields.padding`."""
    labels: Int32[np.ndarray, "b slots"]
    valid: Bool[np.ndarray, "b slots"]
    ignored: Bool[np.ndarray, "b slots"]
    names: np.ndarray
    islands: NotRequired[Float32[np.ndarray, "b k 4"]]
    """See `claran.fields.island_rows`; only for networks that see islands."""
    owners: NotRequired[Int32[np.ndarray, "b k"]]


def make_row(
    field: Field,
    *,
    preprocessor: Preprocessor,
    size: tuple[int, int],
    slots: int,
    islands: int = 0,
) -> dict[str, Any]:
    """Returns a field as one row of a batch.

    Args:
        field: The field.
        preprocessor: Makes the network's input.
        size: Rows and columns of the batch's images.
        slots: Largest number of objects.
        islands: Number of slots for islands; 0 for a row without.

    Raises:
        ValueError: The field is larger than `size`, has more objects than `slots`, or
            lacks an image that the preprocessor needs.
    """
    scene = preprocessor(field)
    view = scene.view()
    objects = field.objects
    try:
        image = padded(view, size, preprocessor.blank)
    except ValueError:
        rows, columns = scene.shape
        raise ValueError(
            f"{field.name}: is {rows} x {columns} pixels at the network's resolution, "
            f"more than the batches' {size[0]} x {size[1]}; give a larger `size`, or "
            "cut the field into tiles."
        ) from None
    padded_objects = pad_objects(
        network_boxes(objects.boxes, scene, field),
        objects.labels,
        objects.ignored,
        slots=slots,
        name=field.name,
    )
    padded_islands = pad_islands(field, scene, slots=islands) if islands else {}
    return {
        "images": image, "image_info": view.image_info, **padded_objects,
        **padded_islands, "names": field.name,
    }  # fmt: skip


def stack_rows(rows: Sequence[dict[str, Any]], *, batch_size: int) -> dict[str, Any]:
    """Returns a batch of rows, filled up with blank ones.

    Args:
        rows: Rows of `make_row`.
        batch_size: Number of rows in the batch.
    """
    missing = batch_size - len(rows)
    if missing:
        blank = {name: np.zeros_like(value) for name, value in rows[0].items()}
        height, width = rows[0]["images"].shape[:2]
        blank |= {"image_info": np.array([height, width, 1], np.float32), "names": ""}
        rows = [*rows, *[blank] * missing]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
