"""Warnings are silenced in threads, and heard again afterwards."""

import threading
import warnings

import pytest

from claran.io.silencing import without_warnings


def test_warnings_are_silenced_and_heard_again():
    with without_warnings():
        with without_warnings():
            warnings.warn("inner", stacklevel=1)
        warnings.warn("outer", stacklevel=1)
    with pytest.warns(UserWarning, match="afterwards"):
        warnings.warn("afterwards", stacklevel=1)


def test_after_an_error_they_are_heard_again():
    with pytest.raises(KeyError, match="x"), without_warnings():
        raise KeyError("x")
    with pytest.warns(UserWarning, match="afterwards"):
        warnings.warn("afterwards", stacklevel=1)


def test_contexts_of_two_threads_may_overlap():
    """The first to enter is the first to leave."""
    filters = list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def other():
        with without_warnings():
            entered.set()
            assert left.wait(10)
            warnings.warn("still silent", stacklevel=1)

    thread = threading.Thread(target=other)
    with without_warnings():
        thread.start()
        assert entered.wait(10)
    left.set()
    thread.join()
    assert warnings.filters == filters
