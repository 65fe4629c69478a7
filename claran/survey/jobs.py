"""The work on the tiles of a survey: in parallel, in order, resumed where it ended."""

import collections
import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from claran.errors import first_line
from claran.io.atomic import replace_file
from claran.io.parallel import cores
from claran.io.resuming import code_fingerprint, settings_differ
from claran.survey.fingerprints import fingerprint
from claran.survey.tile_files import (
    make_tile,
    read_tile,
    remove_tiles,
    tile_path,
    tiles_in,
)
from claran.survey.tile_progress import progress

__all__ = ["Jobs"]

Item = TypeVar("Item")
Context = TypeVar("Context")
Arrays = Mapping[str, np.ndarray]
AHEAD = 1000  # Items that may be begun before the next in order; each is only a file.
SECONDS = 10.0  # Until other machines see a file; those of NFS look every 3 to 60.
FEW = 256  # Results that are looked for one by one.
MANY = 16  # Workers that a scheduler may have.
SETTINGS, LOCK, STAGES = "settings.json", "lock", "stages"


@runtime_checkable
class Pool(Protocol):
    """Where functions run."""

    def share(self, context: Any) -> Any:
        """Returns what stands for a context in the arguments of `submit`."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns a future with `cancel`."""

    def wait(self, future: Any) -> None:
        """Waits until a function has run; raises what it raised."""

    def close(self, *, at_once: bool) -> None:
        """Ends the work; at once, without what is being made."""


class Jobs:
    """Runs functions on the items of stages and keeps each result in a file.

    It is a context manager. Workers start when they are first needed, and end with it.

    A result is kept for settings, code of claran, stage, function, context and item,
    whose hash is the name of its file (`claran.survey.fingerprints`). If one of them
    changes, another file is made and the old one stays until `remove`; so a slip in a
    flag costs nothing.

    Args:
        folder: Folder for the files; created. One process at a time may use it. All
            workers must see it under this path.
        settings: What results depend on beside contexts and items, such as the sizes
            and times of the mosaics; values for JSON.
        workers: Number of processes; 0 for threads of this process, one per core.
        scheduler: Address of a running scheduler of Dask, to be used instead.
        tell: Receives messages for the user.

    Attributes:
        width: How many functions run at the same time; of a scheduler a guess.

    Raises:
        ValueError: `workers` makes no sense, or Dask is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        settings: Mapping[str, Any],
        *,
        workers: int = 0,
        scheduler: str | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        if workers < 0:
            raise ValueError(f"`workers` must be 0 or more, got {workers}.")
        if workers and scheduler:
            raise ValueError(
                "Give `workers` or `scheduler`, which has its own workers."
            )
        # Workers may have another working directory.
        self.folder = Path(os.path.abspath(folder))
        self.settings = {**settings, "version of claran": code_fingerprint()}
        self._print = tell
        self._start: Callable[[], Pool] = Threads
        if workers or scheduler:
            from claran.survey import dask_cluster  # noqa: PLC0415 - takes 1 s

            self._start = partial(dask_cluster.start, workers, scheduler, self._tell)
        self.width = MANY if scheduler else workers or cores()
        self._lock = FileLock(self.folder / LOCK)
        self._pool: Pool | None = None
        self._starting, self._ended = threading.Lock(), False

    def __enter__(self) -> "Jobs":
        """Takes the folder for this process.

        Raises:
            OSError: Another process uses the folder, or it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_folder()
        try:
            self._note_settings()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the workers and gives the folder free."""
        interrupted = kind is not None and not issubclass(kind, Exception)
        with self._starting:  # No thread that still runs stages starts others.
            self._ended = True
        try:
            if self._pool is not None:
                self._pool.close(at_once=interrupted)
        finally:
            self._pool = None
            self._lock.release()

    def run(
        self,
        stage: str,
        function: Callable[[Context, Item], Arrays],
        context: Context,
        items: Sequence[Item],
        *,
        areas: Sequence[float] | np.ndarray | None = None,
        unit: str = "deg2",
        shown: bool = True,
    ) -> Generator[dict[str, np.ndarray], None, None]:
        """Yields `function(context, item)` for each item, in order.

        All results are read from their files, also those that were just made. Several
        threads may run stages at the same time.

        Args:
            stage: Name of the stage, for the folder of its files and the progress.
                Several runs may have the same.
            function: A function at the top level of a module. Its arrays hold no
                objects of Python.
            context: What the function needs for all items; sent to each worker once.
            items: Numbers, texts, slices and tuples of them.
            areas: Area of each item, to show the progress in; None to count items.
            unit: Unit of the areas.
            shown: Whether there is a progress bar.

        Raises:
            OSError: A file cannot be written or read, or workers cannot be used: they
                have died or have another claran, or their scheduler is not there.
            Exception: All that the function raises.
        """
        folder = self.folder / STAGES / stage
        folder.mkdir(parents=True, exist_ok=True)
        common = fingerprint(self.settings, stage, function, context)
        paths = [tile_path(folder, fingerprint(common, item)) for item in items]
        made = _are_there(folder, paths)
        if any(made):
            self._tell(
                f"Resuming: {sum(made)} of {len(made)} parts of {stage} are done."
            )
        with progress(stage, made, areas, unit, shown=shown) as advance:
            begin = self._beginner(function, context)
            for done, found in zip(
                made, self._results(begin, items, paths, made), strict=True
            ):
                advance(done)
                yield found

    def remove(self) -> None:
        """Removes all results and what else is the run's own in the folder."""
        stages = self.folder / STAGES
        for stage in stages.iterdir() if stages.is_dir() else ():
            remove_tiles(stage)
        (self.folder / SETTINGS).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Windows keeps what is open.
            (self.folder / LOCK).unlink(missing_ok=True)
        for folder in stages, self.folder:
            with contextlib.suppress(OSError):  # Something of the user's is in it.
                folder.rmdir()

    def _tell(self, message: str) -> None:
        with tqdm.external_write_mode():  # Not into the bar.
            self._print(message)

    def _take_folder(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BlockingIOError(
                f"{self.folder}: another claran is at work there; wait until it has "
                "ended, or give another folder."
            ) from None
        except NotImplementedError:
            self._tell(
                f"{self.folder}: files cannot be locked there; do not start another "
                "run with this folder now."
            )

    def _note_settings(self) -> None:
        path = self.folder / SETTINGS
        with contextlib.suppress(FileNotFoundError):
            try:
                begun = dict(json.loads(path.read_text("utf-8")))
            except ValueError as error:
                self._tell(f"{path}: damaged ({first_line(error)}); writing it again.")
            else:
                settings_differ(self.folder, begun, self.settings, self._tell)
        replace_file(
            path, lambda it: it.write_text(json.dumps(self.settings, indent=1), "utf-8")
        )

    def _beginner(
        self, function: Callable[[Context, Item], Arrays], context: Context
    ) -> Callable[[Item, Path], Any]:
        """Returns what begins to make a result; the context goes out at the first."""
        shared: list[Any] = []

        def begin(item: Item, path: Path) -> Any:
            pool = self._started_pool()
            if not shared:
                shared.append(pool.share(context))
            return pool.submit(make_tile, function, shared[0], item, path)

        return begin

    def _results(
        self,
        begin: Callable[[Item, Path], Any],
        items: Sequence[Item],
        paths: Sequence[Path],
        made: Sequence[bool],
    ) -> Iterator[dict[str, np.ndarray]]:
        waiting: collections.deque[tuple[Item, Path, Any]] = collections.deque()

        def take() -> dict[str, np.ndarray]:
            item, path, future = waiting.popleft()
            if future is None:
                found = self._read_before(path)
                if found is not None:
                    return found
                future = begin(item, path)
            self._started_pool().wait(future)
            return _read_new(path)

        try:
            for item, path, there in zip(items, paths, made, strict=True):
                waiting.append((item, path, None if there else begin(item, path)))
                if len(waiting) > AHEAD:
                    yield take()
            while waiting:
                yield take()
        finally:
            for _, _, future in waiting:
                if future is not None:
                    future.cancel()

    def _read_before(self, path: Path) -> dict[str, np.ndarray] | None:
        """Returns a result of an earlier run; None if it must be made again."""
        try:
            return read_tile(path)
        except Exception as error:  # A damaged archive fails in many ways.
            self._tell(f"{path}: damaged ({first_line(error)}); making it again.")
            return None

    def _started_pool(self) -> Pool:
        with self._starting:
            if self._ended:
                raise RuntimeError("the run has ended")
            if self._pool is None:
                self._pool = self._start()
            return self._pool


def _are_there(folder: Path, paths: Sequence[Path]) -> list[bool]:
    """Returns which results are there; of many mosaics a stage has many others."""
    if len(paths) <= FEW:
        return [path.is_file() for path in paths]
    there = tiles_in(folder)
    return [path.stem in there for path in paths]


def _read_new(path: Path) -> dict[str, np.ndarray]:
    """Returns a result that has just been made, maybe on another machine."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            return read_tile(path)
        except FileNotFoundError:
            if not path.parents[1].is_dir() or time.monotonic() > until:
                raise FileNotFoundError(
                    f"{path}: has been made, but is not there; all workers need a "
                    "folder on a disk that they share, which nobody else changes."
                ) from None
            time.sleep(0.1)


class Threads:
    """Threads of this process, one per core; see `Pool`."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(cores())
        # The cores are busy already. OpenCV's threads wait in loops: counting pixels
        # took twice the time of the processor.
        self._opencv = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def share(self, context: Any) -> Any:
        return context

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        return self._executor.submit(function, *arguments)

    def wait(self, future: Future) -> None:
        future.result()

    def close(self, *, at_once: bool) -> None:
        self._executor.shutdown(wait=not at_once, cancel_futures=True)
        cv2.setNumThreads(self._opencv)
