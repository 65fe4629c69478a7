"""Fields in, batches of one shape out: shuffled, augmented, resumable at any batch.

Grain does the work; it is imported when a pipeline starts, as it brings JAX along.
Nothing here or in a worker process computes with JAX.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypedDict, cast, runtime_checkable

import cv2
import numpy as np
from absl import flags
from jaxtyping import Bool, Float32, Int32

from claran.fields.field import Field
from claran.fields.padding import pad_objects
from claran.fields.preprocessing import Preprocessor, network_boxes, padded

__all__ = [
    "Batch",
    "Batches",
    "PipelineOptions",
    "Source",
    "Transform",
    "training_batches",
    "validation_batches",
]

ENDLESS = 2**52  # Fields; a float counts them exactly, which Grain relies on.

Transform = Callable[[Field, np.random.Generator], Field]


@runtime_checkable
class Source(Protocol):
    """Fields by number: a list, or `claran.data.records.Records`. Must pickle."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Field: ...


class Batch(TypedDict):
    """What a training step takes, but for `names`, which a compiled one must not see.

    The first two are the network's inputs. A row whose name is "" fills up the last
    batch of a validation and holds no field.
    """

    images: Float32[np.ndarray, "b rows columns c"]
    image_info: Float32[np.ndarray, "b 3"]
    boxes: Float32[np.ndarray, "b slots 4"]
    """Pixels of the network's input, edges, y down; see `claran.fields.padding`."""
    labels: Int32[np.ndarray, "b slots"]
    valid: Bool[np.ndarray, "b slots"]
    ignored: Bool[np.ndarray, "b slots"]
    names: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineOptions:
    """How batches are made.

    Attributes:
        batch_size: Fields in a batch, over all shards.
        slots: Places for objects in a field.
        size: Rows and columns of the batches' images.
        seed: Decides the order and all that is random; the number of workers does not.
        workers: Processes that make batches; with 0 a thread of this one does.
        ahead: Batches that each of these keeps ready.
        shard: Which part of each batch is wanted, where several computers share one.
        shards: Into how many equal parts batches are cut.
    """

    batch_size: int = 1
    slots: int = 32
    size: tuple[int, int] = (128, 128)
    seed: int = 0
    workers: int = 0
    ahead: int = 2
    shard: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("batch_size", 1), ("slots", 1), ("seed", 0), ("workers", 0), ("ahead", 1),
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
    """Iterator over batches that can say where it is, and go there.

    Close it, or use it in a `with` block, to end its worker processes.

    Args:
        dataset: Grain's dataset of batches.
        options: Those it was made with.
        identity: What decides the batches; part of the state.
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
            self._batches = _start(self._dataset[self._next :], self._options)
        batch = next(self._batches)
        self._next += 1
        # Out of the memory shared with a worker, which goes when its array does: JAX
        # on a CPU may go on using an array that nobody else holds.
        return cast(Batch, {name: np.array(v) for name, v in batch.items()})

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def get_state(self) -> dict[str, Any]:
        """Returns the place of the next batch, as plain numbers for JSON."""
        return {"next_batch": self._next} | self._identity

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues as an iterator with this state would, whatever its workers.

        Raises:
            ValueError: The state is of a pipeline with other batches.
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
        """Ends the workers; the next batch would start them again."""
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
    """Returns batches without end: epoch after epoch, each in another random order.

    A batch may hold the end of one epoch and the start of the next.

    Args:
        source: The fields.
        preprocessor: Makes what the network sees of a field.
        augment: Applied in this order, each with its own random numbers.
        options: See `PipelineOptions`.

    Raises:
        ValueError: The source is empty. On iteration: a field has more objects than
            there are places, is larger than `options.size`, or lacks what the
            preprocessor needs.
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
    """Returns batches of every field once, in order and as it is.

    The last batch is filled up with blank rows, see `Batch`.

    Args:
        source: The fields.
        preprocessor: Makes what the network sees of a field.
        options: See `PipelineOptions`; batches are not cut.

    Raises:
        ValueError: See `training_batches`.
    """
    return _batches(source, _fields(source), preprocessor, options)


def _fields(source: Source) -> Any:
    import grain  # noqa: PLC0415 - brings JAX, which `claran.data` must not

    if not len(source):
        raise ValueError("`source` must hold at least one field, got none.")
    return grain.MapDataset.source(cast(Any, source))


def _part(fields: Any, options: PipelineOptions) -> Any:
    """Returns a shard's rows of each batch, which are made nowhere else."""
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
    finish = functools.partial(
        _finish, preprocessor=preprocessor, size=options.size, slots=options.slots
    )
    size = options.batch_size // options.shards
    stack = functools.partial(_stack, batch_size=size)
    dataset = fields.map(finish).batch(size, batch_fn=stack)
    identity = {
        "fields": len(source), "batch_size": options.batch_size, "seed": options.seed,
    }  # fmt: skip
    return Batches(dataset, options, identity)


def _start(dataset: Any, options: PipelineOptions) -> Any:
    """Returns Grain's iterator over the batches."""
    import grain  # noqa: PLC0415 - see above

    # In a worker the process itself runs ahead, and a thread would do nothing more.
    alone = options.workers == 0
    reading = grain.ReadOptions(
        num_threads=1 if alone else 0,
        prefetch_buffer_size=options.ahead if alone else 0,
    )
    workers = grain.MultiprocessingOptions(
        num_workers=options.workers, per_worker_buffer_size=options.ahead
    )
    if not flags.FLAGS.is_parsed():
        # Grain 0.2.18 reads a flag of its own, and fails outside of absl's `app.run`
        # (google/grain issue 1355).
        flags.FLAGS.mark_as_parsed()
    batches = dataset.to_iter_dataset(reading)
    return iter(batches.mp_prefetch(workers, worker_init_fn=_start_worker))


def _start_worker(index: int, count: int) -> None:  # noqa: ARG001 - Grain's signature
    cv2.setNumThreads(1)  # The processes share the cores already.


def _finish(
    field: Field, *, preprocessor: Preprocessor, size: tuple[int, int], slots: int
) -> dict[str, Any]:
    """Returns one row of a batch."""
    scene = preprocessor(field)
    view = scene.view()
    objects = field.objects
    try:
        image = padded(view, size, preprocessor.blank)
    except ValueError:
        rows, columns = scene.shape
        raise ValueError(
            f"{field.name}: is {rows} x {columns} pixels at the network's resolution, "
            f"more than the batches' {size[0]} x {size[1]}; give `size` that holds it, "
            "or cut the field into tiles."
        ) from None
    objects_in_places = pad_objects(
        network_boxes(objects.boxes, scene, field),
        objects.labels,
        objects.ignored,
        slots=slots,
        name=field.name,
    )
    return {
        "images": image, "image_info": view.image_info, **objects_in_places,
        "names": field.name,
    }  # fmt: skip


def _stack(rows: Sequence[dict[str, Any]], *, batch_size: int) -> dict[str, Any]:
    missing = batch_size - len(rows)
    if missing:
        blank = {name: np.zeros_like(value) for name, value in rows[0].items()}
        height, width = rows[0]["images"].shape[:2]
        blank |= {"image_info": np.array([height, width, 1], np.float32), "names": ""}
        rows = [*rows, *[blank] * missing]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
