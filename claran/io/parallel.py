"""A function over many items on all cores, in order, with a bounded queue."""

import collections
import contextlib
import multiprocessing
import os
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
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

    Workers are fresh interpreters that import the module of `function` and neither the
    caller's main module nor, through it, JAX. They end with the caller, even if that
    one is killed.

    Args:
        function: A function at the top of a module.
        items: May be long; few are drawn ahead.
        workers: Processes; None for one a core. With 0 or 1 all is done here.
    """
    workers = cores() if workers is None else workers
    if workers < 2:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    waiting = collections.deque()
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker)
    try:
        for item in items:
            with _as_workers_need():  # Submitting starts workers, up to their number.
                waiting.append(pool.submit(function, item))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _as_workers_need() -> Iterator[None]:
    """What a process inherits that starts in here: one thread, and no main module.

    The main module would be imported again. Libraries read their number of threads when
    they are loaded; with one for each core in each process a simulated field took 26 ms
    instead of 7.
    """
    main = sys.modules["__main__"]
    added = [name for name in THREADS if name not in os.environ]
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name in added:
            del os.environ[name]


def _start_worker() -> None:
    cv2.setNumThreads(1)  # One process a core is enough.
    parent = multiprocessing.parent_process()
    if parent is not None:
        watch = threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True)
        watch.start()


def _end_with(sentinel: int) -> None:
    """Ends this process when its parent has ended without a word."""
    connection.wait([sentinel])
    os._exit(1)
