r"""Finds and classifies radio galaxies, from the command line.

A mode says what to do; `--mode=demo --help` tells of one mode alone, with its flags.

"""

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from absl import app, flags, logging

from claran import accelerator
from claran.commands import common

MODES = {
    "demo": "predict",
    "predict": "predict",
    "convert": "convert",
    "simulate": "making_data",
    "prepare": "making_data",
    "preview": "making_data",
    "eval": "evaluate",
    "train": "train",
}
"""Each mode's module in `claran.commands`, where the function is of the mode's name."""

JOINT = ("train",)
"""Modes in which the processes of a SLURM step work on one thing."""

flags.DEFINE_enum("mode", None, list(MODES), "What to do; see above.")
FLAGS = flags.FLAGS


def main(arguments: Sequence[str]) -> int:
    """Runs the mode; returns the exit status."""
    try:
        if len(arguments) > 1:
            raise common.UsageError(
                f"Unexpected argument {arguments[1]!r}: flags start with --, and a "
                "pattern like '*.fits' needs quotes."
            )
        if FLAGS.mode is None:
            raise common.UsageError(
                f"Give --mode, one of {', '.join(MODES)}; see --help."
            )
        _do()
    except BrokenPipeError:
        raise  # For `run`.
    # What claran raises about files, flags and devices is one of these.
    except (ValueError, OSError, accelerator.AcceleratorError) as error:
        _fail(error)
        return 1
    except Exception as error:
        if not accelerator.is_out_of_memory(error):
            raise
        _fail("Out of memory: give a smaller --batch_size, or cut large fields up.")
        return 1
    return 0


def parse_flags(arguments: list[str]) -> list[str]:
    """Returns what are no flags; ends the process for `--help` or a wrong flag.

    Only the modules of the modes that are named are imported, and only their flags are
    known; without a name, those of all.
    """
    named = [m for m in MODES if {f"--mode={m}", f"-mode={m}", m} & set(arguments)]
    commands = list(dict.fromkeys(_command(mode) for mode in named or MODES))
    if {"-h", "-help", "--help", "--helpshort"} & set(arguments):
        # Absl's own is empty for the installed command, and ends with status 1.
        texts = [command.__doc__ or "" for command in commands]
        texts += [FLAGS.module_help(name) for name in _flag_modules()]
        common.say("\n".join([*([] if named else [__doc__ or ""]), *texts]))
        sys.exit(0)
    try:
        return FLAGS(arguments)
    except flags.Error as error:
        _fail(error)
        sys.exit(1)


def run() -> None:
    """The `claran` command."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of every platform it lacks.
    try:
        try:
            app.run(main, flags_parser=parse_flags)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _fail("stopped.")
        sys.exit(130)  # As the shell says it of an interrupt, and below of a pipe.
    except BrokenPipeError:
        # Who read the output, such as `head`, has enough. Python flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def call(mode: str, **values: Any) -> None:
    """Does what the command line does, in this process, as notebooks need it.

    An accelerator belongs to one process: a second one, such as that of a notebook's
    `!claran`, finds it taken. What a call before set is forgotten.

    Such as `call("simulate", num=20, output="fields")`.

    Args:
        mode: One of `MODES`.
        **values: Flags without their dashes; a list for one that takes several.

    Raises:
        ValueError: There is no such mode or flag, or no such value of it; or files
            cannot be used, says which and what to do.
        OSError: A file cannot be read or written.
        AcceleratorError: The accelerator asked for is not there.
    """
    if mode not in MODES:
        raise common.UsageError(f"`mode` must be one of {', '.join(MODES)}: {mode!r}.")
    _command(mode)  # Which defines its flags.
    given = [f"--{name}={_flag_text(value)}" for name, value in values.items()]
    FLAGS.unparse_flags()
    try:
        FLAGS(["claran", f"--mode={mode}", *given])
    except flags.Error as error:
        raise common.UsageError(str(error)) from None
    _do()


def _do() -> None:
    if FLAGS.mode in JOINT:
        accelerator.join_processes()
    accelerator.use_accelerator(FLAGS.accelerator, index=FLAGS.device_index)
    getattr(_command(FLAGS.mode), FLAGS.mode)()


def _flag_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _flag_modules() -> list[str]:
    return [name for name in FLAGS.flags_by_module_dict() if name.startswith("claran.")]


def _command(mode: str) -> ModuleType:
    return importlib.import_module(f"claran.commands.{MODES[mode]}")


def _fail(error: Exception | str) -> None:
    print("claran:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    run()
