"""The labelled sources of a field."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

__all__ = ["Objects"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """Labelled sources, one a row, in pixels of the FITS array.

    There y is up and pixel `i` covers `[i, i + 1]` (see `claran.ops.boxes`).

    Attributes:
        boxes: `(x0, y0, x1, y1)`, edges.
        labels: Class, from 1; 0 where an ignored object has none.
        ignored: Whether an object is ignored, so that it is neither a source to find
            nor background.
        consensus: Fraction of the volunteers who agree; NaN where unknown; None if
            unknown for all.
        host: `(x, y)` of the host galaxy; NaN where unknown; None if unknown for all.
        component_positions: `(x, y)` of the brightest peak of each component, for all
            objects together; None if unknown.
        component_objects: Row of the object of each of these positions.
        outlines: Points of each object's outline with the bounds of the box, see
            `claran.fields.outlines`; None until they are needed.

    Raises:
        ValueError: The columns differ in length, or a box is not finite.
    """

    boxes: Float[np.ndarray, "n 4"]
    labels: Int[np.ndarray, "n"]
    ignored: Bool[np.ndarray, "n"]
    consensus: Float[np.ndarray, "n"] | None = None
    host: Float[np.ndarray, "n 2"] | None = None
    component_positions: Float32[np.ndarray, "m 2"] | None = None
    component_objects: Int32[np.ndarray, "m"] | None = None
    outlines: list[Float32[np.ndarray, "_ 2"]] | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"`boxes` must be (n, 4), got {self.boxes.shape}.")
        of_objects = ("labels", "ignored", "consensus", "host", "outlines")
        self._check_rows(*of_objects, of="boxes")
        self._check_rows("component_objects", of="component_positions")
        if not np.isfinite(self.boxes).all():
            raise ValueError(f"`boxes` must be finite, got {self.boxes.tolist()}.")

    def _check_rows(self, *names: str, of: str) -> None:
        """Checks that columns have the length of another one."""
        other = getattr(self, of)
        rows = 0 if other is None else len(other)
        for name in names:
            column = getattr(self, name)
            if column is not None and len(column) != rows:
                raise ValueError(
                    f"`{name}` must have a row for each of the {rows} `{of}`, got "
                    f"{len(column)}."
                )

    @classmethod
    def none(cls) -> "Objects":
        """Returns no objects."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            labels=np.zeros(0, np.int32),
            ignored=np.zeros(0, bool),
        )

    def __repr__(self) -> str:
        return f"<Objects: {len(self)}, {int(self.ignored.sum())} of them ignored>"

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Int[np.ndarray, "k"]) -> "Objects":
        """Returns some of the objects, with their components.

        Args:
            rows: Rows of these objects, ascending.
        """
        kept = {
            name: None if (column := getattr(self, name)) is None else column[rows]
            for name in ("boxes", "labels", "ignored", "consensus", "host")
        }
        if self.outlines is not None:
            kept["outlines"] = [self.outlines[i] for i in rows]
        if self.component_positions is not None and self.component_objects is not None:
            place = np.full(len(self), -1, np.int32)
            place[rows] = np.arange(len(rows))
            owners = place[self.component_objects]
            kept["component_objects"] = owners[owners >= 0]
            kept["component_positions"] = self.component_positions[owners >= 0]
        return dataclasses.replace(self, **kept)

    def move_points(self, matrix: Float[np.ndarray, "3 3"]) -> "Objects":
        """Returns the objects with moved hosts and components, and the same boxes.

        Args:
            matrix: Affine map of columns `(x, y, 1)`, edges, y up.
        """
        turn, shift = matrix[:2, :2].T, matrix[:2, 2]
        moved = {
            name: (points @ turn + shift).astype(np.float32)
            for name in ("host", "component_positions")
            if (points := getattr(self, name)) is not None
        }
        return dataclasses.replace(self, **moved)
