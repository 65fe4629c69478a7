"""Apply a function to many items on all cores, in order and in bounded memory."""

import collections
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from typing import TypeVar

import cv2

__all__ = ["cores", "parallel_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AHEAD = 8  # Items per worker that may wait, so that memory stays bounded.


def cores() -> int:
    """Returns how many cores this process may use."""
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

    Workers are fresh interpreters. They import the module of `function`, but neither
    the caller's main module nor JAX. They end when the caller ends, even if it is
    killed.

    Args:
        function: A function at the top of a module.
        items: Any number of items; at most `AHEAD` per worker are drawn in advance.
        workers: Number of processes; None for one per core. With 0 or 1 everything
            runs in the calling process.
    """
    workers = cores() if workers is None else workers
    if workers < 2:
        yield from map(function, items)
        return
    import loky  # noqa: PLC0415 - 0.05 s, and detection needs `cores` alone

    waiting = collections.deque()
    # The other end is held by this process alone, and so closes when it is killed.
    alive, held = multiprocessing.Pipe(duplex=False)
    # Loky is what joblib runs on. `joblib.Parallel` itself does not do here: its
    # generator drew all of 1,000 items while the caller was still at the first
    # (`pre_dispatch=16`), and closing one generator stopped another one's workers.
    pool = loky.ProcessPoolExecutor(
        workers, initializer=_start_worker, initargs=(alive,), env=_one_thread()
    )
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
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


def _one_thread() -> dict[str, str]:
    """Returns environment variables that give each worker one thread.

    Variables that the user has set are left alone. Libraries read them when they are
    loaded. With one thread per core in each process a simulated field took 26 ms
    instead of 7.
    """
    return {name: "1" for name in THREADS if name not in os.environ}


def _start_worker(alive: connection.Connection) -> None:
    cv2.setNumThreads(1)  # One process per core is enough.
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _end_with(alive: connection.Connection) -> None:
    """Ends this process when its parent is gone, which loky does not notice."""
    connection.wait([alive])
    os._exit(1)
