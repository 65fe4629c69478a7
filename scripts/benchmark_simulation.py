"""Times the simulator on all cores: bare, and as the data set makes its fields.

Bare fields stay in the process that drew them; time of the CPU is given as well, as it
does not depend on what else the machine does. Examples are encoded and handed to one
process. `prepare` writes them, as `--mode=prepare` does. Last come the steps of a field
and their shares of its time, which say what another device could take over.

Run as `python scripts/benchmark_simulation.py`.
"""

import cProfile
import importlib
import itertools
import multiprocessing
import pstats
import tempfile
import time
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from absl import app, flags

from claran.io.parallel import cores, parallel_map
from claran.simulation import artifacts, field_noise, populations, selection
from claran.simulation import infrared_sky as infrared
from claran.simulation import rgz_labels as labels
from claran.simulation.simulated_field import simulate

flags.DEFINE_integer("num", 1000, "Fields to time.", lower_bound=1)
FLAGS = flags.FLAGS

WARM_UP = 100  # Fields while the processes start and fill their caches.
POPULATIONS = {"balanced": populations.BALANCED, "catalogue": populations.CATALOG}
# By what they do: arithmetic on whole images, or decisions about one source.
STEPS = {
    "draw sources until they have their class": selection.draw_of_class,
    "label": labels.label,
    "noise": field_noise.draw_noise,
    "stripes": artifacts.draw_stripes,
    "sidelobes": artifacts.draw_sidelobes,
    "infrared": infrared.draw_infrared,
}
SPLITS = {"balanced": "train", "catalogue": "test"}


def main(_: list[str]) -> None:
    """Prints fields a second of each population, and of the whole preparation."""
    make_example = importlib.import_module("claran_rgz.simulated").make_example
    prepare = importlib.import_module("claran_rgz.prepare").prepare
    context = multiprocessing.get_context("fork")
    for name, split in SPLITS.items():
        numbers = range(WARM_UP + FLAGS.num)
        with context.Pool(cores(), cv2.setNumThreads, (1,)) as pool:
            places = [(name, number) for number in numbers]
            bare, times = rate(pool.imap_unordered(draw, places, chunksize=10))
        made, _examples = rate(
            parallel_map(make_example, [(split, number) for number in numbers])
        )
        milliseconds = 1e3 * sum(times) / len(times)
        say(f"{name}: bare {bare:.0f} ({milliseconds:.2f} ms CPU), examples {made:.0f}")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        builder = prepare("rgz/simulated_1k", data_dir=folder)
        count = sum(split.num_examples for split in builder.info.splits.values())
        say(f"prepare, start included: {count / (time.perf_counter() - start):.0f}")
    for step, share in shares(FLAGS.num).items():
        print(f"{share:6.1%}  {step}", flush=True)  # noqa: T201


def draw(place: tuple[str, int]) -> float:
    """Draws a field and returns how many seconds of the CPU that took."""
    name, number = place
    start = time.process_time()
    simulate(np.random.default_rng(number), population=POPULATIONS[name])
    return time.process_time() - start


def shares(count: int) -> dict[str, float]:
    """Returns the share of each step in the time of balanced fields, by a profiler."""
    profile = cProfile.Profile()
    profile.enable()
    for number in range(count):
        simulate(np.random.default_rng(number), population=populations.BALANCED)
    profile.disable()
    entries: Any = vars(pstats.Stats(profile))["stats"]
    times = {key[2]: float(entry[3]) for key, entry in entries.items()}
    every = times[simulate.__name__]
    found = {step: times[run.__name__] / every for step, run in STEPS.items()}
    return found | {"everything else": 1 - sum(found.values())}


def rate(results: Iterable) -> tuple[float, list]:
    """Returns how many results come a second once the processes are warm, and these."""
    results = iter(results)
    for _result in itertools.islice(results, WARM_UP):
        pass
    start = time.perf_counter()
    kept = [result if isinstance(result, float) else None for result in results]
    return len(kept) / (time.perf_counter() - start), kept


def say(line: str) -> None:
    """Prints a line of the result."""
    print(f"{line} fields/s on {cores()} cores", flush=True)  # noqa: T201


if __name__ == "__main__":
    app.run(main)
