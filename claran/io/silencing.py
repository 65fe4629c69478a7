"""Silences warnings while files are read, also in several threads at once."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

__all__ = ["without_warnings"]

_lock = threading.Lock()
_open: list[warnings.catch_warnings] = []
_depth = 0


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Context without warnings.

    `warnings.catch_warnings` is not safe in threads before Python 3.14: of two contexts
    that overlap, the one that ends last restores the filters of the other one, and all
    warnings of the process are silenced for good. Here the first thread to enter saves
    the filters, and the last one to leave restores them.
    """
    global _depth  # noqa: PLW0603 - the filters are global too.
    with _lock:
        if not _depth:
            _open.append(warnings.catch_warnings())
            _open[0].__enter__()
            warnings.simplefilter("ignore")
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                _open.pop().__exit__(None, None, None)
