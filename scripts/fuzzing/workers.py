"""Processes that try inputs: a crash, a hang or a hunger for memory ends only one."""

import contextlib
import dataclasses
import faulthandler
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from multiprocessing import connection
from pathlib import Path

import psutil

from fuzzing.failures import Failure, place_in

__all__ = ["Limits", "Tried", "serve", "try_all"]

ROOT = Path(__file__).resolve().parents[2]
GB = 1e9
NOISE = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} "
)  # TensorFlow's.
STARVED = 15  # On a busy machine an input may wait for so many times its limit.
FRESH_BYTES = 1.8e9  # A worker that keeps more than this is replaced.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What an input may cost: seconds, and GB of memory of the whole process."""

    seconds: float = 20.0
    memory_gb: float = 3.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tried:
    """An input that was tried, with its `Failure`, None if there is none."""

    kind: str
    number: int
    seconds: float
    failure: Failure | None


class _Worker:
    """A process that tries one input after the other."""

    def __init__(self, seed: int, *, warm: bool) -> None:
        ours, theirs = connection.Pipe()
        self.folder = Path(tempfile.mkdtemp(prefix="claran_fuzz_"))
        self.errors = self.folder / "stderr"
        fd = theirs.fileno()
        code = f"from fuzzing.workers import serve; serve({fd}, {seed}, {warm})"
        with self.errors.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code], pass_fds=[fd], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=_environment(),
            )  # fmt: skip
        theirs.close()
        self.pipe = ours
        self.job: tuple[str, int] | None = None
        self.ready, self.printed, self.started = False, 0, time.monotonic()
        self.cpu = 0.0

    def start(self, job: tuple[str, int]) -> None:
        self.job, self.started, self.cpu = job, time.monotonic(), self._cpu_seconds()
        self.printed = self.errors.stat().st_size
        self.pipe.send(job)

    def news(self) -> str:
        """Returns what the process and its libraries have printed for this input."""
        with self.errors.open("rb") as file:
            file.seek(self.printed)
            return file.read(200_000).decode("utf-8", "replace")

    def excess(self, limits: Limits) -> str:
        """Returns "hang" or "memory" if the input costs too much; else ""."""
        if self._peak() > limits.memory_gb * GB:
            return "memory"
        waited = time.monotonic() - self.started
        if waited < limits.seconds:
            return ""
        # On a busy machine the clock alone says little.
        busy = self._cpu_seconds() - self.cpu > limits.seconds
        return "hang" if busy or waited > limits.seconds * STARVED else ""

    def stop(self) -> None:
        """Kills the process and removes its files."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stacks(self) -> None:
        """Makes the process print where each of its threads is."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(0.3)

    def is_full(self) -> bool:
        """Returns whether the process keeps so much that another should follow it."""
        return self._memory() > FRESH_BYTES

    def _peak(self) -> int:
        """Returns the most memory that the process has ever had, bytes.

        Linux knows it; elsewhere it is what the process has now.
        """
        status = Path(f"/proc/{self.process.pid}/status")
        with contextlib.suppress(OSError):
            if match := re.search(r"VmHWM:\s*(\d+) kB", status.read_text("utf-8")):
                return 1024 * int(match[1])
        return self._memory()

    def _memory(self) -> int:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.process.pid).memory_info().rss
        return 0

    def _cpu_seconds(self) -> float:
        with contextlib.suppress(psutil.Error):
            return sum(psutil.Process(self.process.pid).cpu_times()[:2])
        return 0.0


def try_all(
    seed: int,
    jobs: Iterable[tuple[str, int]],
    *,
    workers: int = 2,
    limits: Limits = Limits(),
    warm: bool = True,
) -> Iterator[Tried]:
    """Tries inputs in processes, and yields each as it ends.

    Args:
        seed: Seed of all inputs.
        jobs: Kind and number of each input.
        workers: Number of processes.
        limits: What an input may cost.
        warm: Whether processes compile their networks first, which takes seconds.
    """
    waiting = iter(jobs)
    following = next(waiting, None)
    team = [_Worker(seed, warm=warm) for _ in range(workers)]
    try:
        while following or any(one.job for one in team):
            connection.wait([one.pipe for one in team], timeout=0.1)
            for i, one in enumerate(team):
                tried = _look_after(one, limits)
                if tried is not None:
                    yield tried
                if not one.ready and one.process.poll() is not None:
                    raise RuntimeError(f"A worker cannot start: {one.news()}")
                if one.process.poll() is not None or (not one.job and one.is_full()):
                    one.stop()
                    team[i] = _Worker(seed, warm=warm)
                elif one.ready and one.job is None and following:
                    one.start(following)
                    following = next(waiting, None)
    finally:
        for one in team:
            one.stop()


def _look_after(worker: _Worker, limits: Limits) -> Tried | None:
    """Returns the input that a worker has done, or that has ended the worker."""
    try:
        if worker.pipe.poll():
            answer = worker.pipe.recv()
            if not worker.ready:
                worker.ready = True
                return None
            if worker.excess(limits) != "memory":
                return _done(worker, answer)
    except (EOFError, ConnectionError):
        worker.process.wait()
    if worker.job is None:
        return None
    if worker.process.poll() is not None:
        what, message = "crash", f"ended with status {worker.process.returncode}"
    elif worker.ready and (what := worker.excess(limits)):
        worker.stacks()
        worker.process.kill()
        worker.process.wait()
        costs = {"hang": f"{limits.seconds:g} s", "memory": f"{limits.memory_gb:g} GB"}
        message = f"took over {costs[what]}"
    else:
        return None
    news = worker.news()
    # The innermost call is the first here; `place_in` takes the last.
    where = place_in("\n".join(reversed(news.splitlines())))
    failure = Failure(what=what, where=where, message=message, details=news[-8000:])
    return _done(worker, failure)


def _done(worker: _Worker, answer: Failure | None) -> Tried:
    assert worker.job is not None  # noqa: S101 - it has answered.
    kind, number = worker.job
    answer = answer or _printed(kind, worker.news())
    worker.job = None
    seconds = time.monotonic() - worker.started
    return Tried(kind=kind, number=number, seconds=seconds, failure=answer)


def _printed(kind: str, news: str) -> Failure | None:
    """Returns what libraries printed past Python as a failure."""
    lines = [one for one in news.splitlines() if one.strip() and not NOISE.match(one)]
    if kind == "pictures":  # OpenCV's decoders print what is wrong with a picture.
        lines = [one for one in lines if "Warning: " in one]
    if not lines:
        return None
    place = re.search(r"[\w-]+/[\w-]+\.(py|cpp|c):\d+", lines[0])
    where = place[0] if place else lines[0][:40]
    return Failure(what="prints", where=where, message=lines[0][:300], details=news)


def _environment() -> dict[str, str]:
    paths = [str(ROOT / "scripts"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        # As the tests: what takes long to compile is compiled once for all.
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def serve(fd: int, seed: int, warm: bool) -> None:
    """Tries the inputs that come through a pipe, until it is closed.

    Args:
        fd: Descriptor of the pipe.
        seed: Seed of all inputs.
        warm: See `try_all`.
    """
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    pipe = connection.Connection(fd)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    from fuzzing import trials  # noqa: PLC0415 - after the fault handler

    if warm:
        warm_up()
    pipe.send("ready")
    while True:
        try:
            kind, number = pipe.recv()
        except EOFError:  # The parent has ended.
            return
        folder = Path(tempfile.mkdtemp(prefix="input_", dir="."))
        folder = folder.absolute()
        try:
            case = trials.make_case(seed, kind, number)
            pipe.send(trials.attempt(kind, case, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _end_with(parent: int) -> None:
    """Ends this process when its parent has ended, also in the middle of an input."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def warm_up() -> None:
    """Compiles the networks, so that no input has to wait for it."""
    from fuzzing import tools  # noqa: PLC0415 - as above

    tools.good_boxes()
