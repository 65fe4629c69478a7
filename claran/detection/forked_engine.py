"""Detection in a forked process, where JAX would hang: a new interpreter computes.

JAX has threads, which a fork does not copy. The interpreter starts at the first
detection and is kept. As a worker of a pool may have no children of `multiprocessing`,
it is a plain subprocess, which gets fields through a pipe, one at a time.
"""

import contextlib
import itertools
import multiprocessing
import operator
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from typing import Any

from claran import accelerator
from claran.detection.detections import Detections
from claran.detection.engine import Engine, load_item
from claran.detection.field_results import FieldResult, Item
from claran.detection.packed_model import PackedModel
from claran.errors import ImageError
from claran.fields.field import Field

__all__ = ["detect_in_fork", "serve"]

SERVE = (
    "import sys; sys.path[:] = {path!r}; "
    "from claran.detection.forked_engine import serve; serve({pipe}, {parent})"
)
KEPT = 4  # Engines that an interpreter keeps.


def detect_in_fork(
    engine: Engine,
    items: Iterable[Item],
    load: Callable[[Item], Field] | None = None,
    *,
    score_threshold: float,
    skip_unusable: bool = False,
    measured: bool = False,
    groups: bool = False,
) -> Iterator[FieldResult[Item]]:
    """Yields the detections in each field, in order, as `Engine.detect` does.

    Fields are loaded here, since another interpreter need not know `load`.

    Args:
        engine: The engine whose work is done by an interpreter of its own.
        items: See `Engine.detect`.
        load: See there.
        score_threshold: See there.
        skip_unusable: See there.
        measured: See there.
        groups: See there.

    Raises:
        AcceleratorError: The engine does not run on a CPU, as two processes cannot
            share another device; or the interpreter has ended.
        Exception: All that `Engine.detect` raises.
    """
    if not engine.compiled.on_cpu:
        accelerator.check_not_forked()
    options = {
        "score_threshold": score_threshold, "skip_unusable": skip_unusable,
        "measured": measured, "groups": groups,
    }  # fmt: skip
    for item in items:
        try:
            field = load_item(item, load, skip_unusable=skip_unusable)
        except ImageError as error:
            if not skip_unusable:
                raise
            yield FieldResult(item, None, Detections.none(), error)
            continue
        found, error, known = _interpreter().ask(engine, field, options)
        for name, value in known.items():
            vars(field).setdefault(name, value)
        yield FieldResult(item, None if error else field, found, error)


class _Interpreter:
    """An interpreter that ends with the process that made it, however that ends."""

    def __init__(self) -> None:
        warnings.warn(
            "This process was forked from one that had used JAX: a new interpreter "
            "detects for it, which starts in some seconds. Processes of "
            "multiprocessing.get_context('spawn') need none, and one "
            "`Detector.detect_many` uses all cores.",
            stacklevel=2,
        )
        self._lock = threading.Lock()
        self._sent: dict[int, tuple[tuple[Any, ...], list[Any]]] = {}
        self._numbers = itertools.count()
        self._pipe, theirs = multiprocessing.Pipe()
        facts = {"path": sys.path, "pipe": theirs.fileno(), "parent": os.getpid()}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVE.format(**facts)],
            pass_fds=[theirs.fileno()], env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self.owner = os.getpid()
        self.end = weakref.finalize(self, _end, self.owner, self._pipe, self._process)

    def ask(self, engine: Engine, field: Field, options: dict[str, Any]) -> Any:
        """Returns the detections, the error and the measurements of a field."""
        with self._lock:
            try:
                self._pipe.send((*self._known(engine), field, options))
                answer = self._pipe.recv()
            except (EOFError, OSError):
                self.end()
                raise accelerator.AcceleratorError(
                    "The interpreter that detects for this forked process has ended "
                    f"(status {self._process.returncode}); it may lack memory. Make "
                    "processes with multiprocessing.get_context('spawn')."
                ) from None
            except BaseException:  # The answer would be taken for that of the next.
                self.end()
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _known(self, engine: Engine) -> tuple[int, Engine | None]:
        """Returns the number of an engine, and itself if it is new or has changed."""
        model = engine.model
        settings = (
            engine.compiled.settings(), model.preprocessor, model.finisher,
            engine.average,
        )  # fmt: skip
        weights = _weights(engine)
        for number, (other, arrays) in self._sent.items():
            same = len(weights) == len(arrays) and all(
                map(operator.is_, weights, arrays)
            )
            if settings == other and same:
                return number, None
        number = next(self._numbers)
        _keep(self._sent, number, (settings, weights))
        return number, engine


_interpreters: list[_Interpreter] = []


def _interpreter() -> _Interpreter:
    """Returns the running interpreter of this very process."""
    for one in _interpreters:
        if one.owner == os.getpid() and one.end.alive:
            return one
    _interpreters[:] = [_Interpreter()]
    return _interpreters[0]


def _weights(engine: Engine) -> list[Any]:
    """Returns the objects that are others with other weights: these, or their hash."""
    if isinstance(engine.model, PackedModel):
        return [sys.intern(engine.model.model_hash())]
    return [variable.value for variable in engine.model.network.variables]


def _keep(engines: dict[int, Any], number: int, value: Any) -> None:
    """Adds to the engines that both processes keep, and drops the oldest."""
    engines[number] = value
    if len(engines) > KEPT:
        del engines[next(iter(engines))]


def _end(owner: int, pipe: connection.Connection, process: Any) -> None:
    pipe.close()
    if os.getpid() == owner:  # Not a process that was forked from it.
        process.kill()
        process.wait()


def serve(pipe: int, parent: int) -> None:
    """Detects for a forked process until it ends.

    Args:
        pipe: File descriptor of a `multiprocessing.connection.Connection`.
        parent: Number of that process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It ends with its parent.
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    sys.modules["tensorflow"] = None  # pyright: ignore - or Keras takes 2 s for it.
    calls, engines = connection.Connection(pipe), {}
    with contextlib.suppress(EOFError, OSError):
        while True:
            call = calls.recv_bytes()
            try:
                number, engine, *rest = pickle.loads(call)
                if engine is not None:
                    _keep(engines, number, engine)
                answer = pickle.dumps(_answer(engines[number], *rest))
            except Exception as error:
                answer = _packed_error(error)
            calls.send_bytes(answer)
    os._exit(0)


def _answer(engine: Engine, field: Field, options: dict[str, Any]) -> Any:
    known = set(vars(field))
    (result,) = engine.detect([field], **options)
    measured = {name: one for name, one in vars(field).items() if name not in known}
    return result.detections, result.error, measured


def _packed_error(error: Exception) -> bytes:
    """Returns an error for the pipe; as text if its kind cannot be pickled."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return packed


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
