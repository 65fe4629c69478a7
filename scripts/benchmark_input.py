"""Measures how many fields a second the input pipeline makes: `--help` for options.

  python scripts/benchmark_input.py
  python scripts/benchmark_input.py --data=DIR/rgz/simulated_12k/1.1.0

Prints one row for each network input and number of worker processes. The first batches,
in which the workers start, are not counted.
"""

import os
import time

import numpy as np
from absl import app, flags

from claran.data.augment import AddNoise, DropInfrared, Move
from claran.data.elements import Element
from claran.data.inputs import Channels, Inputs, Picture
from claran.data.pipeline import PipelineOptions, Source, training_batches
from claran.data.sources import open_source
from claran.labels import RGZ_CLASSES
from claran.simulation.field import simulate
from claran.simulation.infrared import picture
from claran.simulation.survey import FIRST

flags.DEFINE_string("data", None, "Data with labels; without it, simulated fields.")
flags.DEFINE_integer("fields", 200, "Simulated fields, in memory.", lower_bound=1)
flags.DEFINE_float("seconds", 5.0, "Time to measure each row for.")
flags.DEFINE_integer("batch_size", 8, "Fields in a batch.", lower_bound=1)
flags.DEFINE_multi_integer("workers", [0, 1, 2], "Worker processes.")
FLAGS = flags.FLAGS

INPUTS: dict[str, Inputs] = {
    "D4, 600 px": Picture(size=600),
    "D4, 132 px": Picture(size=132),
    "channels, 132 px": Channels(size=132),
}


def simulated(seed: int) -> Element:
    """Returns a simulated field, as `claran.data.records` would from a data set."""
    field = simulate(np.random.default_rng(seed), survey=FIRST)
    codes = {code: label for label, code in enumerate(RGZ_CLASSES, start=1)}
    boxes = np.array([source.box for source in field.sources], np.float32)
    return Element(
        name=f"SIM{seed:07d}",
        radio=field.radio,
        noise=field.sigma,
        beam=FIRST.beam_arcsec / FIRST.pixel_arcsec,
        infrared=np.ascontiguousarray(picture(field.infrared)[::-1]),
        boxes=boxes.reshape(-1, 4),
        labels=np.array([codes.get(s.code, 0) for s in field.sources], np.int32),
        ignored=np.array([source.ignore for source in field.sources], bool),
    )


def rate(source: Source, inputs: Inputs, *, workers: int, augmented: bool) -> float:
    """Returns fields a second."""
    augment = [Move(shift=8), AddNoise()] if augmented else []
    if augmented and isinstance(inputs, Channels):
        augment.append(DropInfrared())
    options = PipelineOptions(batch_size=FLAGS.batch_size, workers=workers)
    with training_batches(source, inputs, augment=augment, options=options) as batches:
        for _ in range(2 + 4 * workers):
            next(batches)
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < FLAGS.seconds:
            next(batches)
            count += FLAGS.batch_size
    return count / passed


def main(_: list[str]) -> None:
    """Prints the table."""
    if FLAGS.data:
        source = open_source(FLAGS.data, "train")
    else:
        source = [simulated(seed) for seed in range(FLAGS.fields)]
    where = FLAGS.data or "in memory"
    print(f"{len(source)} fields ({where}), {os.cpu_count()} cores; fields a second:")  # noqa: T201
    print(f"{'input':<18}{'workers':>8}{'plain':>9}{'augmented':>11}")  # noqa: T201
    for name, inputs in INPUTS.items():
        for workers in FLAGS.workers:
            plain, augmented = (
                rate(source, inputs, workers=workers, augmented=flag)
                for flag in (False, True)
            )
            print(f"{name:<18}{workers:>8}{plain:>9.0f}{augmented:>11.0f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    app.run(main)
