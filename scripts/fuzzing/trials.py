"""One input: made from its numbers, tried, and judged."""

import contextlib
import dataclasses
import io
import re
import traceback
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzzing import (
    fits_cases,
    flag_cases,
    label_cases,
    model_cases,
    planted_cases,
)
from fuzzing.failures import Failure, place_in
from fuzzing.sense import Case, Nonsense, names_its_cause

__all__ = ["KINDS", "attempt", "make_case"]


def _try_flags(case: Case, folder: Path) -> None:
    from fuzzing.flag_runs import try_flags  # noqa: PLC0415 - defines claran's flags

    try_flags(case, folder)


KINDS: dict[str, tuple[Callable[..., Case], Callable[[Case, Path], None]]] = {
    "fits": (fits_cases.make_fits, fits_cases.try_image),
    "headers": (fits_cases.make_headers, fits_cases.try_image),
    "compressed": (fits_cases.make_compressed, fits_cases.try_image),
    "pictures": (fits_cases.make_pictures, fits_cases.try_picture),
    "tables": (label_cases.make_tables, label_cases.try_table),
    "annotations": (label_cases.make_annotations, label_cases.try_annotations),
    "models": (model_cases.make_models, model_cases.try_model),
    "flags": (flag_cases.make_flags, _try_flags),
    "planted": (planted_cases.make_planted, planted_cases.try_planted),
}
"""What makes and what tries an input of each kind."""

TOLD = ("Skipped: ", "Note: ", "claran: ")  # Beginnings of lines for the user.
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning)


def make_case(seed: int, kind: str, number: int) -> Case:
    """Returns the input that follows from these three."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    return KINDS[kind][0](rng)


def attempt(kind: str, case: Case, folder: Path) -> Failure | None:
    """Returns what is wrong with claran's answer to an input; None if it is right.

    Args:
        kind: One of `KINDS`.
        case: The input.
        folder: An empty folder.
    """
    told = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stderr(told),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            KINDS[kind][1](case, folder)
            failure = None
        except Nonsense as error:
            failure = _failure("nonsense", error.__cause__ or error, str(error))
        except (ValueError, OSError) as error:
            clear = names_its_cause(str(error), folder, case)
            failure = None if clear else _failure("unclear", error)
        except Exception as error:  # Whatever it is, it is a failure.
            failure = _failure("traceback", error)
    failure = failure or _leaked(told.getvalue(), caught)
    return failure and dataclasses.replace(failure, note=case.note)


def _failure(what: str, error: BaseException, message: str = "") -> Failure:
    text = message or str(error)
    details = "".join(traceback.format_exception(error))
    return Failure(
        what=what,
        # Of nonsense the words without numbers and names stand for the place.
        where=place_in(details) or re.sub(r"'.*?'|[-+.\d]+", "_", text)[:60],
        message=f"{type(error).__name__}: {' '.join(text.split())[:300]}",
        details=details[-8000:],
    )


def _leaked(told: str, caught: list[warnings.WarningMessage]) -> Failure | None:
    """Returns warnings, and lines that are not for the user, as a failure."""
    for one in caught:
        own = one.category.__module__.startswith("claran")  # Meant for the user.
        if not own and not issubclass(one.category, HIDDEN):
            place = f"{Path(one.filename).parent.name}/{Path(one.filename).name}"
            return Failure(
                what="warning", where=f"{place}:{one.lineno}",
                message=f"{one.category.__name__}: {str(one.message)[:300]}",
            )  # fmt: skip
    for line in told.splitlines():
        if line.strip() and not line.startswith(TOLD):
            return Failure(what="prints", where="standard error", message=line[:300])
    return None
