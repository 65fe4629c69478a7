"""The kind `planted`: faults that the fuzzer must find, to show that it can."""

import ctypes
import sys
import warnings
from pathlib import Path

import numpy as np

from fuzzing.damage import Rng, pick
from fuzzing.sense import Case, check_rows

FAULTS = ("crash", "hang", "memory", "nonsense", "traceback", "unclear", "warning",
          "prints", "nothing")  # fmt: skip


def make_planted(rng: Rng) -> Case:
    """Returns one of `FAULTS`."""
    fault = pick(rng, FAULTS)
    return Case(files={"input.fits": b""}, note=fault, how=fault)


def try_planted(case: Case, _: Path) -> None:
    """Does what the case says."""
    if case.how == "crash":
        ctypes.string_at(0)
    elif case.how == "hang":
        while True:
            pass
    elif case.how == "memory":
        kept = []
        while True:
            kept.append(np.ones(2**22))  # 32 MB.
    elif case.how == "nonsense":
        check_rows(np.array([[0, 0, np.nan, 1]]), np.ones(1), None)
    elif case.how == "traceback":
        raise IndexError("list index out of range")
    elif case.how == "unclear":
        raise ValueError("could not broadcast")
    elif case.how == "warning":
        warnings.warn("divide by zero", RuntimeWarning, stacklevel=1)
    elif case.how == "prints":
        print("deep inside", file=sys.stderr)  # noqa: T201
