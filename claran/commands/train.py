r"""The mode train: trains a network on labelled fields.

The compact network on fields that are simulated for it, or on a data set; and the
original's network with the original's recipe:
  python -m claran.main --mode=train --data=simulated --output=DIR
  python -m claran.main --mode=train --data=rgz/simulated_12k --output=DIR
  python -m claran.main --mode=train --model=claran_v0.1 --data=rgz/d4 --output=DIR

A trained network is fine-tuned to your own classes with your own files, with few steps
at a low learning rate: the network that comes with claran, or one of yours with
--model=DIR/best.keras and without --start:
  python -m claran.main --mode=train --model=claran_first --start=pretrained \
      --data=FOLDER --output=OTHER

DIR then has best.keras, the model to use (the best on the validation fields),
last.keras, log.csv, curves.png, run.json with all settings, and tensorboard
(tensorboard --logdir=DIR). After an interruption the same command resumes from the last
checkpoint, with the same result as without. --steps, --batch_size and --learning_rate
are those of the model unless given; with a batch twice as large, give half as many
steps and a higher rate.
"""

from pathlib import Path
from typing import Any

from absl import flags

from claran.commands import data_flags, model_flags
from claran.commands.common import UsageError, say
from claran.fields.batches import Source
from claran.training.session import TrainingSession, train_detector

__all__ = ["train"]

flags.DEFINE_integer("steps", None, "train: number of steps.", lower_bound=1)
flags.DEFINE_float("learning_rate", None, "train: largest learning rate.")
flags.DEFINE_enum(
    "precision",
    "float32",
    ("float32", "bfloat16"),
    "train: precision of the layers; bfloat16 is faster on GPUs and TPUs. Boxes and "
    "weights are float32 in both.",
)
flags.DEFINE_enum(
    "start",
    "auto",
    ("auto", "pretrained", "imagenet", "random"),
    "train: initial weights of a preset. pretrained: the trained weights that come "
    "with it, to fine-tune them; imagenet: only for claran_v0.1, whose recipe needs "
    "them, a download of 59 MB; auto: imagenet for claran_v0.1, random for "
    "claran_first. A .keras file has its own weights.",
)
flags.DEFINE_integer(
    "save_every", 500, "train: number of steps between checkpoints.", lower_bound=1
)
flags.DEFINE_integer(
    "validate_every",
    2,
    "train: number of checkpoints between validations.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "validation_fields",
    500,
    "train: number of fields to validate on; 0 for none.",
    lower_bound=0,
)
flags.DEFINE_integer(
    "slots", 32, "train: largest number of objects in a field.", lower_bound=1
)
FLAGS = flags.FLAGS

_ = model_flags  # Defines --model, --batch_size and the thresholds.


def train() -> None:
    """Trains a model; a training in the output folder resumes."""
    if not FLAGS.output:
        raise UsageError("Give --output, the folder for the model and its logs.")
    session = TrainingSession(
        output=Path(FLAGS.output), model=FLAGS.model, start=FLAGS.start,
        steps=FLAGS.steps, batch_size=FLAGS.batch_size,
        learning_rate=FLAGS.learning_rate, precision=FLAGS.precision,
        nms_threshold=FLAGS.nms_threshold, rpn_nms_threshold=FLAGS.rpn_nms_threshold,
        seed=FLAGS.seed, save_every=FLAGS.save_every,
        validate_every=FLAGS.validate_every, slots=FLAGS.slots, workers=FLAGS.workers,
        # An explicit --device_index selects that device only.
        one_device=FLAGS["device_index"].present > 0,
    )  # fmt: skip
    try:
        source, validation = _sources(session)
        result = train_detector(
            session, source, validation, settings={"data": FLAGS.data}, tell=say
        )
    except KeyboardInterrupt:
        say(
            "\nStopped. The same command resumes from the last checkpoint in "
            f"{FLAGS.output}."
        )
        raise SystemExit(130) from None
    best = result["best"]
    score = f"; mAP {best['validation_map']:.3f} at step {best['step']}" if best else ""
    say(f"{result['step']} steps{score}: {FLAGS.output}/best.keras")


def _sources(session: TrainingSession) -> tuple[Any, Source | None]:
    """Returns the fields to train on and those to validate on."""
    recipe, number = session.recipe, FLAGS.validation_fields
    if data_flags.are_simulated():
        source = data_flags.simulated_fields(recipe.steps * recipe.batch_size, "train")
        held_out = data_flags.simulated_fields(max(1, number), "validation")
        return source, held_out if number else None
    source = data_flags.labelled_fields("train")
    if not number:
        return source, None
    try:
        held_out = data_flags.labelled_fields("validation", again=True)
    except ValueError as error:  # The data can be read, but have no such split.
        say(f"Note: {error} Training without validation: best.keras is the last model.")
        return source, None
    if len(held_out) > number:
        held_out = data_flags.labelled_fields(f"validation[:{number}]", again=True)
    return source, held_out
