"""Dask as the place of work: a cluster of this machine, or a running scheduler."""

import contextlib
import logging
import os
import pickle
import platform
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import cache
from typing import Any

import cv2

from claran.errors import first_line
from claran.io.parallel import starting_workers
from claran.io.resuming import code_fingerprint
from claran.io.silencing import without_warnings

try:
    import cloudpickle
    import psutil
    from dask import config
    from distributed import Client, KilledWorker, LocalCluster, Nanny, Status
    from distributed.comm.core import CommClosedError
except ImportError:
    raise ValueError(
        "Worker processes need Dask: install it with pip install 'claran[survey]', or "
        "give --workers=0."
    ) from None

__all__ = ["DaskPool", "start"]

SILENT = logging.CRITICAL + 1
SECONDS = 1.0  # Between looks at whether workers are alive.
# Libraries read these when they are loaded; the last is of XLA. Dask leaves what the
# user has set.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
CONFIG: dict[str, Any] = {
    # What a worker did when it died by chance is given to another one.
    "distributed.scheduler.allowed-failures": 1,
    # It would take the context from all workers but one, every two seconds.
    "distributed.scheduler.active-memory-manager.start": False,
    # Workers hold the context alone. A worker that pauses may wait for ever.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ": {
        **dict.fromkeys(ONE_THREAD, "1"),
        "MALLOC_TRIM_THRESHOLD_": "65536",  # As in Dask's own: frees memory at once.
    },
}


def start(
    workers: int, scheduler: str | None, tell: Callable[[str], None]
) -> "DaskPool":
    """Starts or finds the workers.

    Args:
        workers: Number of processes to start on this machine.
        scheduler: Address of a running scheduler to use instead.
        tell: Receives messages for the user.

    Raises:
        OSError: There is no scheduler at the address, or workers do not start.
    """
    logging.getLogger("distributed").setLevel(SILENT)
    if scheduler is None:
        return _start_here(workers)
    place = f"--scheduler={scheduler}"
    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"{place}: no scheduler of Dask answers there ({first_line(error)}); check "
            "the address and whether it runs."
        ) from None
    if not client.nthreads():
        tell(f"{place}: has no workers yet; waiting for one.")
        client.wait_for_workers(1)
    return DaskPool(place, client, None)


class DaskPool:
    """Workers of Dask; see `claran.survey.jobs.Pool`.

    Args:
        place: The flag of the workers, for messages.
        client: Connection to the scheduler; closed at the end.
        cluster: The cluster to end as well, if it is ours.
    """

    def __init__(
        self, place: str, client: Client, cluster: LocalCluster | None
    ) -> None:
        self._place, self._client, self._cluster = place, client, cluster
        self._code = code_fingerprint()

    def share(self, context: Any) -> Any:
        # As a task, and not by `scatter`, it can be made again if its worker dies.
        pickled = cloudpickle.dumps(context)
        with without_warnings():  # That it is large.
            return self._client.submit(pickle.loads, pickled, pure=False)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(_work, self._code, function, *arguments, pure=False)

    def wait(self, future: Any) -> None:
        try:
            while not self._has_ended(future):
                if self._cluster and not self._alive():
                    raise self._died()
        except KilledWorker:
            raise self._died() from None
        except (CancelledError, CommClosedError):
            raise ConnectionError(
                f"{self._place}: the scheduler of Dask has gone; look into its log. "
                "What is done is kept."
            ) from None

    def close(self, *, at_once: bool) -> None:
        if at_once:
            for process in self._alive():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._client.close()
        if self._cluster:
            self._cluster.close()

    def _has_ended(self, future: Any) -> bool:
        try:
            future.result(timeout=SECONDS)
        except TimeoutError:
            if future.status == "error":  # It is the function's own.
                raise
            return False
        return True

    def _alive(self) -> list[psutil.Process]:
        nannies = list(self._cluster.workers.values()) if self._cluster else []
        numbers = [nanny.pid for nanny in nannies]
        with contextlib.suppress(psutil.NoSuchProcess):
            return [psutil.Process(number) for number in numbers if number is not None]
        return []

    def _died(self) -> ChildProcessError:
        return ChildProcessError(
            f"{self._place}: worker processes died, most likely for lack of memory; "
            "give fewer workers. What is done is kept."
        )


class NannyOfOneLife(Nanny):
    """Starts a worker and limits its memory, but starts no other when it has died.

    That one would import the caller's main module, which may do all its work again.
    """

    begun = False

    async def instantiate(self) -> Status:
        if self.begun:
            await self.close()
            return self.status
        self.begun = True
        return await super().instantiate()


def _start_here(workers: int) -> DaskPool:
    before = set(os.environ)
    try:
        with config.set(CONFIG), starting_workers(), _without_main():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                worker_class=NannyOfOneLife,
                memory_limit=1 / workers,
                silence_logs=SILENT,
                # Without a dashboard there still is a server, at any free port.
                scheduler_kwargs={"dashboard": False},
                dashboard_address="127.0.0.1:0",
            )
            client = Client(cluster, set_as_default=False)
    except RuntimeError as error:
        raise ChildProcessError(
            f"--workers={workers}: worker processes do not start "
            f"({first_line(error)}); give --workers=0."
        ) from error
    finally:  # Dask sets the variables of its workers here, too.
        for name in set(os.environ) - before:
            del os.environ[name]
    return DaskPool(f"--workers={workers}", client, cluster)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Context in which new processes do not import the caller's main module.

    It may be a script that does all its work when it is imported.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _work(code: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function on a worker.

    Raises:
        ValueError: The worker has another version of claran.
        Exception: All that the function raises.
    """
    _prepare(code)
    return function(*arguments)


@cache
def _prepare(code: str) -> None:
    cv2.setNumThreads(1)  # One process per core is enough.
    if code_fingerprint() != code:
        raise ValueError(
            f"A worker on {platform.node()} has another version of claran; install the "
            "same on all machines, and start the workers again."
        )
