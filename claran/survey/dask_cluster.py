"""Dask as the place of work: a cluster of this machine, or a running scheduler."""

import asyncio
import contextlib
import logging
import os
import pickle
import platform
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
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
    from distributed import (
        Client,
        KilledWorker,
        LocalCluster,
        Nanny,
        Security,
        Status,
    )
    from distributed.comm.core import CommClosedError, connect
    from distributed.core import coerce_to_address
except ImportError:
    raise ValueError(
        "Worker processes need Dask: install it with pip install 'claran[survey]', or "
        "give --workers=0."
    ) from None

__all__ = ["DaskPool", "start"]

SILENT = logging.CRITICAL + 1
CONNECTING = 10.0  # Seconds to wait for a scheduler.
LOOKING = 1.0  # Seconds between looks at whether workers are alive.
HAS_CLARAN = "__import__('importlib.util').util.find_spec('claran') is not None"
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
        OSError: There is no scheduler at the address, a worker of it has no claran, or
            workers do not start.
    """
    for name in "distributed", "distributed.client":  # Dask gives both a level.
        logging.getLogger(name).setLevel(SILENT)
    if scheduler is None:
        return _start_here(workers, tell)
    _knock(scheduler)
    client = Client(scheduler, timeout=CONNECTING, set_as_default=False)
    # A worker without claran ends when it is sent a function of it.
    found: Any = client.run(eval, HAS_CLARAN, on_error="return")
    for worker in (worker for worker, has in found.items() if has is not True):
        client.close()
        raise _without_claran(f"The worker at {worker}")
    return DaskPool(f"--scheduler={scheduler}", client, None, tell)


class DaskPool:
    """Workers of Dask; see `claran.survey.jobs.Pool`.

    Args:
        place: The flag of the workers, for messages.
        client: Connection to the scheduler; closed at the end.
        cluster: The cluster to end as well, if it is ours.
        tell: Receives messages for the user.
    """

    def __init__(
        self,
        place: str,
        client: Client,
        cluster: LocalCluster | None,
        tell: Callable[[str], None],
    ) -> None:
        self._place, self._client, self._cluster = place, client, cluster
        self._tell, self._waiting = tell, False
        self.code = code_fingerprint()

    def share(self, context: Any) -> Any:
        # As a task, and not by `scatter`, it can be made again if its worker dies.
        pickled = cloudpickle.dumps(context)
        with self._errors(), without_warnings():  # That it is large.
            return self._client.submit(pickle.loads, pickled, pure=False)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._errors():
            return self._client.submit(
                _work, self.code, function, *arguments, pure=False
            )

    def wait(self, future: Any) -> None:
        with self._errors():
            while not _has_ended(future):
                self._look_at_workers()

    def close(self, *, at_once: bool) -> None:
        if at_once:
            for process in self._alive():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._client.close()
        if self._cluster:
            self._cluster.close()

    def _look_at_workers(self) -> None:
        """Tells when there are none.

        Raises:
            ChildProcessError: They were ours, so that there will be none.
        """
        if self._cluster:
            if not self._alive():
                raise self._died()
            return
        none = not self._client.nthreads()
        if none and not self._waiting:
            self._tell(f"{self._place}: has no workers; waiting for one.")
        self._waiting = none

    def _alive(self) -> list[psutil.Process]:
        found = []
        for nanny in list(self._cluster.workers.values()) if self._cluster else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                if (number := nanny.pid) is not None:
                    found.append(psutil.Process(number))
        return found

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Context in which the errors of Dask itself become one line for the user."""
        try:
            yield
        except KilledWorker:
            raise self._died() from None
        except (CancelledError, CommClosedError):
            raise ConnectionError(
                f"{self._place}: the scheduler of Dask has gone; look into its log. "
                "What is done is kept."
            ) from None
        except RuntimeError as error:
            if "deserialization of the task graph" not in str(error):
                raise
            raise _without_claran(f"{self._place}: the scheduler") from error

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


def _start_here(workers: int, tell: Callable[[str], None]) -> DaskPool:
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
    return DaskPool(f"--workers={workers}", client, cluster, tell)


def _knock(address: str) -> None:
    """Connects for a moment.

    A `Client` that gets no connection waits for 20 s more when it is deleted, and
    prints a traceback then.

    Raises:
        ConnectionError: No scheduler of Dask answers at the address.
    """

    async def knock() -> None:
        options = Security().get_connection_args("client")
        comm = await connect(coerce_to_address(address), CONNECTING, **options)
        await comm.close()

    try:
        with ThreadPoolExecutor(1) as aside:  # A notebook has a loop in its own.
            aside.submit(
                asyncio.run, asyncio.wait_for(knock(), CONNECTING + 2)
            ).result()
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"--scheduler={address}: no scheduler of Dask answers there "
            f"({first_line(error)}); check the address and whether it runs."
        ) from None


def _without_claran(who: str) -> ConnectionError:
    return ConnectionError(
        f"{who} has no claran; install the same on all machines, and start the "
        "scheduler and its workers again."
    )


def _has_ended(future: Any) -> bool:
    """Waits a moment for a future; raises what its function raised."""
    try:
        future.result(timeout=LOOKING)
    except TimeoutError:
        if future.status == "error":  # It is the function's own.
            raise
        return False
    return True


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
        ConnectionError: The worker has another version of claran.
        Exception: All that the function raises.
    """
    _prepare(code)
    return function(*arguments)


@cache
def _prepare(code: str) -> None:
    cv2.setNumThreads(1)  # One process per core is enough.
    if code_fingerprint() != code:
        raise ConnectionError(
            f"A worker on {platform.node()} has another version of claran; install the "
            "same on all machines, and start the workers again."
        )
