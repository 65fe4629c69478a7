"""The help of the command line."""

import textwrap

from absl import flags

from claran.commands.flag_table import MEANINGS, flags_of
from claran.commands.modes import ABOUT, MODES

__all__ = ["help_page"]

WIDTH = 88
USAGE = """Finds and classifies radio galaxies.

  python -m claran.main --mode=demo
  python -m claran.main --mode=predict --radio='fields/*.fits' --output=catalog.ecsv

Each mode has a help of its own, such as --mode=predict --help. The modes and their
flags:"""


def help_page(mode: str | None) -> str:
    """Returns the help of a mode with its flags, or an overview of all modes."""
    return _overview() if mode is None else f"{ABOUT[mode]}\n\n{_flags(mode)}"


def _overview() -> str:
    everywhere = [name for name, modes in MEANINGS.items() if len(modes) == len(MODES)]
    parts = [USAGE]
    for mode in MODES:
        own = [f"--{name}" for name in flags_of(mode) if name not in everywhere]
        parts.append(f"{mode}: {ABOUT[mode].splitlines()[0]}")
        parts.append(_indented(" ".join(own)))
    parts.append("of every mode:")
    parts.append(
        _indented(" ".join([f"--{name}" for name in everywhere] + ["--help --version"]))
    )
    return "\n".join(parts)


def _flags(mode: str) -> str:
    lines = []
    for name in flags_of(mode):
        flag = flags.FLAGS[name]
        shown = f"--[no]{name}" if flag.boolean else f"--{name}"
        default = flag.default_unparsed
        known = default not in (None, False) and "efault" not in MEANINGS[name][mode]
        ending = f" Default: {str(default).lower()}." if known else ""
        lines.append(f"  {shown}:")
        lines.append(_indented(f"{MEANINGS[name][mode]}{ending}", 6))
    return "\n".join(lines)


def _indented(text: str, spaces: int = 4) -> str:
    indent = " " * spaces
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
