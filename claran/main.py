r"""Finds and classifies radio galaxies, from the command line.

Give a --mode; `--mode=demo --help` shows the help of one mode with its flags.

"""

import gc
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
"""Module of each mode in `claran.commands`, with a function of the mode's name."""

JOINT = ("train",)
"""Modes in which the processes of a SLURM step work together."""

flags.DEFINE_enum("mode", None, list(MODES), "What to do; see above.")
FLAGS = flags.FLAGS


def main(arguments: Sequence[str]) -> int:
    """Runs the mode; returns the exit status.

    Args:
        arguments: Arguments that are no flags; the first is the program.
    """
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
        _run_mode()
    except BrokenPipeError:
        raise  # For `run`.
    # The exceptions of claran about files, flags and devices.
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
    """Parses the flags; ends the process for `--help` or an invalid flag.

    Only the modules of the given modes are imported, and only their flags are known;
    without a mode, those of all.

    Args:
        arguments: Program and arguments.

    Returns:
        The arguments that are no flags.
    """
    named = [m for m in MODES if {f"--mode={m}", f"-mode={m}", m} & set(arguments)]
    commands = list(dict.fromkeys(_command(mode) for mode in named or MODES))
    if {"-h", "-help", "--help", "--helpshort"} & set(arguments):
        # Absl's own help is empty for the installed command, and has status 1.
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
    """Runs the `claran` command."""
    logging.set_verbosity(logging.WARNING)  # JAX reports every missing platform.
    gc.disable()  # Until all is imported: collections took 0.35 of 3.2 s.
    try:
        try:
            app.run(_with_garbage_collection, flags_parser=parse_flags)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _fail("stopped.")
        sys.exit(130)  # The shell's status for an interrupt; below for a closed pipe.
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended. Python flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _with_garbage_collection(arguments: Sequence[str]) -> int:
    """Runs the mode; what was imported before is never garbage."""
    gc.freeze()
    gc.enable()
    return main(arguments)


def call(mode: str, **values: Any) -> None:
    """Runs a mode in this process, for notebooks.

    An accelerator can be used by one process only, not also by that of a notebook's
    `!claran`. Flags of an earlier call are forgotten. An example is
    `call("simulate", num=20, output="fields")`.

    Args:
        mode: One of `MODES`.
        **values: Values of flags; a list for a flag with several values.

    Raises:
        ValueError: There is no such mode or flag, or a value is invalid, or files
            cannot be used.
        OSError: A file cannot be read or written.
        AcceleratorError: The requested accelerator is not available.
    """
    if mode not in MODES:
        raise common.UsageError(
            f"`mode` must be one of {', '.join(MODES)}, got {mode!r}."
        )
    _command(mode)  # Defines the flags.
    given = [f"--{name}={_flag_text(value)}" for name, value in values.items()]
    FLAGS.unparse_flags()
    try:
        FLAGS(["claran", f"--mode={mode}", *given])
    except flags.Error as error:
        raise common.UsageError(str(error)) from None
    _run_mode()


def _run_mode() -> None:
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
