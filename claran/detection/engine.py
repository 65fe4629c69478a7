"""The detection engine, shared by all modes: fields in, detections out.

A field is measured, brought to the network's resolution and shown to the network in one
or more windows (`claran.detection.windows`); the finisher makes detections of the
network's outputs. The results for a field depend on nothing but the field: they are the
same alone, in any batch and beside any other fields.
"""

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic

import numpy as np
from tqdm.auto import tqdm

from claran import accelerator
from claran.detection.counting import GROUP
from claran.detection.detection_model import DetectionModel
from claran.detection.detections import Detections
from claran.detection.field_photometry import measured_results
from claran.detection.field_results import FieldResult, Item, PreparedField
from claran.detection.group_members import MEMBERS, member_numbers
from claran.detection.network_calls import CallQueue, CompiledNetwork, FutureOutput
from claran.detection.symmetries import LOOK, Looks
from claran.detection.windows import Window, find_windows, with_islands
from claran.errors import ImageError, unusable
from claran.fields.field import Field
from claran.fields.preprocessing import Grid, Scene, field_boxes, network_boxes
from claran.io.parallel import cores

__all__ = [
    "Engine",
    "load_item",
    "window_detections",
]

PIXELS_AHEAD = 2**25  # Of the fields in memory: about 20 bytes a pixel, 0.7 GB.
BATCHES_AHEAD = 2  # Batches of fields that are prepared in advance on accelerators.
MANY_WINDOWS = 8  # Fields with as many windows have a progress bar of their own.


class Engine:
    """Detects sources in fields with a model, with its weights at the time of a call.

    Args:
        model: Network, preprocessor and finisher.
        function: See `claran.detection.network_calls.CompiledNetwork`.
        batch_size: Windows in a call of the network; None for one on a CPU, and for a
            number that depends on their size on other devices. A CPU ignores it.
        average: Whether the network looks at each window in all symmetries, and the
            probabilities are averaged: see `claran.detection.counting`.

    Raises:
        ValueError: `batch_size` is not positive, or `average` is for a model that does
            not count islands.
    """

    def __init__(
        self,
        model: DetectionModel,
        *,
        function: Callable[..., Any] | None = None,
        batch_size: int | None = None,
        average: bool = False,
    ) -> None:
        if average and not model.finisher.counts_islands:
            raise ValueError(
                "`average` (--average) is for models that count islands, such as "
                "claran_v1; leave it out for others, such as claran_v0.1."
            )
        self.model = model
        self.average = average
        self.compiled = CompiledNetwork(model, function=function, batch_size=batch_size)

    def __repr__(self) -> str:
        return f"<Engine of {self.model.name!r}, {self.model.preprocessor}>"

    @property
    def settings(self) -> dict[str, Any]:
        """Device, averaging, and batch size where it can change the last bits.

        An interrupted run resumes only with the same.
        """
        settings: dict[str, Any] = {
            "device": self.compiled.device_kind, "--average": self.average,
        }  # fmt: skip
        if not self.compiled.on_cpu:
            settings["--batch_size"] = self.compiled.batch_size
        return settings

    def detect(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Field] | None = None,
        *,
        score_threshold: float,
        skip_unusable: bool = False,
        measured: bool = False,
        groups: bool = False,
    ) -> Iterator[FieldResult[Item]]:
        """Yields the detections in each field, in order.

        The next fields are loaded and measured while the network runs.

        Args:
            items: Fields, or what `load` takes.
            load: Makes a field of an item, in a thread; None if the items are fields.
            score_threshold: Detections with a higher score are returned, and sources
                that are more probable, see `Detections.in_catalog`.
            skip_unusable: Whether an error of a field, of whatever kind, is returned as
                its result instead of raised.
            measured: Whether the sources of radio fields are measured, if detections
                are groups of islands: see `measured_results`. Then there are no
                alternatives. Fields are measured some at a time, so that results come
                in bursts.
            groups: Whether detections that are not measured keep their
                `claran.detection.counting.GROUP`.

        Raises:
            ImageError: A field cannot be used; not with `skip_unusable`.
            ValueError: The network cannot use fields of this kind.
        """
        if accelerator.is_forked():
            yield from _detect_in_fork(
                self, items, load, score_threshold=score_threshold,
                skip_unusable=skip_unusable, measured=measured, groups=groups,
            )  # fmt: skip
            return
        outputs = self.network_outputs(items, load, skip_unusable=skip_unusable)
        found = self._results(outputs, score_threshold)
        if measured and self.model.finisher.counts_islands:
            yield from measured_results(found, self.model.class_names)
            return
        for result, _ in found:
            kept = result.detections
            yield dataclasses.replace(
                result, detections=kept if groups else kept.without(GROUP)
            )

    def _results(
        self, outputs: Iterable[Any], score_threshold: float
    ) -> Iterator[tuple[FieldResult[Any], PreparedField | None]]:
        for item, prepared, rows in outputs:
            if isinstance(prepared, ImageError):
                yield FieldResult(item, None, Detections.none(), prepared), None
            else:
                found = self.finish(prepared, rows, score_threshold=score_threshold)
                yield FieldResult(item, prepared.field, found), prepared

    def network_outputs(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Field] | None = None,
        *,
        skip_unusable: bool = False,
    ) -> Iterator[tuple[Item, PreparedField | ImageError, list[Any]]]:
        """Yields each item, its prepared field, and the outputs for its windows.

        Arguments and exceptions are those of `detect`. The error of a field is raised
        in its turn, so that the results before it are not lost.
        """
        # One more than there are cores: one of them waits for Python's lock at times.
        # On two cores 9.0 ms for a file of 100 pixels, 10.4 with as many as cores.
        pool = ThreadPoolExecutor(cores() + 1, thread_name_prefix="claran")
        queue = CallQueue(self.compiled, pool, average=self.average)
        preparing: collections.deque[tuple[Item, Future[Any]]] = collections.deque()
        waiting: collections.deque[_Waiting] = collections.deque()
        try:
            for item in items:
                preparing.append(
                    (item, pool.submit(self._load, item, load, skip_unusable))
                )
                # A field's size is known when it is loaded: at first one at a time.
                if len(preparing) > self._ahead(waiting):
                    waiting.append(_submit(queue, *preparing.popleft()))
                while len(waiting) > max(1, self._ahead(waiting)):
                    yield waiting.popleft().result(skip_unusable=skip_unusable)
            while preparing or waiting:
                if preparing:
                    waiting.append(_submit(queue, *preparing.popleft()))
                if not preparing or len(waiting) > max(1, self._ahead(waiting)):
                    yield waiting.popleft().result(skip_unusable=skip_unusable)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def prepare(self, field: Field) -> PreparedField:
        """Returns a field, measured, at the network's resolution, and its windows.

        Raises:
            ImageError: The field cannot be used.
        """
        scene = self.model.preprocessor(field)
        islands = np.zeros(0, int)
        windows = [Window()]
        if self.model.finisher.counts_islands and field.has_radio:
            boxes = field.islands.boxes.astype(np.float64)
            # None without islands: a detection is a group of them.
            boxes = network_boxes(boxes, scene, field)
            windows, islands = find_windows(scene.shape, boxes)
            if self.model.network.sees_islands:
                windows = with_islands(windows, islands, boxes)
            field.measure()  # Here, in a thread.
            _ = field.domain_notes
        return PreparedField(field, scene, windows, islands)

    def finish(
        self,
        prepared: PreparedField,
        outputs: Sequence[Any],
        *,
        score_threshold: float,
    ) -> Detections:
        """Returns the detections in a field, by falling score.

        Args:
            prepared: The field.
            outputs: The network's detections in each of its windows.
            score_threshold: See `detect`.
        """
        finisher, names = self.model.finisher, self.model.class_names
        lowest = finisher.network_threshold(score_threshold)
        by_cluster: dict[int, list[Detections]] = {}
        for window, output in zip(prepared.windows, outputs, strict=True):
            found = window_detections(
                prepared.scene, prepared.field, window, output, lowest
            )
            by_cluster.setdefault(window.cluster, []).append(found)
        found = Detections.concatenate(
            [
                finisher(
                    prepared.field,
                    Detections.concatenate(parts),
                    np.flatnonzero(prepared.cluster == cluster),
                    names,
                )
                for cluster, parts in by_cluster.items()
            ]
        )
        sources = found.in_catalog(score_threshold)
        found = found[sources | (found.scores > score_threshold)]
        return found[np.argsort(-found.scores, kind="stable")]

    def _load(
        self, item: Any, load: Callable[[Any], Field] | None, skip_unusable: bool
    ) -> PreparedField:
        field = load_item(item, load, skip_unusable=skip_unusable)
        try:
            return self.prepare(field)
        except ValueError:  # Also that the network cannot use fields of this kind.
            raise
        except Exception as error:
            if skip_unusable:
                raise unusable(field.name, error) from error
            raise

    def _ahead(self, waiting: Iterable["_Waiting"]) -> int:
        """Returns how many fields may be prepared in advance, and may wait.

        Enough to fill a batch and to keep all threads busy, but no more than the memory
        holds of fields as large as the largest that waits.
        """
        largest = max((one.pixels for one in waiting), default=0)
        if not largest:
            return 0
        batch = cores() if self.compiled.on_cpu else self.compiled.batch_size or 64
        return min(BATCHES_AHEAD * batch, PIXELS_AHEAD // largest)


@dataclasses.dataclass(frozen=True, eq=False)
class _Waiting(Generic[Item]):
    """A field whose windows have been given to the network, or its error."""

    item: Item
    prepared: PreparedField | BaseException
    outputs: list[FutureOutput]

    @property
    def pixels(self) -> int:
        if isinstance(self.prepared, BaseException):
            return 1
        return self.prepared.field.shape[0] * self.prepared.field.shape[1]

    def result(
        self, *, skip_unusable: bool
    ) -> tuple[Item, PreparedField | ImageError, list[Any]]:
        """Waits for the network; raises the error of a field that cannot be used."""
        prepared = self.prepared
        if isinstance(prepared, BaseException):
            if skip_unusable and isinstance(prepared, ImageError):
                return self.item, prepared, []
            raise prepared
        many = len(self.outputs) >= MANY_WINDOWS
        shown = tqdm(
            self.outputs, prepared.field.name, unit="window", delay=2, leave=False,
            disable=None if many else True,
        )  # fmt: skip
        return self.item, prepared, [output.result() for output in shown]


def load_item(
    item: Any, load: Callable[[Any], Field] | None, *, skip_unusable: bool
) -> Field:
    """Returns the field of an item.

    Args:
        item: A field, or what `load` takes.
        load: Makes a field of an item; None if the items are fields.
        skip_unusable: Whether all that `load` raises is made an `ImageError`, so that
            no field ends the work on the others.

    Raises:
        ImageError: The item cannot be used.
    """
    if load is None:
        return item
    try:
        return load(item)
    except Exception as error:
        if not skip_unusable:
            raise
        known = isinstance(item, (str, os.PathLike))
        label = str(item) if known else getattr(item, "name", type(item).__name__)
        raise unusable(str(label), error) from error


def _detect_in_fork(*arguments: Any, **options: Any) -> Iterator[FieldResult[Any]]:
    from claran.detection.forked_engine import detect_in_fork  # noqa: PLC0415 - a cycle

    return detect_in_fork(*arguments, **options)


def _submit(queue: CallQueue, item: Item, future: Future[Any]) -> _Waiting[Item]:
    """Waits until a field is prepared, and gives its windows to the network."""
    error = future.exception()
    if error is not None:
        return _Waiting(item, error, [])
    prepared: PreparedField = future.result()
    return _Waiting(item, prepared, queue.submit(prepared.scene, prepared.windows))


def window_detections(
    scene: Scene, field: Field | Grid, window: Window, found: Any, lowest: float
) -> Detections:
    """Returns the network's detections in a window, in pixels of the field's array.

    Args:
        scene: The field at the network's resolution.
        field: The field, or a mosaic.
        window: The window of the scene.
        found: The network's output for it.
        lowest: Detections with a higher score are returned.
    """
    keep = found.valid & (found.scores > lowest)
    boxes = found.boxes[keep].astype(np.float64)
    x0, y0, *_ = window.bounds or (0, 0)
    # The network's boxes are in pixels of the picture, from the window's corner.
    boxes = boxes * scene.scale + np.array([x0, y0, x0, y0])
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = np.array(window.core[:2]), np.array(window.core[2:])
    inside = ((low <= center) & (center < high)).all(axis=1)
    columns = {LOOK: found.look[keep][inside]} if isinstance(found, Looks) else {}
    if window.islands is not None:
        members: Any = found.members
        columns[MEMBERS] = member_numbers(members[keep][inside], window.islands)
    return Detections(
        boxes=field_boxes(boxes, scene, field)[inside],
        labels=found.labels[keep][inside].astype(np.int64),
        scores=found.scores[keep][inside].astype(np.float64),
        columns=columns,
    )
