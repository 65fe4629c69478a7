"""The container of detections, in one field or in many."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["ALTERNATIVE", "PROBABILITY", "Detections"]

ALTERNATIVE = "alternative"
"""Column of less probable readings of emission, see `claran.detection.alternatives`."""
PROBABILITY = "probability"
"""Column of the probability that a detection is one source, of whatever class."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """Detections, one a row, with any number of further columns.

    Attributes:
        boxes: `(x0, y0, x1, y1)`, edges in pixels of the FITS array, y up: pixel `i`
            covers `[i, i + 1]`. For a field that is only a picture, y is up as well:
            row 0 of the picture is the highest.
        labels: Class, from 1.
        scores: Probability of that class.
        columns: Further columns by name, such as `ra`.

    Raises:
        ValueError: Columns differ in length, or a box or score is not finite.
    """

    boxes: Float[np.ndarray, "n 4"]
    labels: Int[np.ndarray, "n"]
    scores: Float[np.ndarray, "n"]
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"`boxes` must be (n, 4), got {self.boxes.shape}.")
        for name in ("labels", "scores"):
            if np.shape(getattr(self, name)) != (count,):
                shape = np.shape(getattr(self, name))
                raise ValueError(f"`{name}` must be ({count},), got {shape}.")
        for name, column in self.columns.items():
            if len(column) != count:
                raise ValueError(
                    f"column {name!r} must have {count} rows, got {len(column)}."
                )
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise ValueError("`boxes` and `scores` of detections must be finite.")

    def __len__(self) -> int:
        return len(self.boxes)

    @overload
    def __getitem__(self, rows: str) -> np.ndarray: ...

    @overload
    def __getitem__(self, rows: np.ndarray | slice) -> "Detections": ...

    def __getitem__(self, rows: str | np.ndarray | slice) -> "np.ndarray | Detections":
        """Returns a further column by its name, or some of the rows."""
        if isinstance(rows, str):
            return self.columns[rows]
        return Detections(
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            scores=self.scores[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
        )

    def __repr__(self) -> str:
        further = f", {', '.join(self.columns)}" if self.columns else ""
        return f"<Detections: {len(self)} rows of boxes, labels, scores{further}>"

    @classmethod
    def none(cls) -> "Detections":
        """Returns no detections."""
        return cls(
            boxes=np.zeros((0, 4)), labels=np.zeros(0, np.int64), scores=np.zeros(0)
        )

    @property
    def alternative(self) -> Bool[np.ndarray, "n"]:
        """Which rows are less probable readings of emission; none if not known."""
        known = self.columns.get(ALTERNATIVE)
        return np.zeros(len(self), bool) if known is None else known

    @property
    def probability(self) -> Float[np.ndarray, "n"]:
        """That each is one source, of whatever class; the scores if not known."""
        return self.columns.get(PROBABILITY, self.scores)

    def in_catalog(self, threshold: float) -> Bool[np.ndarray, "n"]:
        """Returns which rows are the catalog above a probability.

        These are no alternatives, so that no two of them share emission, and more
        probably sources than the threshold.
        """
        return ~self.alternative & (self.probability > threshold)

    def catalog(self, threshold: float = 0.0) -> "Detections":
        """Returns the rows `in_catalog`, without the column of alternatives."""
        return self[self.in_catalog(threshold)].without(ALTERNATIVE)

    def without(self, name: str) -> "Detections":
        """Returns the detections without a further column, if they have it."""
        further = {k: v for k, v in self.columns.items() if k != name}
        return dataclasses.replace(self, columns=further)

    def flip_y(self, rows: int) -> "Detections":
        """Returns the detections with the y axis of their boxes reversed.

        Args:
            rows: Number of rows of the field.
        """
        x0, y0, x1, y1 = np.asarray(self.boxes, np.float64).T
        boxes = np.stack([x0, rows - y1, x1, rows - y0], axis=1)
        return dataclasses.replace(self, boxes=boxes)

    def with_columns(self, **columns: np.ndarray) -> "Detections":
        """Returns the detections with further columns."""
        return dataclasses.replace(self, columns={**self.columns, **columns})

    @classmethod
    def concatenate(cls, parts: Sequence["Detections"]) -> "Detections":
        """Returns the rows of all parts.

        A column of floats that is missing in a part becomes NaN there.

        Raises:
            ValueError: A column that is not of floats is missing in a part.
        """
        if not parts:
            return cls.none()
        names = dict.fromkeys(name for part in parts for name in part.columns)
        return cls(
            boxes=np.concatenate([part.boxes for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            columns={name: _concatenate_column(name, parts) for name in names},
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all columns by name, for a file; `from_arrays` undoes it."""
        further = {f"column_{name}": rows for name, rows in self.columns.items()}
        return {
            "boxes": self.boxes, "labels": self.labels, "scores": self.scores, **further
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Detections":
        """Returns the detections of `to_arrays`; ignores other arrays."""
        return cls(
            boxes=arrays["boxes"],
            labels=arrays["labels"],
            scores=arrays["scores"],
            columns={
                name.removeprefix("column_"): rows
                for name, rows in arrays.items()
                if name.startswith("column_")
            },
        )

    def split(self, counts: Sequence[int] | Int[np.ndarray, "k"]) -> list["Detections"]:
        """Returns the rows in parts of these lengths, the inverse of `concatenate`.

        Raises:
            ValueError: The lengths do not add up to the number of rows.
        """
        ends = np.cumsum(np.asarray(counts, int))
        if np.sum(counts) != len(self):
            raise ValueError(
                f"`counts` must add up to {len(self)} rows, got {np.sum(counts)}."
            )
        return [
            self[int(end) - int(count) : int(end)]
            for count, end in zip(counts, ends, strict=True)
        ]


def _concatenate_column(name: str, parts: Sequence[Detections]) -> np.ndarray:
    known = [part.columns[name] for part in parts if name in part.columns]
    kind = known[0].dtype.kind
    rows = []
    for part in parts:
        column = part.columns.get(name)
        if column is None:
            if kind != "f" and len(part):
                raise ValueError(f"column {name!r} is missing in some of the parts.")
            shape = (len(part), *known[0].shape[1:])
            column = np.full(shape, np.nan if kind == "f" else 0, known[0].dtype)
        rows.append(column)
    return np.concatenate(rows)
