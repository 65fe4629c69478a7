r"""The mode train: a network learns from labelled fields.

A compact network on simulated fields that are made as it learns, or on a data set; and
the original's network with the original's recipe:
  python -m claran.main --mode=train --data=simulated --output=DIR
  python -m claran.main --mode=train --data=rgz/simulated_12k --output=DIR
  python -m claran.main --mode=train --model=claran_v0.1 --data=rgz/d4 --output=DIR

A trained network learns your own classes from your own files; it keeps what it knows
about finding sources. Few steps at a low rate do. It is the one that comes with claran,
or one of yours, --model=DIR/best.keras without --start:
  python -m claran.main --mode=train --model=claran_first --start=pretrained \
      --data=FOLDER --output=OTHER

DIR then holds best.keras, the model to use (the best on the validation fields),
last.keras, log.csv, curves.png, run.json with all that decided the result, and
tensorboard (tensorboard --logdir=DIR). Killed at any moment, the same command goes on
from the last checkpoint and ends where it would have ended. --steps, --batch_size and
--learning_rate are the model's own unless given; a batch twice as large wants half as
many steps at a higher rate.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import keras
from absl import flags

from claran.commands import data_flags as data_sets
from claran.commands import model_flags as detectors
from claran.commands.common import UsageError, say
from claran.detection.engine import Validation, network_inputs
from claran.evaluation.truth import FieldTruth, read_truths, truth_of
from claran.fields.augmentation import AddNoise, DropInfrared, Move
from claran.fields.batches import Source, Transform
from claran.io.atomic import replace_file
from claran.io.parallel import cores
from claran.models.faster_rcnn import FasterRcnn
from claran.models.presets import PRESETS, preset_weights
from claran.simulation.endless import SimulatedFields
from claran.training.calibration import fit_temperature
from claran.training.devices import data_parallel
from claran.training.fine_tuning import with_classes
from claran.training.imagenet import start_from_imagenet
from claran.training.precision import in_precision
from claran.training.recipes import FINE_TUNING, RECIPES, Recipe
from claran.training.trainer import BEST, TrainingOptions
from claran.training.trainer import train as run_training

__all__ = ["calibrate", "train"]

flags.DEFINE_integer("steps", None, "train: batches to learn from.", lower_bound=1)
flags.DEFINE_float("learning_rate", None, "train: its largest value.")
flags.DEFINE_enum(
    "precision",
    "float32",
    ("float32", "bfloat16"),
    "train: of the layers; bfloat16 is faster on GPUs and TPUs. Boxes and weights are "
    "float32 in both.",
)
flags.DEFINE_enum(
    "start",
    "auto",
    ("auto", "pretrained", "imagenet", "random"),
    "train: the weights that a preset begins with. pretrained: those that come with "
    "it, to fine-tune them; imagenet: of claran_v0.1 alone, whose recipe needs it; it "
    "is fetched, 59 MB. auto: imagenet for claran_v0.1, random for claran_first. A "
    ".keras file begins with its own.",
)
flags.DEFINE_integer(
    "save_every", 500, "train: steps between checkpoints.", lower_bound=1
)
flags.DEFINE_integer(
    "validate_every", 2, "train: checkpoints between validations.", lower_bound=1
)
flags.DEFINE_integer(
    "validation_fields", 500, "train: fields to validate on; 0 for none.", lower_bound=0
)
flags.DEFINE_integer("slots", 32, "train: most objects in a field.", lower_bound=1)
FLAGS = flags.FLAGS

CALIBRATED = 100  # Validation fields from which scores are made probabilities.
SAMPLED = 64  # Simulated fields that are looked at to choose the size of the input.


def train() -> None:
    """Trains; a training in the output folder goes on."""
    if not FLAGS.output:
        raise UsageError("Give --output, the folder for the model and its logs.")
    keras.utils.set_random_seed(FLAGS.seed)
    # Who names a device wants that one alone.
    alone = FLAGS["device_index"].present
    batch_size = _recipe().batch_size
    try:
        with contextlib.nullcontext() if alone else data_parallel(batch_size):
            _train()
    except KeyboardInterrupt:
        say(
            "\nStopped. The same command goes on from the last checkpoint in "
            f"{FLAGS.output}."
        )
        raise SystemExit(130) from None


def _train() -> None:
    source, held_out = _sources()
    network = _network(source.class_names)
    recipe = _recipe()
    if recipe.moves == "flip":
        augment: list[Transform] = [Move(flip=0.5, step=360)]
    else:
        augment = _augment(network, source)
    truths = _truths(source)
    settings = {
        "model": FLAGS.model,
        "data": FLAGS.data,
        "fields": len(source),
        "fingerprint": source.fingerprint,
        "validation_fields": 0 if held_out is None else len(held_out),
        "class_names": network.class_names,
        "augment": [repr(transform) for transform in augment],
        "precision": FLAGS.precision,
        "start": _start(),
        "accelerator": jax.default_backend(),
    }
    result = run_training(
        network,
        source,
        network_inputs(network, truths),
        recipe=recipe,
        options=TrainingOptions(
            output=Path(FLAGS.output), seed=FLAGS.seed, save_every=FLAGS.save_every,
            validate_every=FLAGS.validate_every, slots=FLAGS.slots,
            workers=_workers(recipe.steps * recipe.batch_size),
        ),
        augment=augment,
        validate=_validation(network, held_out),
        settings=settings,
        tell=say,
    )  # fmt: skip
    if held_out is not None and len(held_out) >= CALIBRATED:
        calibrate(Path(FLAGS.output) / BEST, held_out, batch_size=recipe.batch_size)
    best = result["best"]
    score = f"; mAP {best['validation_map']:.3f} at step {best['step']}" if best else ""
    say(f"{result['step']} steps{score}: {FLAGS.output}/best.keras")


def _truths(source: Any) -> list[FieldTruth]:
    """Returns what the size of the input depends on; says if a field does not fit.

    Simulated fields are of few sizes, in turn. Of others the last may be the largest.
    """
    if isinstance(source, SimulatedFields):
        return [truth_of(source[i]) for i in range(min(len(source), SAMPLED))]
    truths = read_truths(source, workers=FLAGS.workers)
    fullest = max(truths, key=lambda truth: len(truth.labels))
    if len(fullest.labels) > FLAGS.slots:
        raise UsageError(
            f"{fullest.name}: has {len(fullest.labels)} objects, more than --slots="
            f"{FLAGS.slots}; give --slots={len(fullest.labels)}."
        )
    return truths


def _sources() -> tuple[Any, Source | None]:
    """Returns the fields to train on and those to validate on."""
    recipe = _recipe()
    number = FLAGS.validation_fields
    if data_sets.are_simulated():
        source = data_sets.simulated_fields(recipe.steps * recipe.batch_size, "train")
        held_out = data_sets.simulated_fields(max(1, number), "validation")
        return source, held_out if number else None
    source = data_sets.labelled_fields("train")
    if not number:
        return source, None
    try:
        held_out = data_sets.labelled_fields("validation")
    except ValueError as error:  # The data can be read, as those to train on were.
        say(f"Note: {error} Trains without: best.keras will be the last.")
        return source, None
    if len(held_out) > number:
        held_out = data_sets.labelled_fields(f"validation[:{number}]")
    return source, held_out


def _network(class_names: tuple[str, ...]) -> FasterRcnn:
    """Returns the network to train, for these classes."""
    start = _start()
    if start == "pretrained":
        network = detectors.load_detector().model
        network.detections.temperature = 1.0  # Fitted anew when it has learned.
    else:
        network = PRESETS[FLAGS.model](class_names=class_names)
        if start == "imagenet":
            start_from_imagenet(network)
    if list(class_names) != network.class_names:
        say(
            f"{FLAGS.model}: new heads for the classes {', '.join(class_names)}; it "
            f"had {', '.join(network.class_names)}."
        )
        network = with_classes(network, class_names)
    half = FLAGS.precision == "bfloat16"
    return in_precision(network, "mixed_bfloat16" if half else "float32")


def _start() -> str:
    """Returns what a training begins with: "pretrained", "imagenet" or "random".

    Raises:
        UsageError: The model cannot begin with that.
    """
    model, start = FLAGS.model, FLAGS.start
    if model not in PRESETS:
        if start != "auto":
            raise UsageError(
                f"--start={start} is for a preset ({', '.join(PRESETS)}); {model} "
                "begins with its own weights: leave --start out."
            )
        return "pretrained"
    if start == "auto":
        return "imagenet" if model == "claran_v0.1" else "random"
    if start == "imagenet" and model != "claran_v0.1":
        raise UsageError(
            f"--start=imagenet is for claran_v0.1, {model} has no VGG16; give "
            "--start=pretrained or --start=random."
        )
    if start == "pretrained" and preset_weights(model) is None:
        raise UsageError(
            f"{model} comes without weights to begin with; give the path of a trained "
            "model as --model, or another --start."
        )
    return start


def _recipe() -> Recipe:
    """Returns the recipe of the model, changed by the flags."""
    names = ("steps", "batch_size", "learning_rate")
    given = {name: FLAGS[name].value for name in names}
    # A recipe of a preset is to train it from nothing.
    recipe = FINE_TUNING if _start() == "pretrained" else RECIPES[FLAGS.model]
    return dataclasses.replace(
        recipe, **{name: value for name, value in given.items() if value is not None}
    )


def _augment(network: FasterRcnn, source: Any) -> list[Transform]:
    # Of a source in a picture nobody knows the outline: quarter turns are exact.
    if not source.has_radio:
        return [Move(shift=8, step=90)]
    # Simulated fields never come twice.
    endless = isinstance(source, SimulatedFields)
    augment: list[Transform] = [] if endless else [Move(shift=8), AddNoise()]
    if network.fusion == "channels":
        augment.append(DropInfrared(probability=0.5))
    return augment


def calibrate(path: Path, fields: Source, *, batch_size: int = 16) -> None:
    """Makes the scores of a saved model probabilities, unless they are already.

    Args:
        path: The model.
        fields: Fields it was not trained on.
        batch_size: Fields at once.
    """
    model: Any = keras.saving.load_model(path, compile=False)
    if model.detections.temperature != 1 or jax.process_index() > 0:
        return
    truths = read_truths(fields)
    inputs = network_inputs(model, truths)
    temperature = fit_temperature(model, fields, truths, inputs, batch_size=batch_size)
    replace_file(path, model.save)
    say(f"Scores are probabilities at a temperature of {temperature}.")


def _validation(
    network: FasterRcnn, held_out: Source | None
) -> Callable[[FasterRcnn], float] | None:
    if held_out is None:
        return None
    validation = Validation(network, held_out, batch_size=_recipe().batch_size)
    return lambda _: validation()


def _workers(fields: int) -> int:
    """Returns the processes that make batches, for so many fields in all."""
    if FLAGS.workers is not None:
        return FLAGS.workers
    # A process takes seconds to start; until then a thread has made these.
    return 0 if fields < SAMPLED else max(1, min(8, cores() - 1))
