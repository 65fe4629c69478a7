"""The one engine: fields in, detections out, whoever asks.

A field is measured, brought to the network's resolution and shown to the network in one
or more windows; what the network says becomes detections. The work of a field depends
on nothing but the field: windows come in few sizes, each with a program of its own, so
that a field's detections are the same alone, in any batch and beside any others.

On a CPU a call of the network sees one window, and as many calls run side by side as
there are cores: two calls of one thread each take 7.8 ms for a field of 100 pixels on
two cores, a call of two threads 12.9 ms. On other devices a call sees many windows.
"""

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import jax
import numpy as np
from tqdm.auto import tqdm

from claran.detection.detection_model import DetectionModel
from claran.detection.detections import Detections
from claran.detection.windows import Window, find_windows
from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.preprocessing import Scene, field_boxes, network_boxes, padded
from claran.io.parallel import cores

__all__ = ["Engine", "Found", "Look"]

Item = TypeVar("Item")
PIXELS = 2**22  # Of a call on an accelerator: 256 windows of 128 pixels.
MOST = 256  # Windows of a call.
MANY_WINDOWS = 8  # From which a field has a progress bar of its own.


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """A field at the network's resolution, and where the network looks at it."""

    field: Field
    scene: Scene
    windows: Sequence[Window]
    cluster: np.ndarray  # (k,), the cluster of each island.


@dataclasses.dataclass(frozen=True, eq=False)
class Found(Generic[Item]):
    """What was found in one of many fields.

    Attributes:
        item: What the field was loaded from.
        field: The field; None if it cannot be used.
        detections: In the field.
        error: Why it cannot be used; None if it can.
    """

    item: Item
    field: Field | None
    detections: Detections
    error: ImageError | None = None


class Engine:
    """Detects with a model; sees the weights that it has when `detect` is called.

    Args:
        model: Network, preprocessor and finisher.
        call: What is computed of a batch, from the network's trainable and other
            weights and a dictionary of `images` and `image_info`; None for the
            network's detections.
        batch_size: Windows that a call of the network sees; None for one on a CPU, and
            as many as pay, depending on their size, elsewhere. On a CPU, results do not
            depend on it.
    """

    def __init__(
        self,
        model: DetectionModel,
        *,
        call: Callable[..., Any] | None = None,
        batch_size: int | None = None,
    ) -> None:
        if batch_size is not None and not batch_size > 0:
            raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
        self.model = model
        self.batch_size = batch_size
        self._call = jax.jit(call or self._detect)
        self._compiled: set[tuple[int, ...]] = set()
        self._compiling = threading.Lock()
        self._on_cpu = jax.default_backend() == "cpu"

    def detect(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Field] | None = None,
        *,
        score_threshold: float,
        skip_unusable: bool = False,
    ) -> Iterator[Found[Item]]:
        """Yields what is found in each field, in order.

        While the network looks at some fields, the next are loaded and measured.

        Args:
            items: Fields, or what `load` makes fields of.
            load: Runs in threads; None if the items are fields.
            score_threshold: Detections with a higher score are returned.
            skip_unusable: Whether a field that raises an `ImageError` is passed over,
                with the error in its place.
        """
        for item, look, outputs in self.look(items, load, skip_unusable=skip_unusable):
            if isinstance(look, ImageError):
                yield Found(item, None, Detections.none(), look)
            else:
                found = self.finish(look, outputs, score_threshold=score_threshold)
                yield Found(item, look.field, found)

    def look(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Field] | None = None,
        *,
        skip_unusable: bool = False,
    ) -> Iterator[tuple[Item, Look | ImageError, list[Any]]]:
        """Yields each field and what the network says of each of its windows.

        Args:
            items: See `detect`.
            load: See `detect`.
            skip_unusable: See `detect`.
        """
        threads = cores()
        # Deep enough that a batch fills up, and that no thread waits.
        ahead = 2 * threads if self._on_cpu else 2 * (self.batch_size or 64)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="claran")
        run = _Runner(self, pool)
        preparing: collections.deque[tuple[Item, Future[Any]]] = collections.deque()
        waiting: collections.deque[Any] = collections.deque()

        def advance() -> None:
            item, future = preparing.popleft()
            look = future.result()
            rows = [] if isinstance(look, ImageError) else run.submit(look)
            waiting.append((item, look, rows))

        try:
            for item in items:
                prepare = self._prepare_or_skip if skip_unusable else self._prepare
                preparing.append((item, pool.submit(prepare, item, load)))
                if len(preparing) > ahead:
                    advance()
                if len(waiting) > ahead:
                    yield self._await(*waiting.popleft())
            while preparing:
                advance()
            while waiting:
                yield self._await(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def prepare(self, field: Field) -> Look:
        """Returns a field measured, at the network's resolution, and its windows.

        Raises:
            ImageError: The field cannot be used.
        """
        scene = self.model.preprocessor(field)
        islands = np.zeros(0, int)
        windows = [Window()]
        if self.model.finisher.counts_islands and field.has_radio:
            boxes = field.islands.boxes.astype(np.float64)
            seen = network_boxes(boxes, scene, field)
            # None without islands: a detection is a group of them.
            windows, islands = find_windows(scene.shape, seen)
            field.measure()  # Here, in a thread.
        return Look(field, scene, windows, islands)

    def finish(
        self, look: Look, outputs: Sequence[Any], *, score_threshold: float
    ) -> Detections:
        """Returns the detections in a field, by falling score.

        Args:
            look: The field.
            outputs: The network's detections in each of its windows.
            score_threshold: Detections with a higher score are returned.
        """
        finisher, names = self.model.finisher, self.model.class_names
        least = finisher.network_threshold(score_threshold)
        by_cluster: dict[int, list[Detections]] = {}
        for window, output in zip(look.windows, outputs, strict=True):
            found = _in_field(look, window, output, least)
            by_cluster.setdefault(window.cluster, []).append(found)
        found = Detections.concatenate(
            [
                finisher(
                    look.field,
                    Detections.concatenate(parts),
                    np.flatnonzero(look.cluster == cluster),
                    names,
                )
                for cluster, parts in by_cluster.items()
            ]
        )
        found = found[found.scores > score_threshold]
        return found[np.argsort(-found.scores, kind="stable")]

    def run(self, weights: Any, images: np.ndarray, info: np.ndarray) -> Any:
        """Returns what the network says of a batch, on the host."""
        batch = {"images": images, "image_info": info}
        if images.shape in self._compiled:
            return jax.device_get(self._call(*weights, batch))
        with self._compiling:  # Two threads would compile one program twice.
            result = jax.device_get(self._call(*weights, batch))
            self._compiled.add(images.shape)
        return result

    def capacity(self, rows: int, columns: int) -> int:
        """Returns how many windows of a size a call of the network sees.

        It depends on the size alone: then a field's results do not depend on others.
        """
        if self._on_cpu:
            return 1
        if self.batch_size is not None:
            return self.batch_size
        return max(1, min(MOST, PIXELS // (rows * columns)))

    def weights(self) -> tuple[list[Any], list[Any]]:
        """Returns the network's weights of this moment."""
        network = self.model.network
        return (
            [variable.value for variable in network.trainable_variables],
            [variable.value for variable in network.non_trainable_variables],
        )

    def _detect(self, trainable: Any, others: Any, batch: Any) -> Any:
        return self.model.network.stateless_call(trainable, others, batch)[0]

    def _prepare(self, item: Any, load: Callable[[Any], Field] | None) -> Look:
        return self.prepare(item if load is None else load(item))

    def _prepare_or_skip(
        self, item: Any, load: Callable[[Any], Field] | None
    ) -> Look | ImageError:
        try:
            return self._prepare(item, load)
        except ImageError as error:
            return error

    def _await(
        self, item: Any, look: Look | ImageError, rows: list["_Row"]
    ) -> tuple[Any, Look | ImageError, list[Any]]:
        name = "" if isinstance(look, ImageError) else look.field.name
        shown = tqdm(
            rows, name, unit="window", delay=2, leave=False,
            disable=None if len(rows) >= MANY_WINDOWS else True,
        )  # fmt: skip
        return item, look, [row.result() for row in shown]


class _Runner:
    """Fills calls of the network with windows of one size."""

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._pool = pool
        self._weights = engine.weights()
        self._open: dict[tuple[int, int], _Call] = {}

    def submit(self, look: Look) -> list["_Row"]:
        """Returns a promise of what the network says, for each window of a field."""
        size = self._engine.model.preprocessor.size
        rows = []
        for window in look.windows:
            bounds = window.bounds or (0, 0, *look.scene.shape[::-1])
            shape = size(bounds[3] - bounds[1], bounds[2] - bounds[0])
            call = self._open.get(shape)
            if call is None or call.future is not None:
                call = self._open[shape] = _Call(self, shape)
            rows.append(call.add(look.scene, window))
        return rows

    def start(self, call: "_Call") -> Future[Any]:
        """Starts a call; it may have room left."""
        return self._pool.submit(self._run, call)

    def capacity(self, shape: tuple[int, int]) -> int:
        """See `Engine.capacity`."""
        return self._engine.capacity(*shape)

    def _run(self, call: "_Call") -> Any:
        blank = self._engine.model.preprocessor.blank
        views = [scene.view(window.bounds) for scene, window in call.windows]
        views += [views[0]] * (self.capacity(call.shape) - len(views))
        images = np.stack([padded(view, call.shape, blank) for view in views])
        info = np.stack([view.image_info for view in views])
        return self._engine.run(self._weights, images, info)


class _Call:
    """One call of the network; starts when it is full, or when somebody waits."""

    def __init__(self, runner: _Runner, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.windows: list[tuple[Scene, Window]] = []
        self.future: Future[Any] | None = None
        self._runner = runner

    def add(self, scene: Scene, window: Window) -> "_Row":
        self.windows.append((scene, window))
        row = _Row(self, len(self.windows) - 1)
        if len(self.windows) == self._runner.capacity(self.shape):
            self.start()
        return row

    def start(self) -> Future[Any]:
        if self.future is None:
            self.future = self._runner.start(self)
        return self.future


@dataclasses.dataclass(frozen=True)
class _Row:
    """The promise of one row of a call."""

    call: _Call
    index: int

    def result(self) -> Any:
        arrays = self.call.start().result()
        return jax.tree.map(lambda array: array[self.index], arrays)


def _in_field(look: Look, window: Window, found: Any, least: float) -> Detections:
    """Returns the network's detections in a window, in pixels of the field's array."""
    keep = found.valid & (found.scores > least)
    boxes = found.boxes[keep].astype(np.float64)
    x0, y0, *_ = window.bounds or (0, 0)
    # The network answers in pixels of the picture, its window's corner being zero.
    boxes = boxes * look.scene.scale + np.array([x0, y0, x0, y0])
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = np.array(window.core[:2]), np.array(window.core[2:])
    inside = ((low <= center) & (center < high)).all(axis=1)
    return Detections(
        boxes=field_boxes(boxes, look.scene, look.field)[inside],
        labels=found.labels[keep][inside].astype(np.int64),
        scores=found.scores[keep][inside].astype(np.float64),
    )
