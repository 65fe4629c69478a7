"""Pipeline from fields to batches: shuffled, augmented, resumable at any batch.

It is made with Grain, which is imported only when a pipeline starts, as it imports JAX.
Nothing here or in a worker process computes with JAX.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Protocol, cast, runtime_checkable

import cv2
import numpy as np
from absl import flags

from claran.fields.batch_rows import Batch, make_row, stack_rows
from claran.fields.field import Field
from claran.fields.preprocessing import Preprocessor
from claran.io.parallel import end_with_parent, starting_workers

__all__ = [
    "Batches",
    "PipelineOptions",
    "Source",
    "Transform",
    "training_batches",
    "validation_batches",
]

ENDLESS = 2**52  # Fields; Grain needs a number that is exact as a float.

Transform = Callable[[Field, np.random.Generator], Field]


@runtime_checkable
class Source(Protocol):
    """Fields by number, such as a list or `claran.data.records.Records`.

    It must be picklable, for worker processes.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Field: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineOptions:
    """Options of a pipeline.

    Attributes:
        batch_size: Fields in a batch, summed over all shards.
        slots: Largest number of objects in a field.
        islands: Number of slots for the islands of a field; 0 for batches without.
        size: Rows and columns of the images in a batch.
        seed: Seed of the order and of augmentation, for any number of workers.
        workers: Number of processes that make batches; 0 for a thread of this process.
        ahead: Number of batches that each of them makes in advance.
        shard: Number of this process's part of each batch, if several share a batch.
        shards: Number of these parts, of equal size.

    Raises:
        ValueError: A number is too small, or `batch_size` no multiple of `shards`.
    """

    batch_size: int = 1
    slots: int = 32
    islands: int = 0
    size: tuple[int, int] = (128, 128)
    seed: int = 0
    workers: int = 0
    ahead: int = 2
    shard: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("batch_size", 1), ("slots", 1), ("islands", 0), ("seed", 0),
            ("workers", 0), ("ahead", 1),
        ):  # fmt: skip
            if not getattr(self, name) >= least:
                raise ValueError(
                    f"`{name}` must be at least {least}, got {getattr(self, name)}."
                )
        if not 0 <= self.shard < self.shards:
            raise ValueError(
                f"`shard` must be in [0, {self.shards}), got {self.shard}."
            )
        if self.batch_size % self.shards:
            raise ValueError(
                f"`batch_size` must be a multiple of `shards`, {self.shards}, got "
                f"{self.batch_size}."
            )


class Batches(Iterator[Batch]):
    """Iterator over batches that can save and restore its position.

    Close it, or use it in a `with` block, to end its worker processes.

    Args:
        dataset: Grain's dataset of batches.
        options: Options of the pipeline.
        identity: Settings that the batches depend on; part of the state.
    """

    def __init__(
        self, dataset: Any, options: PipelineOptions, identity: dict[str, Any]
    ) -> None:
        self._dataset = dataset
        self._options = options
        self._identity = identity
        self._next = 0
        self._batches: Any = None

    def __next__(self) -> Batch:
        if self._batches is None:
            with starting_workers() if self._options.workers else nullcontext():
                self._batches = _start(self._dataset[self._next :], self._options)
                batch = next(self._batches)
        else:
            batch = next(self._batches)
        self._next += 1
        # Copies: memory shared with a worker is freed with its array, while JAX may
        # still use it.
        return cast(Batch, {name: np.array(v) for name, v in batch.items()})

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def get_state(self) -> dict[str, Any]:
        """Returns the position of the next batch, for JSON."""
        return {"next_batch": self._next} | self._identity

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues from a state; the number of workers may differ.

        Args:
            state: Of `get_state`.

        Raises:
            ValueError: The state is that of a pipeline with other batches.
        """
        for name, value in self._identity.items():
            if state.get(name) != value:
                raise ValueError(
                    f"`state` is of other batches: its {name} is {state.get(name)}, "
                    f"here it is {value}; resume with the settings of the first run."
                )
        self.close()
        self._next = state["next_batch"]

    def close(self) -> None:
        """Ends the workers; they start again for the next batch."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


def training_batches(
    source: Source,
    preprocessor: Preprocessor,
    *,
    augment: Sequence[Transform] = (),
    options: PipelineOptions = PipelineOptions(),
) -> Batches:
    """Returns an infinite sequence of batches, each epoch in another random order.

    A batch may have fields of two epochs.

    Args:
        source: The fields.
        preprocessor: Makes the network's input from a field.
        augment: Transforms, in this order, each with its own random numbers.
        options: See `PipelineOptions`.

    Raises:
        ValueError: The source is empty. During the iteration: see
            `claran.fields.batch_rows.make_row`.
    """
    fields = _fields(source).seed(options.seed).shuffle()
    # Not `repeat()`: Grain 0.2.18 then fails to count batches of one field.
    fields = fields.repeat(ENDLESS // len(source))
    for transform in augment:
        fields = fields.random_map(transform)
    if options.shards > 1:
        fields = _part(fields, options)
    return _batches(source, fields, preprocessor, options)


def validation_batches(
    source: Source,
    preprocessor: Preprocessor,
    *,
    options: PipelineOptions = PipelineOptions(),
) -> Batches:
    """Returns batches of every field once, in order, without augmentation.

    The last batch is filled up with blank rows, see `claran.fields.batch_rows.Batch`.

    Args:
        source: The fields.
        preprocessor: Makes the network's input from a field.
        options: See `PipelineOptions`; every shard gets all fields.

    Raises:
        ValueError: See `training_batches`.
    """
    return _batches(source, _fields(source), preprocessor, options)


def _fields(source: Source) -> Any:
    import grain  # noqa: PLC0415 - imports JAX, which readers of fields must not

    if not len(source):
        raise ValueError("`source` must have at least one field, got none.")
    return grain.MapDataset.source(cast(Any, source))


def _part(fields: Any, options: PipelineOptions) -> Any:
    """Returns only the rows of this shard of each batch."""
    import grain  # noqa: PLC0415 - see above

    size = options.batch_size // options.shards

    def pick(index: int) -> Field:
        batch, row = divmod(index, size)
        return fields[batch * options.batch_size + options.shard * size + row]

    count = len(fields) // options.batch_size * size
    return grain.MapDataset.range(count).map(pick)


def _batches(
    source: Source, fields: Any, preprocessor: Preprocessor, options: PipelineOptions
) -> Batches:
    row = functools.partial(
        make_row, preprocessor=preprocessor, size=options.size, slots=options.slots,
        islands=options.islands,
    )  # fmt: skip
    size = options.batch_size // options.shards
    stack = functools.partial(stack_rows, batch_size=size)
    dataset = fields.map(row).batch(size, batch_fn=stack)
    identity = {
        "fields": len(source), "batch_size": options.batch_size, "seed": options.seed,
    }  # fmt: skip
    return Batches(dataset, options, identity)


def _start(dataset: Any, options: PipelineOptions) -> Any:
    """Returns Grain's iterator over the batches."""
    import grain  # noqa: PLC0415 - see above

    # A worker process makes batches in advance; a thread would not help.
    alone = options.workers == 0
    reading = grain.ReadOptions(
        num_threads=1 if alone else 0,
        prefetch_buffer_size=options.ahead if alone else 0,
    )
    workers = grain.MultiprocessingOptions(
        num_workers=options.workers, per_worker_buffer_size=options.ahead
    )
    if not flags.FLAGS.is_parsed():
        # Grain 0.2.18 reads one of its own flags, and fails outside of absl's `app.run`
        # (google/grain issue 1355).
        flags.FLAGS.mark_as_parsed()
    batches = dataset.to_iter_dataset(reading)
    return iter(batches.mp_prefetch(workers, worker_init_fn=_start_worker))


def _start_worker(index: int, count: int) -> None:  # noqa: ARG001 - Grain's signature
    cv2.setNumThreads(1)  # The processes share the cores already.
    end_with_parent()
