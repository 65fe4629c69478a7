"""Kills --mode=survey at random moments and compares the files of the run after it.

  python scripts/kill_survey.py --trials=50
  python scripts/kill_survey.py --trials=20 --workers=2 --signals=KILL --kills=3
  python scripts/kill_survey.py --radio=M.fits --tile_size=512 --keep=failures

Two runs are left alone. In each trial a run of the same command is begun in a new
folder, ended by a signal at a random moment of the undisturbed time, --kills times in a
row, and then run to its end. All files must have the bytes of the undisturbed runs, and
no process may survive the one that was killed. In provenance.json the times of the run
do not count. Each trial is printed; the exit status is 1 if one fails. The moments
follow from --seed; what they hit, also from the machine.

What comes after "--" is given to the command.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil
from absl import app, flags

from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.simulated_mosaic import write_mosaic

SIGNALS = ("KILL", "INT", "TERM")

FLAGS = flags.FLAGS

MARK = "CLARAN_KILL_SURVEY"
GRACE = 20.0  # Seconds in which all processes of a run that is killed must have ended.


def define_flags() -> None:
    """Defines the flags; not at import, where claran's may have the same names."""
    flags.DEFINE_string(
        "radio", None, "Mosaics to search; default: one that is simulated."
    )
    flags.DEFINE_integer("size", 2048, "Side of the simulated mosaic.", lower_bound=1)
    flags.DEFINE_integer("trials", 10, "Number of trials.", lower_bound=1)
    flags.DEFINE_integer(
        "seed", 0, "Seed of the moments and of the mosaic.", lower_bound=0
    )
    flags.DEFINE_integer("kills", 1, "Kills in each trial.", lower_bound=1)
    flags.DEFINE_multi_enum("signals", SIGNALS, SIGNALS, "Signals, used in turn.")
    flags.DEFINE_integer("workers", 0, "As in --mode=survey.", lower_bound=0)
    flags.DEFINE_integer("tile_size", 512, "As in --mode=survey.", lower_bound=1)
    flags.DEFINE_float("first_moment", 0.0, "Fraction of the undisturbed time to skip.")
    flags.DEFINE_list("ignore", [], "Names of files that may differ.")
    flags.DEFINE_string("keep", None, "Folder for the files of trials that failed.")


def main(arguments: list[str]) -> int:
    """Runs the trials; returns the exit status."""
    rng = random.Random(FLAGS.seed)
    with tempfile.TemporaryDirectory(prefix="kill_survey_") as name:
        work = Path(name)
        command = survey_command(work, arguments[1:])
        for folder in work / "cold", work / "alone":  # The first fills the caches.
            start = time.monotonic()
            status, _ = run(command, folder)
            if status:
                say(f"the undisturbed run failed ({status}):\n{tail(folder)}")
                return 1
            seconds = time.monotonic() - start
        expected = hashes(work / "alone")
        wrong = differences(hashes(work / "cold"), expected, FLAGS.ignore)
        say(f"undisturbed: {seconds:.1f} s, {len(expected)} files")
        if wrong:
            say(f"two undisturbed runs differ: {'; '.join(wrong)}")
            return 1
        failed = 0
        for number in range(FLAGS.trials):
            folder = work / f"trial{number:03d}"
            kills = [
                (
                    FLAGS.signals[(number + count) % len(FLAGS.signals)],
                    seconds * rng.uniform(FLAGS.first_moment, 1),
                )
                for count in range(FLAGS.kills)
            ]
            faults = trial(number, command, folder, kills)
            faults += differences(expected, hashes(folder), FLAGS.ignore)
            say(f"{number}: " + ("; ".join(faults) if faults else "same files"))
            failed += bool(faults)
            if faults and FLAGS.keep:
                shutil.copytree(folder, Path(FLAGS.keep) / folder.name)
            shutil.rmtree(folder, ignore_errors=True)
    say(f"{FLAGS.trials - failed} of {FLAGS.trials} trials ended with the same files")
    return int(failed > 0)


def trial(
    number: int, command: list[str], folder: Path, kills: list[tuple[str, float]]
) -> list[str]:
    """Kills runs of the command and lets the last one end; returns what was wrong."""
    faults = []
    for name, moment in kills:
        status, left = run(command, folder, moment, name)
        what = last(folder) if status else ", it had ended"
        say(f"{number}: {name} at {moment:.2f} s: status {status}{what}")
        faults += [f"survived: {process}" for process in left]
    status, _ = run(command, folder)
    if status:
        faults.append(f"the run after it failed ({status}): {tail(folder)}")
    return faults


def survey_command(work: Path, others: list[str]) -> list[str]:
    """Returns the command without its --output."""
    radio = FLAGS.radio
    if radio is None:
        radio = str(work / "M.fits")
        plan = MosaicPlan(shape=(FLAGS.size, FLAGS.size), seed=FLAGS.seed)
        write_mosaic(plan, Path(radio))
    command = [sys.executable, "-m", "claran.main", "--mode=survey", f"--radio={radio}"]
    command += [f"--workers={FLAGS.workers}", f"--tile_size={FLAGS.tile_size}"]
    return command + others


def run(
    command: list[str], folder: Path, moment: float | None = None, name: str = "KILL"
) -> tuple[int, list[str]]:
    """Runs the command and perhaps ends it; returns its status and what survived.

    Args:
        command: The command without its output.
        folder: Output folder. What the command prints goes beside it.
        moment: Seconds after which it is ended, if it still runs; None for never.
        name: Name of the signal.
    """
    mark = uuid.uuid4().hex
    with log(folder).open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--output={folder}"],
            env=os.environ | {MARK: mark},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.Signals[f"SIG{name}"])
    left = end_marked(mark) if moment is not None else []
    return process.wait(), left


def end_marked(mark: str) -> list[str]:
    """Waits for processes with a mark in their environment; ends and returns the last.

    Resource trackers of Python end on their own once their parent is gone.
    """
    deadline = time.monotonic() + GRACE
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    found = []
    for process in left:
        try:
            found.append(" ".join(process.cmdline())[:200])
            process.kill()
        except psutil.Error:  # It ended by itself.
            continue
    return found


def marked(mark: str) -> list[psutil.Process]:
    """Returns the processes that carry a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):  # Ended, or of another user.
            continue
    return found


def hashes(folder: Path) -> dict[str, str]:
    """Returns the hash of each file of a folder, by its name."""
    return {
        path.relative_to(folder).as_posix(): _hash(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _hash(path: Path) -> str:
    content = path.read_bytes()
    if path.name == "provenance.json":  # Its "run" says when and where it was.
        kept = {k: v for k, v in json.loads(content).items() if k != "run"}
        content = json.dumps(kept).encode()
    return hashlib.sha256(content).hexdigest()


def differences(
    expected: dict[str, str], found: dict[str, str], ignored: Sequence[str] = ()
) -> list[str]:
    """Returns a sentence for each file that is missing, new or different."""
    return [
        f"{name} " + ("is missing" if name not in found else "is new or differs")
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name) and name not in ignored
    ]


def log(folder: Path) -> Path:
    """Returns the file of what a run printed."""
    return folder.with_name(f"{folder.name}.log")


def tail(folder: Path) -> str:
    """Returns the end of what the last run printed."""
    return log(folder).read_text(errors="replace")[-2000:]


def last(folder: Path) -> str:
    """Returns the last line that a run printed, to follow other words."""
    lines = tail(folder).replace("\r", "\n").strip().splitlines()
    return f", {lines[-1][:160]!r}" if lines else ""


def say(line: str) -> None:
    """Prints a line of the result."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    define_flags()
    app.run(main)
