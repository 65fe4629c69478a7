"""Gives claran damaged files and flags, and reports what it does wrong: `--help`.

  python scripts/fuzz.py
  python scripts/fuzz.py --kinds=headers,compressed --count=2000 --seed=7
  python scripts/fuzz.py --minutes=60 --keep=failures
  python scripts/fuzz.py --seed=7 --only=headers:123

Every input follows from --seed, its kind and its number, and is tried in a process of
its own kin: 10,000 take about ten minutes on two cores. Right is a good answer, or an
error of one line that names the file or flag. Wrong are a traceback, a crash, over 20 s
or 3 GB, a warning, and nonsense: a box outside of the image or without a size, a
number that is not finite, a position that is not on the sky. Each wrong answer is
printed once for each place in claran, with the command that repeats it. The exit status
is 1 if there is any.

Kinds: fits (bytes and pixels of FITS), headers (cards), compressed (.gz and tiles),
pictures (PNG, JPEG, TIFF), tables (detections for --predictions), annotations (CSV,
COCO, VOC), models (.keras), flags (command lines); planted has faults that must be
found.
"""

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from fuzzing.workers import Limits, Tried, try_all
from tqdm.auto import tqdm

SHARES = {
    "fits": 20, "headers": 28, "compressed": 14, "pictures": 8, "tables": 10,
    "annotations": 12, "models": 1, "flags": 7,
}  # fmt: skip
"""Inputs of each kind in a hundred."""

# Of its own, as claran's flags are tried in the same process.
FLAGS = flags.FlagValues()

flags.DEFINE_integer("seed", 0, "Seed of all inputs.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_integer(
    "count", 1000, "Number of inputs.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_float(
    "minutes", None, "Time to go on for, instead of --count.", flag_values=FLAGS
)
flags.DEFINE_list(
    "kinds", list(SHARES), "Kinds of input; see above.", flag_values=FLAGS
)
flags.DEFINE_list(
    "only",
    None,
    "Inputs as KIND:NUMBER, reported with the whole traceback.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "first", 0, "Number of the first input of each kind, to go on.", flag_values=FLAGS
)
flags.DEFINE_string(
    "keep", None, "Folder for the files of inputs that fail.", flag_values=FLAGS
)
flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float("seconds", 20.0, "Time that an input may take.", flag_values=FLAGS)
flags.DEFINE_float(
    "memory_gb", 3.0, "Memory that a process may take.", flag_values=FLAGS
)


def plan(kinds: Sequence[str], count: int | None, first: int) -> Iterator[Any]:
    """Yields kind and number of inputs, the kinds mixed; None is without end."""
    numbers = {kind: itertools.count(first) for kind in kinds}
    shares = {kind: SHARES.get(kind, 1) for kind in kinds}
    turns = [(i / share, kind) for kind, share in shares.items() for i in range(share)]
    for _, kind in itertools.islice(itertools.cycle(sorted(turns)), count):
        yield kind, next(numbers[kind])


def repeat_command(seed: int, kind: str, number: int) -> str:
    """Returns the command that tries an input again."""
    return f"python scripts/fuzz.py --seed={seed} --only={kind}:{number}"


def report(seed: int, tried: Tried, *, full: bool = False) -> str:
    """Returns what is wrong with the answer to an input, and how to repeat it."""
    failure: Any = tried.failure
    lines = [f"{failure.what} in {failure.where}: {failure.message}"]
    lines += [f"  input: {failure.note}"] if failure.note else []
    lines.append(f"  again: {repeat_command(seed, tried.kind, tried.number)}")
    return "\n".join([*lines, failure.details] if full else lines)


def keep(folder: Path, seed: int, tried: Tried) -> None:
    """Writes the files of an input, and what is wrong with its answer."""
    from fuzzing import tools, trials  # noqa: PLC0415 - takes 3 s

    place = folder / f"{tried.kind}_{seed}_{tried.number}"
    case = trials.make_case(seed, tried.kind, tried.number)
    text = report(seed, tried, full=True).encode()
    tools.write({**case.files, "failure.txt": text}, place)


def until(end: float | None, jobs: Iterator[Any]) -> Iterator[Any]:
    """Yields jobs until a time."""
    for job in jobs:
        if end is not None and time.monotonic() > end:
            return
        yield job


def main() -> int:
    """Tries the inputs; returns the exit status."""
    count = None if FLAGS.minutes else FLAGS.count
    end = time.monotonic() + 60 * FLAGS.minutes if FLAGS.minutes else None
    jobs = until(end, plan(FLAGS.kinds, count, FLAGS.first))
    if FLAGS.only:
        named = [text.partition(":") for text in FLAGS.only]
        jobs, count = iter([(kind, int(n)) for kind, _, n in named]), len(named)
    limits = Limits(seconds=FLAGS.seconds, memory_gb=FLAGS.memory_gb)
    found: dict[tuple[str, str], int] = {}
    tried = try_all(
        FLAGS.seed, jobs, workers=FLAGS.workers, limits=limits,
        warm="planted" not in (FLAGS.only or FLAGS.kinds)[0],
    )  # fmt: skip
    number, slowest = 0, Tried(kind="", number=0, seconds=0.0, failure=None)
    for one in tqdm(tried, "Trying", count, unit="input", disable=None):
        number += 1
        slowest = max(slowest, one, key=lambda tried: tried.seconds)
        failure: Any = one.failure
        if failure is None:
            continue
        place = failure.what, failure.where
        found[place] = found.get(place, 0) + 1
        if found[place] == 1:
            tqdm.write(report(FLAGS.seed, one, full=bool(FLAGS.only)), file=sys.stdout)
            sys.stdout.flush()
        if FLAGS.keep:
            keep(Path(FLAGS.keep), FLAGS.seed, one)
    print(  # noqa: T201
        f"{number} inputs, {sum(found.values())} failures in {len(found)} places."
    )
    for (what, where), times in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{times:6d} {what} in {where}")  # noqa: T201
    print(  # noqa: T201
        f"The slowest took {slowest.seconds:.1f} s: "
        f"{repeat_command(FLAGS.seed, slowest.kind, slowest.number)}"
    )
    return 1 if found else 0


def parse_flags(arguments: list[str]) -> None:
    """Parses the flags; ends the process for `--help` or an invalid flag."""
    if "--help" in arguments:
        print(f"{__doc__}\n{FLAGS.get_help()}")  # noqa: T201
        sys.exit(0)
    try:
        FLAGS(arguments)
    except flags.Error as error:
        sys.exit(f"{error}; see --help.")


if __name__ == "__main__":
    parse_flags(sys.argv)
    sys.exit(main())
