"""Worker processes: they are deaf to Ctrl-C, and end with their parent.

And a parallel map on all cores, in order and with bounded memory.
"""

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection, resource_tracker
from typing import Any, TypeVar

import cv2

__all__ = ["cores", "end_with_parent", "parallel_map", "starting_workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AHEAD = 8  # Items per worker that may wait, to bound the memory.


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order.

    Workers are new interpreters. They import the module of `function`, but neither the
    caller's main module nor JAX. They end with the caller, even if it is killed.

    Args:
        function: A function at the top level of a module.
        items: Any number of items; at most `AHEAD` per worker are taken in advance.
        workers: Number of processes; None for one per core. With 0 or 1 the function
            runs in the calling process.
    """
    workers = cores() if workers is None else workers
    if workers < 2:
        yield from map(function, items)
        return
    import loky  # noqa: PLC0415 - takes 0.05 s; detection only needs `cores`

    waiting = collections.deque()
    # Only this process holds the other end, which closes when it is killed.
    alive, held = multiprocessing.Pipe(duplex=False)
    # Loky is the basis of joblib. `joblib.Parallel` itself is no alternative: its
    # generator took all of 1,000 items while the caller was still at the first
    # (`pre_dispatch=16`), and closing one generator stopped the workers of another.
    with starting_workers():
        pool = loky.ProcessPoolExecutor(
            workers, initializer=_start_worker, initargs=(alive,), env=_one_thread()
        )

    def submit(item: Item) -> Any:
        with starting_workers():
            return pool.submit(function, item)

    try:
        for item in items:
            waiting.append(submit(item))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True)
        alive.close()
        held.close()


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Context in which worker processes start, which Ctrl-C then does not reach.

    A terminal sends it to all processes. Workers would answer with tracebacks; they end
    with their parent instead. Python's tracker of shared memory, which cleans up after
    processes that were killed, does so in silence.
    """
    quiet = "ignore:resource_tracker"
    given = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = f"{given},{quiet}" if given else quiet
    try:
        # First, as it unblocks signals when it starts (before Python 3.12).
        resource_tracker.ensure_running()
        if not hasattr(signal, "pthread_sigmask"):
            yield  # Windows.
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        if given is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = given


def end_with_parent(alive: Any = None) -> None:
    """Makes this worker process end when its parent does, even if that is killed.

    Args:
        alive: A pipe whose other end only the parent has; by default the one that
            `multiprocessing` has for its own workers.
    """
    parent = multiprocessing.parent_process()
    if alive is None and parent is not None:
        alive = parent.sentinel
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _one_thread() -> dict[str, str]:
    """Returns environment variables that give each worker one thread.

    Variables that the user has set are not changed. Libraries read them when they are
    loaded. With one thread per core in each process a simulated field took 26 ms
    instead of 7.
    """
    return {name: "1" for name in THREADS if name not in os.environ}


def _start_worker(alive: connection.Connection) -> None:
    cv2.setNumThreads(1)  # One process per core is enough.
    end_with_parent(alive)  # Loky's workers do not notice.


def _end_with(alive: Any) -> None:
    connection.wait([alive])
    os._exit(1)
