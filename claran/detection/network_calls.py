"""Calls of the compiled network: windows of equal size share a call.

On a CPU a call sees one window, and as many calls run side by side as there are cores:
two calls of one thread each take 7.8 ms for a field of 100 pixels on two cores, a call
of two threads 12.9 ms. On other devices a call sees many windows.
"""

import dataclasses
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax import export

from claran import accelerator
from claran.detection.detection_model import DetectionModel
from claran.detection.symmetries import (
    SYMMETRIES,
    Looks,
    in_all_looks,
    turned,
    turned_shape,
)
from claran.detection.windows import Window
from claran.fields.preprocessing import Scene, View, padded
from claran.kept_programs import open_program
from claran.layers.box_decoder import RawDetections
from claran.layers.group_decoder import GroupDetections

__all__ = [
    "CallQueue",
    "CompiledNetwork",
    "FutureOutput",
    "island_slots",
    "network_batch",
    "window_view",
]

CALL_PIXELS = 2**22  # Of a call on an accelerator: 256 windows of 128 x 128 pixels.
MAX_WINDOWS = 256  # Windows in a call.
SLOTS = (2, 8, 16, 32, 64)  # For islands; 3 of 400 simulated fields have more than 8.

Weights = tuple[list[Any], list[Any]]

for _kind in (RawDetections, GroupDetections):
    export.register_namedtuple_serialization(
        _kind, serialized_name=f"claran.{_kind.__name__}"
    )


class CompiledNetwork:
    """A model's network, compiled once for each size of window and its settings.

    What is traced of a model that was loaded from a file is kept for other processes.

    Args:
        model: The model; its network's weights are read when `weights` is called.
        function: What is computed for a batch, from the network's trainable and other
            weights and what `network_batch` returns; None for the network's detections.
        batch_size: Windows in a call; None for one on a CPU, and for a number that
            depends on their size on other devices. A CPU ignores it.

    Raises:
        ValueError: `batch_size` is not positive.
    """

    def __init__(
        self,
        model: DetectionModel,
        *,
        function: Callable[..., Any] | None = None,
        batch_size: int | None = None,
    ) -> None:
        if batch_size is not None and not batch_size > 0:
            raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
        self.model = model
        self.batch_size = batch_size
        device = accelerator.current_device()
        self.on_cpu = device.platform == "cpu"
        self.device_kind = str(device.device_kind)
        self._given = function
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._compiling: dict[tuple[Any, ...], threading.Lock] = {}

    def __call__(self, weights: Weights, batch: dict[str, np.ndarray]) -> Any:
        """Returns the outputs for a batch, as NumPy arrays.

        Args:
            weights: Of `weights`.
            batch: Of `network_batch`.
        """
        arguments = (*weights, batch)
        key = (self.settings(), *(array.shape for array in batch.values()))
        with accelerator.single_precision():
            if key in self._programs:
                return jax.device_get(self._programs[key](*arguments))
            # Two threads would compile one program twice.
            with self._compiling.setdefault(key, threading.Lock()):
                program = self._programs.get(key) or self._open(arguments)
                result = jax.device_get(program(*arguments))
                self._programs[key] = program
        return result

    def __getstate__(self) -> dict[str, Any]:
        """Returns what a copy is made of, for pickle; it compiles anew."""
        return {
            "model": self.model, "function": self._given, "batch_size": self.batch_size,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    def capacity(self, rows: int, columns: int) -> int:
        """Returns the number of windows of a size in one call.

        It depends on the size alone, so that the results for a field do not depend on
        the other fields.
        """
        if self.on_cpu:
            return 1
        if self.batch_size is not None:
            return self.batch_size
        return max(1, min(MAX_WINDOWS, CALL_PIXELS // (rows * columns)))

    def settings(self) -> tuple[Any, ...]:
        """Returns what a program has built in and what may change in a detector.

        Not the configurations of the layers, for which Keras imports TensorFlow: 2 s
        and 0.4 GB.
        """
        decoder, proposals = self.model.network.decoder, self.model.network.proposals
        return decoder.iou_threshold, decoder.temperature, proposals.iou_threshold

    def weights(self) -> Weights:
        """Returns the network's present trainable and other weights.

        Raises:
            AcceleratorError: This process was forked from one that had used JAX.
        """
        accelerator.check_not_forked()
        network = self.model.network
        return (
            [variable.value for variable in network.trainable_variables],
            [variable.value for variable in network.non_trainable_variables],
        )

    def _open(self, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """Returns the program for arguments, with the settings that are built in."""
        computed = self._given or self._detect

        def function(*arguments: Any) -> Any:  # A new one, as JAX keeps those it knows.
            return computed(*arguments)

        about = None if self._given else self.model.traits()
        return open_program(function, arguments, about) if about else jax.jit(function)

    def _detect(self, trainable: Any, others: Any, batch: Any) -> Any:
        return self.model.network.stateless_call(trainable, others, batch)[0]


def window_view(scene: Scene, window: Window) -> View:
    """Returns what a network sees of a window, with its islands if it sees them."""
    return scene.view(window.bounds)._replace(islands=window.island_boxes)


def island_slots(islands: np.ndarray | None) -> int:
    """Returns the number of slots for the islands of a view; 0 if they are not seen.

    There are few numbers, as the network is compiled for each. A call takes 6% less
    time with 2 slots than with 8, and 24% more with 32.

    >>> [island_slots(np.zeros((count, 4))) for count in (1, 3, 9, 200)]
    [2, 8, 16, 256]
    """
    if islands is None:
        return 0
    count = len(islands)
    small = [slots for slots in SLOTS if count <= slots]
    return small[0] if small else SLOTS[-1] * math.ceil(count / SLOTS[-1])


def network_batch(
    views: Sequence[View],
    size: tuple[int, int],
    *,
    blank: float | tuple[float, ...],
) -> dict[str, np.ndarray]:
    """Returns the network's input for some windows.

    Args:
        views: What is seen in each window; all have one number of `island_slots`.
        size: Rows and columns of the images.
        blank: See `claran.fields.preprocessing.Preprocessor.blank`.

    Returns:
        `images`, float32 `(b, rows, columns, channels)`; `image_info`, see
        `claran.fields.preprocessing`; and, if there are slots, `islands`, float32
        `(b, slots, 4)`, with zeros in empty slots.
    """
    batch = {
        "images": np.stack([padded(view, size, blank) for view in views]),
        "image_info": np.stack([view.image_info for view in views]),
    }
    slots = island_slots(views[0].islands)
    if slots:
        batch["islands"] = np.zeros((len(views), slots, 4), np.float32)
        for row, view in zip(batch["islands"], views, strict=True):
            assert view.islands is not None  # noqa: S101 - as there are slots.
            row[: len(view.islands)] = view.islands
    return batch


class CallQueue:
    """Collects windows of one size until a call is full, and runs calls in threads.

    Args:
        network: The network; its weights are read once, now.
        pool: Runs the calls.
        average: Whether the network looks at a window in all symmetries.
    """

    def __init__(
        self,
        network: CompiledNetwork,
        pool: ThreadPoolExecutor,
        *,
        average: bool = False,
    ) -> None:
        self._network = network
        self._pool = pool
        self._average = average
        self._weights = network.weights()
        self._open: dict[tuple[int, int, int], _Call] = {}

    def submit(self, scene: Scene, windows: Sequence[Window]) -> list["FutureOutput"]:
        """Returns the future output of the network for each window of a scene."""
        outputs = []
        for window in windows:
            x0, y0, x1, y1 = window.bounds or (0, 0, *scene.shape[::-1])
            shape = y1 - y0, x1 - x0
            if not self._average:
                outputs.append(self._add(scene, window, shape, 0))
                continue
            looks = [
                self._add(scene, window, turned_shape(shape, symmetry), symmetry)
                for symmetry in range(SYMMETRIES)
            ]
            outputs.append(AllLooks(looks, (*shape, scene.scale)))
        return outputs

    def _add(
        self, scene: Scene, window: Window, shape: tuple[int, int], symmetry: int
    ) -> "WindowOutput":
        size = self._network.model.preprocessor.size(*shape)
        key = (*size, island_slots(window.island_boxes))
        call = self._open.get(key)
        if call is None or call.future is not None:
            call = self._open[key] = _Call(self, size)
        return call.add(scene, window, symmetry)

    def start(self, call: "_Call") -> Future[Any]:
        """Starts a call, which need not be full."""
        return self._pool.submit(self._run, call)

    def capacity(self, shape: tuple[int, int]) -> int:
        """See `CompiledNetwork.capacity`."""
        return self._network.capacity(*shape)

    def _run(self, call: "_Call") -> Any:
        views = [
            turned(window_view(scene, window), symmetry)
            for scene, window, symmetry in call.windows
        ]
        views += views[:1] * (self.capacity(call.shape) - len(views))
        blank = self._network.model.preprocessor.blank
        return self._network(
            self._weights, network_batch(views, call.shape, blank=blank)
        )


@dataclasses.dataclass(frozen=True)
class WindowOutput:
    """The output of the network for one window, once its call has run."""

    call: "_Call"
    row: int

    def result(self) -> Any:
        """Returns the output; starts the call if it is not full yet."""
        arrays = self.call.start().result()
        return jax.tree.map(lambda array: array[self.row], arrays)


@dataclasses.dataclass(frozen=True)
class AllLooks:
    """The outputs of the network for one window in all symmetries."""

    outputs: Sequence[WindowOutput]
    info: tuple[int, int, float]  # See `View.image_info`.

    def result(self) -> Looks:
        """Returns what was found, turned back; starts calls that are not full yet."""
        info = np.array(self.info, np.float32)
        return in_all_looks([one.result() for one in self.outputs], info)


FutureOutput = WindowOutput | AllLooks


class _Call:
    """One call of the network; it starts when full, or when a result is asked for."""

    def __init__(self, queue: CallQueue, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.windows: list[tuple[Scene, Window, int]] = []
        self.future: Future[Any] | None = None
        self._queue = queue

    def add(self, scene: Scene, window: Window, symmetry: int) -> WindowOutput:
        self.windows.append((scene, window, symmetry))
        output = WindowOutput(self, len(self.windows) - 1)
        if len(self.windows) == self._queue.capacity(self.shape):
            self.start()
        return output

    def start(self) -> Future[Any]:
        if self.future is None:
            self.future = self._queue.start(self)
        return self.future
