"""The kind `flags`: runs of command lines up to where the long work begins.

Apart from `flag_cases`, as claran's flags and those of a script exclude each other.
"""

import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import grain  # noqa: F401 - defines flags, which must be there before any is saved.
from absl import flags
from absl.testing import flagsaver
from astropy.table import QTable

from claran import main as claran_main
from claran import read_field
from claran.commands import common, data_flags, making_data
from claran.commands import train as training
from claran.evaluation import running
from fuzzing import tools
from fuzzing.fits_seeds import fits_seed
from fuzzing.sense import Case, Nonsense, check_table


def try_flags(case: Case, folder: Path) -> None:
    """Runs a command line, and holds its end against what it may be."""
    tools.write(tools.good_fields(), folder)
    (folder / "annotations.csv").write_text(tools.LABELS, "utf-8")
    (folder / "good.fits").write_bytes(fits_seed("plain"))
    (folder / "good.keras").write_bytes(tools.model_bytes())
    _prepare()
    before = os.getcwd()
    os.chdir(folder)
    try:
        with flagsaver.flagsaver():
            status = _run(["claran", *case.arguments])
    finally:
        os.chdir(before)
    errors: Any = sys.stderr
    lines = errors.getvalue().splitlines()
    told = [line for line in lines if line.startswith("claran: ")]
    if status not in (0, 1):
        raise Nonsense(f"ended with status {status!r}")
    if len(told) != status:
        raise Nonsense(f"status {status} with {len(told)} lines of errors")
    if case.refused and not status:
        raise Nonsense(f"{case.refused} was accepted")
    if case.refused and case.refused.strip("-") not in told[0]:
        raise Nonsense(f"{case.refused} is not named: {told[0]}")
    has_sky = {"--mode=demo", "--mode=predict"} & set(case.arguments) and not status
    for path in (folder / "out").rglob("*.ecsv") if has_sky else ():
        table = QTable.read(path)
        names = sorted({str(name) for name in table["image"]})
        check_table(table, {n: read_field(_file(folder, n)) for n in names})


def _file(folder: Path, name: str) -> Path:
    return folder / (name if name.endswith(".fits") else f"{name}.fits")


def _run(arguments: list[str]) -> Any:
    flags.FLAGS.unparse_flags()
    try:
        return claran_main.main(claran_main.parse_flags(arguments))
    except SystemExit as end:
        return end.code


@functools.cache
def _prepare() -> None:
    """Loads every mode, and puts a short end to what takes minutes."""
    for name in set(claran_main.MODES.values()):
        importlib.import_module(f"claran.commands.{name}")

    def no_data_sets() -> Any:
        raise common.UsageError("--data: no data set is made here.")

    # What the modes do after their checks has tests of its own.
    replaced: tuple[tuple[Any, str, Any], ...] = (
        (training, "train_detector", lambda *_, **__: {"step": 1, "best": None}),
        (running, "write_evaluation", lambda *_, **__: []),
        (making_data, "write_preview", lambda *_, **__: []),
        (making_data, "rgz", no_data_sets),
        (data_flags, "rgz", no_data_sets),
    )
    for module, name, value in replaced:
        getattr(module, name)  # It must be there.
        setattr(module, name, value)
