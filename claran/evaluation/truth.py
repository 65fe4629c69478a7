"""Truth and detections, field by field, and all of them in one array.

Boxes are edges in pixels (see `claran.ops.boxes`). Which way y runs does not matter to
a metric, as long as truth and detections agree; here all are in the frame of
`claran.fields.field.Element`, the FITS array.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from tqdm.auto import tqdm

from claran.fields.batches import Source
from claran.fields.field import Element
from claran.fields.outlines import islands_and_peaks
from claran.io.parallel import parallel_map

__all__ = [
    "Catalog",
    "FieldDetections",
    "FieldTruth",
    "catalog",
    "read_truths",
    "truth_of",
]

MANY = 500  # Fields; for fewer it does not pay to start processes.
PART = 64  # Fields that a process reads at once.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldTruth:
    """The labelled sources of one field.

    Attributes:
        name: The field's.
        boxes: (n, 4), edges.
        labels: (n,), class from 1; 0 for an ignored source without one.
        ignored: (n,), sources that are neither to be found nor false alarms.
        consensus: (n,), share of the people who agreed; NaN where not known.
        islands: (k, 4), boxes of the islands of emission; None without a radio image.
        island_peaks: (k,), peaks of each of them.
        pixel_arcsec: Side of a pixel; NaN where not known.
        shape: (ny, nx) of the field; (0, 0) where not known.
        beam: Width of the beam in pixels; NaN where not known.
    """

    name: str
    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray | None = None
    consensus: np.ndarray | None = None
    islands: np.ndarray | None = None
    island_peaks: np.ndarray | None = None
    pixel_arcsec: float = math.nan
    shape: tuple[int, int] = (0, 0)
    beam: float = math.nan

    def __post_init__(self) -> None:
        _check(self, ("boxes", "labels", "ignored", "consensus"), self.name)
        if not np.isfinite(self.boxes).all():
            raise ValueError(f"{self.name}: `boxes` must be finite.")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldDetections:
    """What was found in one field, in any order.

    Attributes:
        boxes: (n, 4), edges, in the frame of the truth.
        labels: (n,), class from 1.
        scores: (n,), confidence.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        _check(self, ("boxes", "labels", "scores"), "detections")
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise ValueError("`boxes` and `scores` of detections must be finite.")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """Objects of all fields, ordered by field.

    Attributes:
        fields: (n,), number of the field.
        boxes: (n, 4), edges.
        labels: (n,), class from 1, or 0.
        scores: (n,), confidence; of true sources 1.
        ignored: (n,), see `FieldTruth`; a detection that is ignored may hit a source,
            but is no false alarm if it does not.
    """

    fields: Int[np.ndarray, "n"]
    boxes: Float[np.ndarray, "n 4"]
    labels: Int[np.ndarray, "n"]
    scores: Float[np.ndarray, "n"]
    ignored: Bool[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, rows: Bool[np.ndarray, "n"]) -> "Catalog":
        return Catalog(**{name: column[rows] for name, column in vars(self).items()})


def catalog(parts: Sequence[FieldTruth] | Sequence[FieldDetections]) -> Catalog:
    """Returns the objects of all fields in one."""
    counts = [len(part.labels) for part in parts]

    def column(name: str, missing: float, dtype: type, *width: int) -> np.ndarray:
        rows = [getattr(part, name, None) for part in parts]
        filled = [
            np.full(count, missing) if row is None else np.asarray(row)
            for row, count in zip(rows, counts, strict=True)
        ]
        return np.concatenate([np.zeros((0, *width)), *filled]).astype(dtype)

    return Catalog(
        fields=np.repeat(np.arange(len(parts)), counts),
        boxes=column("boxes", 0, np.float64, 4),
        labels=column("labels", 0, np.int64),
        scores=column("scores", 1, np.float64),
        ignored=column("ignored", 0, np.bool_),
    )


def read_truths(source: Source, *, workers: int | None = None) -> list[FieldTruth]:
    """Returns what is known about each field of a source.

    Args:
        source: The fields.
        workers: Processes; None for one a core, where it pays.
    """
    if len(source) < MANY:
        workers = 1
    parts = [range(len(source))[i : i + PART] for i in range(0, len(source), PART)]
    read = parallel_map(functools.partial(_read, source), parts, workers=workers)
    bar = tqdm(
        itertools.chain.from_iterable(read), "Reading", len(source),
        unit="field", disable=None, delay=2, leave=False,
    )  # fmt: skip
    return list(bar)


def truth_of(element: Element) -> FieldTruth:
    """Returns what is known about a field, its islands included."""
    boxes = peaks = None
    if element["noise"] > 0:  # A ready-made picture comes with an empty radio image.
        islands, found = islands_and_peaks(element)
        boxes, peaks = islands.boxes.astype(np.float64), found.counts(len(islands))
    return FieldTruth(
        name=element["name"],
        boxes=element["boxes"],
        labels=element["labels"],
        ignored=element["ignored"],
        consensus=element.get("consensus"),
        islands=boxes,
        island_peaks=peaks,
        pixel_arcsec=element.get("pixel_arcsec", math.nan),
        shape=element["radio"].shape,
        beam=element.get("beam", math.nan),
    )


def _read(source: Source, part: range) -> list[FieldTruth]:
    return [truth_of(source[i]) for i in part]


def _check(part: object, names: Sequence[str], owner: str) -> None:
    boxes = np.asarray(getattr(part, "boxes"))  # noqa: B009 - of either class
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{owner}: `boxes` must be (n, 4), got {boxes.shape}.")
    for name in names[1:]:
        column = getattr(part, name)
        if column is not None and np.shape(column) != (len(boxes),):
            raise ValueError(
                f"{owner}: `{name}` must be ({len(boxes)},), got {np.shape(column)}."
            )
