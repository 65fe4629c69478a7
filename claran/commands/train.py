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
tensorboard (tensorboard --logdir=DIR). Interrupted at any moment, the same command
resumes from the last checkpoint and ends where it would have ended. --steps,
--batch_size and --learning_rate are the model's own unless given; a batch twice as
large wants half as many steps at a higher rate.
"""

from pathlib import Path
from typing import Any

from absl import flags

from claran.commands import data_flags, model_flags
from claran.commands.common import UsageError, say
from claran.fields.batches import Source
from claran.training.session import TrainingSession, train_detector

__all__ = ["train"]

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

_ = model_flags  # Defines --model, --batch_size and the thresholds.


def train() -> None:
    """Trains; a training in the output folder resumes."""
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
        held_out = data_flags.labelled_fields("validation")
    except ValueError as error:  # The data can be read, as those to train on were.
        say(f"Note: {error} Trains without: best.keras will be the last.")
        return source, None
    if len(held_out) > number:
        held_out = data_flags.labelled_fields(f"validation[:{number}]")
    return source, held_out
