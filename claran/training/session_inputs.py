"""The input of a training session: augmentation, size of images, worker processes."""

import collections
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

from claran.detection.detection_model import DetectionModel
from claran.fields.augmentation import Move, usual_augmentation
from claran.fields.batches import Transform
from claran.fields.notes import notes_for_user
from claran.io.parallel import cores
from claran.training.recipes import Recipe
from claran.training.run_record import TrainingError

__all__ = ["choose_augmentation", "count_workers", "find_image_size"]

SAMPLED = 64  # Fields of an endless source that are read to find the largest size.


def choose_augmentation(
    recipe: Recipe, model: DetectionModel, source: Any
) -> list[Transform]:
    """Returns the transforms that are applied to each field, in this order.

    Args:
        recipe: Recipe of the training.
        model: The model.
        source: Labelled fields.
    """
    if recipe.moves == "flip":
        return [Move(flip=0.5, step=360)]
    return usual_augmentation(
        model.preprocessor, has_radio=source.has_radio, endless=_is_endless(source)
    )


def find_image_size(
    model: DetectionModel, source: Any, *, slots: int, tell: Callable[[str], None]
) -> tuple[int, int]:
    """Returns rows and columns that hold every field; notes assumptions about fields.

    Fields of endless sources have a few sizes in turn, so that some of them suffice. Of
    other sources all are read.

    Args:
        model: The model.
        source: Labelled fields.
        slots: Largest number of objects in a field.
        tell: Receives messages for the user.

    Raises:
        TrainingError: A field has more objects than that.
    """
    count = min(len(source), SAMPLED) if _is_endless(source) else len(source)
    preprocessor = model.preprocessor
    rows = columns = 1
    assumed: collections.Counter[str] = collections.Counter()
    noted: collections.Counter[str] = collections.Counter()
    first: dict[str, str] = {}
    for number in tqdm(
        range(count), "Reading", unit="field", disable=None, delay=2, leave=False
    ):
        field = source[number]
        objects = len(field.objects)
        if objects > slots:
            raise TrainingError(
                f"{field.name}: has {objects} objects, more than --slots={slots}; "
                f"give --slots={objects}."
            )
        height, width = preprocessor.shape(field)
        rows, columns = max(rows, height), max(columns, width)
        assumed.update(field.assumptions if preprocessor.uses_beam else ())
        noted.update(field.notes)
        for what in (*field.assumptions, *field.notes):
            first.setdefault(what, field.name)
    for line in notes_for_user(assumed, noted, count, first):
        tell(line)
    return preprocessor.size(rows, columns)


def count_workers(workers: int | None, fields: int) -> int:
    """Returns the number of processes that make batches.

    Args:
        workers: The given number; None to choose one.
        fields: Number of fields in all batches.
    """
    if workers is not None:
        return workers
    # A process takes seconds to start. A thread makes few fields in less time.
    return 0 if fields < SAMPLED else max(1, min(8, cores() - 1))


def _is_endless(source: Any) -> bool:
    return getattr(source, "endless", False)
