"""Ends the command at Ctrl-C or SIGTERM: one line, and no process stays behind.

Python runs its handlers of signals in the main thread only, which may be inside a long
compilation of JAX. An exception that a handler raises can crash a library that is being
imported, and the interpreter can hang or crash if it ends while threads compute. So a
thread of its own waits for signals and ends the process. That is safe at any moment, as
files are written whole or not at all, and workers end with their parent.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from claran.io.atomic import remove_unfinished

__all__ = ["end_at_once", "end_at_signals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_at_signals(message: Callable[[], str]) -> None:
    """Makes SIGINT end this process with status 130, and SIGTERM with 143.

    A signal that the process was started to ignore, as in the background of a script,
    stays ignored. On Windows Ctrl-C raises `KeyboardInterrupt` as always.

    Args:
        message: Returns the line to print.
    """
    if os.name == "nt":
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    # Python writes the number of each signal there at once, whatever the main thread
    # does; the handler itself runs later, or never.
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _do_nothing)
    threading.Thread(target=_watch, args=(read, message), daemon=True).start()


def end_at_once(status: int) -> None:
    """Ends this process without waiting for threads, which may crash at its end.

    Args:
        status: The exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
    os._exit(status)


def _watch(read: int, message: Callable[[], str]) -> None:
    number = 0
    while number not in SIGNALS:  # Those that others handle come here too.
        number = os.read(read, 1)[0]
    try:
        _print_last(message())
        for worker in multiprocessing.active_children():
            with contextlib.suppress(OSError):
                os.kill(worker.pid or 0, signal.SIGKILL)
        remove_unfinished()
    finally:
        os._exit(128 + number)


def _print_last(line: str) -> None:
    """Prints a line on standard error, and nothing after it."""
    with contextlib.suppress(OSError):  # It may be closed.
        start = "\n" if os.isatty(2) else ""  # Behind a progress bar.
        os.write(2, f"{start}{line}\n".encode())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)


def _do_nothing(number: int, frame: Any) -> None:
    del number, frame
