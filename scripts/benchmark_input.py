"""Measures how many fields a second the input pipeline makes: `--help` for options.

  python scripts/benchmark_input.py
  python scripts/benchmark_input.py --data=DIR/rgz/simulated_12k/1.2.0
  python scripts/benchmark_input.py --step

Prints one row for each network input and number of worker processes. The first batches,
in which the workers start, are not counted. With --step it compares instead what two
processes feed each preset, augmented as in its training, with what its training step
takes on this machine, measured after one another.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from claran.data.sources import open_source
from claran.fields.augmentation import AddNoise, DropInfrared, Move
from claran.fields.batches import PipelineOptions, Source, Transform, training_batches
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.preprocessing import Preprocessor
from claran.simulation.endless import SimulatedFields

flags.DEFINE_string("data", None, "Data with labels; without it, simulated fields.")
flags.DEFINE_integer("fields", 200, "Simulated fields, in memory.", lower_bound=1)
flags.DEFINE_float("seconds", 5.0, "Time to measure each row for.")
flags.DEFINE_integer("batch_size", 8, "Fields in a batch.", lower_bound=1)
flags.DEFINE_multi_integer("workers", [0, 1, 2], "Worker processes.")
flags.DEFINE_boolean("step", False, "Compare with the training steps of the presets.")
FLAGS = flags.FLAGS

SAMPLED = 64  # Fields that are looked at for the size of the batches.
INPUTS: dict[str, Preprocessor] = {
    "D4, 600 px": Picture(image_size=600),
    "D4, 132 px": Picture(image_size=132),
    "channels, 132 px": Channels(beam_pixels=None, image_size=132),
}


def augmentation(preprocessor: Preprocessor) -> list[Transform]:
    """Returns what training with the modern recipe does to its fields."""
    drop = [DropInfrared()] if isinstance(preprocessor, Channels) else []
    return [Move(shift=8), AddNoise(), *drop]


def input_size(source: Source, preprocessor: Preprocessor) -> tuple[int, int]:
    """Returns rows and columns of batches that hold the first fields of a source."""
    fields = (source[i] for i in range(min(SAMPLED, len(source))))
    rows, columns = zip(*(preprocessor.shape(field) for field in fields), strict=True)
    return preprocessor.size(max(rows), max(columns))


def rate(
    source: Source,
    preprocessor: Preprocessor,
    augment: Sequence[Transform],
    *,
    workers: int,
) -> float:
    """Returns fields a second."""
    options = PipelineOptions(
        batch_size=FLAGS.batch_size, workers=workers,
        size=input_size(source, preprocessor),
    )  # fmt: skip
    with training_batches(
        source, preprocessor, augment=augment, options=options
    ) as batches:
        for _ in range(2 + 4 * workers):
            next(batches)
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < FLAGS.seconds:
            next(batches)
            count += FLAGS.batch_size
    return count / passed


def step_rate(source: Source, model: Any, preset: str) -> float:
    """Returns fields a second of a preset's training step, on one batch in memory."""
    # Not at the top: these bring JAX, which the worker processes must not have.
    import jax  # noqa: PLC0415

    from claran.training.joint import JointTraining  # noqa: PLC0415
    from claran.training.recipes import RECIPES  # noqa: PLC0415

    recipe = RECIPES[preset]
    joint = JointTraining(model.network, rpn=recipe.rpn, head=recipe.head)
    joint.compile(optimizer=recipe.make_optimizer())
    options = PipelineOptions(
        batch_size=recipe.batch_size, size=input_size(source, model.preprocessor)
    )
    with training_batches(source, model.preprocessor, options=options) as batches:
        batch: Any = dict(next(batches))
    del batch["names"]
    joint.train_on_batch(batch)  # Compiles.
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < FLAGS.seconds or count < 3:
        jax.block_until_ready(joint.train_on_batch(batch))
        count += 1
    return count * recipe.batch_size / passed


def compare(source: Source) -> None:
    """Prints, for each preset, the speed of its input, of its step, and their ratio."""
    from claran import accelerator  # noqa: PLC0415 - as above
    from claran.detection.presets import PRESETS  # noqa: PLC0415
    from claran.training.recipes import RECIPES  # noqa: PLC0415

    accelerator.use_accelerator("cpu")
    print(f"{'preset':<14}{'input':>9}{'step':>9}{'ratio':>8}", flush=True)  # noqa: T201
    for preset, make in PRESETS.items():
        model = make()
        flip = RECIPES[preset].moves == "flip"
        augment = [Move(step=360)] if flip else augmentation(model.preprocessor)
        fed = rate(source, model.preprocessor, augment, workers=2)
        trained = step_rate(source, model, preset)
        print(  # noqa: T201
            f"{preset:<14}{fed:>9.1f}{trained:>9.2f}{fed / trained:>8.1f}", flush=True
        )


def main(_: list[str]) -> None:
    """Prints the table."""
    if FLAGS.data:
        source = open_source(FLAGS.data, "train")
    else:
        simulated = SimulatedFields(FLAGS.fields)
        source = [simulated[i] for i in range(len(simulated))]
    where = FLAGS.data or "in memory"
    if FLAGS.step:
        compare(source)
        return
    print(f"{len(source)} fields ({where}), {os.cpu_count()} cores; fields a second:")  # noqa: T201
    print(f"{'input':<18}{'workers':>8}{'plain':>9}{'augmented':>11}")  # noqa: T201
    for name, preprocessor in INPUTS.items():
        for workers in FLAGS.workers:
            plain, augmented = (
                rate(source, preprocessor, augment, workers=workers)
                for augment in ([], augmentation(preprocessor))
            )
            print(f"{name:<18}{workers:>8}{plain:>9.0f}{augmented:>11.0f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    app.run(main)
