"""Times --mode=survey on simulated mosaics and compares its catalog with the truth.

  python scripts/benchmark_survey.py
  python scripts/benchmark_survey.py --sizes=2048,8192,20000 --workers=0,2
  python scripts/benchmark_survey.py --sizes=20000 --accelerator=gpu --output=survey.md
  python scripts/benchmark_survey.py --sizes=8192 --hosts
  python scripts/benchmark_survey.py --sizes=8192 -- --model=model.keras

Each run is a process of its own. The mosaics are those of scripts/make_mosaic.py and
are kept in --cache. A run on a mosaic of --small pixels comes first and is taken for
the start: imports, the model, the first compilation. Speeds are without it. On a busy
machine CPU seconds say more than those of the clock. Memory is that of the whole
process tree: "private" is what no file holds, "in all" has in addition the pages of
programs and libraries that are mapped, which the system may drop at any time.

With --hosts each mosaic is searched once more, with a table of infrared sources: as
many as in CatWISE2020 at these latitudes, and one at each simulated source.

What comes after "--" is given to the command.
"""

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from absl import app, flags
from astropy.table import Table
from survey_truth import compare

from claran import simulation
from claran.catalog.tables import to_icrs
from claran.io.atomic import replace_file
from claran.io.parallel import cores
from claran.simulation.mosaic_plan import KINDS, MosaicPlan
from claran.simulation.simulated_mosaic import truth_paths, write_mosaic
from claran.sky.mosaics import open_mosaic

FLAGS = flags.FLAGS

FIRST_DEG2 = 10_575.0
CANDIDATES = 45_000  # In a square degree: the mean of CatWISE2020, 1.89e9 in all.
INTERVAL = 0.2  # Seconds between looks at the memory.


def define_flags() -> None:
    """Defines the flags; not at import, where claran's may have the same names."""
    flags.DEFINE_list("sizes", ["2000", "8192"], "Sides of the mosaics, pixels.")
    flags.DEFINE_list("workers", ["0"], "Values of --workers, each for all sizes.")
    flags.DEFINE_integer(
        "small", 300, "Side of the mosaic for the start.", lower_bound=1
    )
    flags.DEFINE_integer("seed", 1, "Seed of the mosaics.", lower_bound=0)
    flags.DEFINE_enum("kind", "sky", KINDS, "Kind of the mosaics.")
    flags.DEFINE_integer("rounds", 1, "Times that each is run; the fastest counts.")
    flags.DEFINE_string("accelerator", "auto", "As in --mode=survey.")
    flags.DEFINE_integer("tile_size", None, "As in --mode=survey; None is its default.")
    flags.DEFINE_string("cache", "~/.cache/claran_mosaics", "Folder of the mosaics.")
    flags.DEFINE_boolean("hosts", False, "Measure what it costs to look for hosts.")
    flags.DEFINE_string("output", None, "Markdown file to write; printed in any case.")


def main(arguments: list[str]) -> None:
    """Runs all sizes and prints the tables."""
    sizes = sorted(int(size) for size in FLAGS.sizes)
    head = f"{platform.node()}, {cores()} cores, --accelerator={FLAGS.accelerator}"
    parts = [f"# --mode=survey on simulated mosaics\n\n{head}\n"]
    for workers in map(int, FLAGS.workers):
        others = [f"--workers={workers}", *arguments[1:]]
        start, *runs = [
            min((time_run(size, others) for _ in rounds()), key=lambda run: run["cpu"])
            for size in (FLAGS.small, *sizes)
        ]
        parts.append(speeds(workers, start, runs))
        parts += [part for run in runs for part in (stages(run), truth(run)) if part]
        parts += [hosts(run, start, others) for run in runs if FLAGS.hosts]
    text = "\n".join(parts)
    if FLAGS.output:
        replace_file(Path(FLAGS.output), lambda path: path.write_text(text, "utf-8"))
    say(text)


def rounds() -> range:
    """Returns a count of the rounds."""
    return range(FLAGS.rounds)


def mosaic(size: int) -> Path:
    """Returns a mosaic of the cache; makes it if it is not there."""
    # Of the simulator as it is now.
    code = hashlib.sha256()
    for module in sorted(Path(simulation.__path__[0]).glob("*.py")):
        code.update(module.read_bytes())
    name = f"{FLAGS.kind}_{size}_{FLAGS.seed}_{code.hexdigest()[:8]}.fits"
    path = Path(FLAGS.cache).expanduser() / name
    if not all(one.exists() for one in (path, *truth_paths(path))):
        say(f"making {path}")
        plan = MosaicPlan(shape=(size, size), seed=FLAGS.seed, kind=FLAGS.kind)
        write_mosaic(plan, path)
    return path


def time_run(size: int, others: list[str]) -> dict[str, Any]:
    """Runs the command on a mosaic; returns seconds, memory and what it wrote."""
    path = mosaic(size)
    command = [sys.executable, "-m", "claran.main", "--mode=survey", f"--radio={path}"]
    command += [f"--accelerator={FLAGS.accelerator}", *others]
    if FLAGS.tile_size:
        command.append(f"--tile_size={FLAGS.tile_size}")
    with tempfile.TemporaryDirectory(prefix="benchmark_survey_") as name:
        folder = Path(name) / "catalog"
        output = Path(name) / "output.txt"
        start = time.monotonic()
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command, f"--output={folder}"], stdout=file, stderr=file
            )
            with Watch(process.pid, folder) as watch:
                status = process.wait()
        seconds = time.monotonic() - start
        if status:
            raise SystemExit(
                f"{' '.join(command)} failed ({status}):\n"
                + output.read_text(errors="replace")[-3000:]
            )
        return {
            "size": size, "deg2": deg2(size), "seconds": seconds,
            "private": watch.private, "total": watch.total,
            "cpu": watch.cpu, "path": path,
            "stages": stage_times(watch.begun, (seconds, watch.cpu)),
            "sources": read_table(folder / "sources"),
            "components": read_table(folder / "components"),
        }  # fmt: skip


def hosts(run: dict[str, Any], start: dict[str, Any], others: list[str]) -> str:
    """Returns what it costs to look for hosts, compared with a run without them."""
    table = f"--ir_catalog={candidates(run['path'])}"
    more = min(
        (time_run(run["size"], [*others, table]) for _ in rounds()),
        key=lambda one: one["cpu"],
    )
    added, found = more["cpu"] - run["cpu"], more["sources"]
    share = added / (more["cpu"] - start["cpu"])
    likely = (np.asarray(found["host_probability"]) > 0.8).mean() if found else 0
    return (
        f"Hosts at {run['size']} px: {added:.1f} CPU s more, "
        f"{added / run['deg2']:.3f} CPU s/deg2, {share:.0%} of the run with them; "
        f"{likely:.0%} of the sources have one with a probability above 0.8.\n\n"
        + stages(more)
    )


def candidates(path: Path) -> Path:
    """Returns a table of infrared sources on a mosaic; makes it if it is not there."""
    table = path.with_name(f"{path.stem}_candidates.fits")
    if table.exists():
        return table
    mosaic = open_mosaic(path, scratch=path.parent)
    assert mosaic.wcs is not None  # noqa: S101 - a simulated one has a WCS.
    rng = np.random.default_rng(FLAGS.seed)
    ny, nx = mosaic.shape
    area = nx * ny * ((mosaic.pixel_arcsec or 0) / 3600) ** 2
    count = round(CANDIDATES * area)
    places = rng.uniform(0, [nx, ny], (count, 2)) - 0.5
    true = Table.read(truth_paths(path)[0])
    ra, dec = (
        np.append(others, np.asarray(true[name]))
        for others, name in zip(to_icrs(mosaic.wcs, places), ("ra", "dec"), strict=True)
    )
    faint = 17.5 - rng.exponential(1.2, count)
    own = rng.normal(15.0, 1.2, len(true))
    made = Table({
        "designation": np.arange(len(ra)).astype(str), "ra": ra, "dec": dec,
        "sigra": np.full(len(ra), 0.3), "sigdec": np.full(len(ra), 0.3),
        "w1mpro": np.append(faint, own),
    })  # fmt: skip
    made.write(table)
    return table


def deg2(size: int) -> float:
    """Returns the area of a mosaic."""
    return MosaicPlan(shape=(size, size)).deg2


def read_table(stem: Path) -> Table | None:
    """Returns a table of the catalog, or None."""
    path = stem.with_suffix(".fits")
    return Table.read(path) if path.exists() else None


def stage_times(
    begun: dict[str, tuple[float, float]], end: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """Returns seconds and CPU seconds of each stage.

    Args:
        begun: Both at the begin of each stage, in order.
        end: Both at the end of the run.
    """
    times = [*begun.values(), end]
    return {
        name: (after[0] - before[0], after[1] - before[1])
        for name, before, after in zip(begun, times, times[1:], strict=False)
    }


class Watch:
    """Context that looks at a process and its children and at the files of the run.

    Attributes:
        private: Peak of the memory that no file holds, bytes.
        total: Peak of all their pages, bytes; shared ones are counted in each process.
        begun: Seconds from the start, and of the CPU, at which each stage was first
            seen, and at which the first file of the catalog was.
    """

    def __init__(self, pid: int, folder: Path) -> None:
        self.private = self.total = 0
        self.begun = {"start": (0.0, 0.0)}
        self._folder, self._start = folder, time.monotonic()
        self._process = psutil.Process(pid)
        self._seconds: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def cpu(self) -> float:
        """Seconds of the CPU that were seen before they ended."""
        return sum(self._seconds.values())

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL):
            self._look_at_files()
            private = total = 0
            for process in self._tree():
                try:
                    # Not `memory_full_info`: it stops the process while it counts its
                    # pages, so that a run took 28 s instead of 17.
                    pages: Any = process.memory_info()
                    times = process.cpu_times()
                except psutil.Error:  # It has ended.
                    continue
                private += pages.rss - getattr(pages, "shared", 0)
                total += pages.rss
                self._seconds[process.pid] = times.user + times.system
            self.private = max(self.private, private)
            self.total = max(self.total, total)

    def _look_at_files(self) -> None:
        seconds = time.monotonic() - self._start
        for path in sorted(self._folder.glob("unfinished/stages/*")):
            self.begun.setdefault(path.name, (seconds, self.cpu))
        if any(self._folder.glob("*.*")):
            self.begun.setdefault("tables and pictures", (seconds, self.cpu))

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return []


def speeds(workers: int, start: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """Returns the table of speeds for a number of workers."""
    lines = [
        f"## --workers={workers}", "",
        f"The start takes {start['seconds']:.1f} s and {start['cpu']:.1f} CPU s.", "",
        "| side, px | deg2 | s | CPU s | s/deg2 | CPU s/deg2 | deg2/s | Mpx/s | "
        "GB private | GB in all |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for run in runs:
        net = max(run["seconds"] - start["seconds"], 1e-3)
        lines.append(
            f"| {run['size']} | {run['deg2']:.2f} | {run['seconds']:.1f} | "
            f"{run['cpu']:.1f} | {net / run['deg2']:.3f} | "
            f"{(run['cpu'] - start['cpu']) / run['deg2']:.3f} | "
            f"{run['deg2'] / net:.2f} | {run['size'] ** 2 / net / 1e6:.1f} | "
            f"{run['private'] / 1e9:.2f} | {run['total'] / 1e9:.2f} |"
        )
    for key, words in ("seconds", "h"), ("cpu", "CPU h"):
        costs = [(run[key] - start[key]) / run["deg2"] for run in runs]
        hours = costs[-1] * FIRST_DEG2 / 3600
        flat = max(costs) / max(min(costs), 1e-9) - 1
        lines += [
            "",
            f"All of FIRST ({FIRST_DEG2:,.0f} deg2) would take {hours:.2f} {words}; "
            f"the cost per deg2 differs by {flat:.0%} between the sizes.",
        ]  # fmt: skip
    return "\n".join([*lines, ""])


def stages(run: dict[str, Any]) -> str:
    """Returns the times of the stages of a run."""
    head = "| stage | s | CPU s |"
    lines = [f"Stages at {run['size']} px:", "", head, "|---|---|---|"]
    lines += [
        f"| {name} | {seconds:.1f} | {cpu:.1f} |"
        for name, (seconds, cpu) in run["stages"].items()
    ]
    return "\n".join([*lines, ""])


def truth(run: dict[str, Any]) -> str:
    """Returns the comparison with the truth, or nothing."""
    if run["components"] is None or run["sources"] is None:
        return ""
    true = [Table.read(path) for path in truth_paths(run["path"])]
    lines = compare(run["sources"], run["components"], *true)
    return "\n".join([f"Catalog at {run['size']} px:", "", *lines, ""])


def say(line: str) -> None:
    """Prints a line of the result."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    define_flags()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    app.run(main)
