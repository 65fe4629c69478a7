"""Sources and detections of all fields in one table each, and reading of the fields.

Boxes are edges in pixels of the FITS array (see `claran.ops.boxes`). Fields are kept
without pixels (`Field.without_pixels`), so that thousands fit into memory.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np
from tqdm.auto import tqdm

from claran.detection.detections import ALTERNATIVE, PROBABILITY, Detections
from claran.fields.batches import Source
from claran.fields.field import Field
from claran.io.parallel import parallel_map

__all__ = ["detected_catalog", "measured_field", "read_fields", "true_catalog"]

MANY = 500  # Fields; for fewer, starting processes takes longer than it saves.
CHUNK = 64  # Fields that a process reads in one call.


def true_catalog(fields: Sequence[Field]) -> Detections:
    """Returns the labelled sources of all fields, ordered by field, with a score of 1.

    Further columns: `field`, the number of the field, and `ignored`, whether the source
    counts neither as missed nor, if detected, as a false alarm.

    Args:
        fields: The fields.
    """
    counts = [len(field.objects) for field in fields]
    rows = Detections.concatenate(
        [
            Detections(
                boxes=field.objects.boxes.astype(np.float64),
                labels=field.objects.labels.astype(np.int64),
                scores=np.ones(len(field.objects)),
            )
            for field in fields
        ]
    )
    ignored = [field.objects.ignored for field in fields]
    return rows.with_columns(
        field=np.repeat(np.arange(len(counts)), counts),
        ignored=np.concatenate([np.zeros(0, bool), *ignored]),
    )


def detected_catalog(found: Sequence[Detections]) -> Detections:
    """Returns the detections in all fields, ordered by field.

    Further columns: `field`, the number of the field, and `ignored`, False here: an
    ignored detection may hit a source, but is no false alarm if it does not; and which
    detections are alternatives, and how probable each is, see `Detections.in_catalog`.

    Args:
        found: Detections in each field.
    """
    counts = [len(one) for one in found]
    alternative = [np.zeros(0, bool), *(one.alternative for one in found)]
    probability = [np.zeros(0), *(one.probability for one in found)]
    rows = Detections.concatenate(
        [
            Detections(
                boxes=np.asarray(one.boxes, np.float64),
                labels=np.asarray(one.labels, np.int64),
                scores=np.asarray(one.scores, np.float64),
            )
            for one in found
        ]
    )
    return rows.with_columns(
        field=np.repeat(np.arange(len(counts)), counts),
        ignored=np.zeros(len(rows), bool),
        **{
            ALTERNATIVE: np.concatenate(alternative),
            PROBABILITY: np.concatenate(probability),
        },
    )


def read_fields(source: Source, *, workers: int | None = None) -> list[Field]:
    """Returns the fields of a source, measured, without their pixels.

    Args:
        source: The fields.
        workers: Number of processes; None for one per core if there are many fields.
    """
    if len(source) < MANY:
        workers = 1
    chunks = [range(len(source))[i : i + CHUNK] for i in range(0, len(source), CHUNK)]
    read = parallel_map(functools.partial(_read, source), chunks, workers=workers)
    bar = tqdm(
        itertools.chain.from_iterable(read), "Reading", len(source),
        unit="field", disable=None, delay=2, leave=False,
    )  # fmt: skip
    return list(bar)


def measured_field(source: Source, number: int) -> Field:
    """Returns a field, measured.

    In this module, so that worker processes do not load JAX.

    Args:
        source: The fields.
        number: Number of the field.
    """
    return source[number].measure()


def _read(source: Source, chunk: range) -> list[Field]:
    return [source[i].without_pixels() for i in chunk]
