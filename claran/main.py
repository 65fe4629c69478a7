r"""Finds and classifies radio galaxies, from the command line.

Give a --mode; `--mode=demo --help` shows the help of one mode with its flags.

"""

import contextlib
import csv
import gc
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from absl import app, flags, logging

from claran import __version__, accelerator
from claran.commands import common, interrupts, surroundings
from claran.commands.flag_table import modes_of
from claran.commands.help_pages import help_page
from claran.commands.modes import MODES
from claran.commands.refusals import refuse_flags, unknown_flag
from claran.errors import AcceleratorError

RESUMED = {
    "predict": "its partial results",
    "survey": "its partial results",
    "eval": "its partial results",
    "train": "the last checkpoint",
}
"""What each mode resumes from after an interruption; the others start again."""

JOINT = ("train",)
"""Modes in which the processes of a SLURM step work together."""
HELP = {"-h", "-help", "--help", "--helpshort", "--helpfull"}
FLAGS = flags.FLAGS


def main(arguments: Sequence[str]) -> int:
    """Runs the mode; returns the exit status.

    Args:
        arguments: Arguments that are no flags; the first is the program.
    """
    try:
        _refuse_arguments(arguments[1:])
        _run_mode()
    except BrokenPipeError:
        raise  # For `run`.
    # The exceptions of claran about files, flags and devices.
    except (ValueError, OSError, AcceleratorError) as error:
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

    Args:
        arguments: Program and arguments.

    Returns:
        The arguments that are no flags.
    """
    if HELP & set(arguments):
        # Absl's own help is empty for the installed command, and has status 1.
        common.say(help_page(_named_mode(arguments)))
        sys.exit(0)
    if "--version" in arguments:
        common.say(f"claran {__version__}")
        sys.exit(0)
    try:
        return _parse(arguments)
    except common.UsageError as error:
        _fail(error)
        sys.exit(1)


def run() -> None:
    """Runs the `claran` command."""
    interrupts.end_at_signals(_stopped)
    surroundings.open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # A log shows how far a run is.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # Or TensorFlow has a say.
    logging.set_verbosity(logging.WARNING)  # JAX reports every missing platform.
    gc.disable()  # Until all is imported: collections took 0.35 of 3.2 s.
    try:
        try:
            surroundings.make_usable()
            app.run(_with_garbage_collection, flags_parser=parse_flags)
        except SystemExit as end:
            if isinstance(end.code, int) and end.code:  # Threads may still compute.
                interrupts.end_at_once(end.code)
            raise
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _fail("stopped.")  # On Windows; see `interrupts` for the others.
        interrupts.end_at_once(130)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended. Python flushes once more.
        # The status is the shell's for it.
        common.discard_output()
        interrupts.end_at_once(141)
    except (OSError, common.UsageError) as error:
        common.discard_output()
        _fail(error)
        interrupts.end_at_once(1)
    except Exception as error:
        _fail(error, f"{_sentence(error)} This is a fault of claran; please report it "
            "with what the same command shows with --debug.")  # fmt: skip
        interrupts.end_at_once(1)


def call(mode: str, **values: Any) -> None:
    """Runs a mode in this process, for notebooks.

    An accelerator can be used by one process only, not also by that of a notebook's
    `!claran`. Flags of an earlier call are forgotten. An example is
    `call("simulate", num=20, output="fields")`.

    Args:
        mode: One of `MODES`.
        **values: Values of flags; a list for a flag with several values, None for a
            flag that is not given.

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
    given = [
        f"--{name}={_flag_text(value)}"
        for name, value in values.items()
        if value is not None
    ]
    FLAGS.unparse_flags()
    _parse(["claran", f"--mode={mode}", *given])
    _run_mode()


def _parse(arguments: list[str]) -> list[str]:
    """Parses flags, and refuses those that make no sense in the mode.

    Raises:
        UsageError: It says which flag, and what to do.
    """
    try:
        others = FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        raise unknown_flag(error.flagname) from None
    except flags.Error as error:
        raise common.UsageError(str(error).removeprefix("flag ")) from None
    if FLAGS.mode is not None:
        refuse_flags(FLAGS.mode)
    return others


def _refuse_arguments(arguments: Sequence[str]) -> None:
    if arguments and arguments[0] in MODES:
        raise common.UsageError(f"Unexpected argument: write --mode={arguments[0]}.")
    if arguments:
        raise common.UsageError(
            f"Unexpected argument {arguments[0]!r}: flags start with --, and a "
            "pattern like '*.fits' needs quotes."
        )
    if FLAGS.mode is None:
        raise common.UsageError(f"Give --mode, one of {', '.join(MODES)}; see --help.")


def _run_mode() -> None:
    mode = FLAGS.mode
    surroundings.provide_home()
    if mode in (*modes_of("accelerator"), "convert"):  # Others do without JAX.
        if mode in JOINT:
            accelerator.join_processes()
        accelerator.use_accelerator(FLAGS.accelerator, index=FLAGS.device_index)
    command = importlib.import_module(f"claran.commands.{MODES[mode]}")
    getattr(command, mode)()


def _with_garbage_collection(arguments: Sequence[str]) -> int:
    """Runs the mode; what was imported before is never garbage."""
    gc.freeze()
    gc.enable()
    return main(arguments)


def _named_mode(arguments: Sequence[str]) -> str | None:
    return next(
        (m for m in MODES if {f"--mode={m}", f"-mode={m}", m} & set(arguments)), None
    )


def _flag_text(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value)  # A name may have a comma.
    return line.getvalue()


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).rstrip('.')}."


def _stopped() -> str:
    """Returns the line for an interrupt; the flags may not be parsed yet."""
    given = {argument.lstrip("-").removeprefix("mode=") for argument in sys.argv}
    resumed = [place for mode, place in RESUMED.items() if mode in given]
    remedy = f" The same command resumes from {resumed[0]}." if resumed else ""
    return f"claran: stopped.{remedy}"


def _fail(error: Exception | str, message: str | None = None) -> None:
    with contextlib.suppress(OSError):  # Nobody listens.
        if isinstance(error, Exception) and FLAGS["debug"].value:
            traceback.print_exception(error)
        text = " ".join((message or str(error)).split())
        print("claran:", text, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    run()
