"""The mode train: trains a network on labelled fields."""

from typing import Any

from absl import flags

from claran.commands import data_flags
from claran.commands.common import say
from claran.commands.outputs import output_folder, refuse_inputs
from claran.fields.batches import Source
from claran.training.session import TrainingSession, train_detector

__all__ = ["train"]

FLAGS = flags.FLAGS


def train() -> None:
    """Trains a model; a training in the output folder resumes."""
    output = output_folder(FLAGS.output)
    refuse_inputs([output / "best.keras", output / "last.keras"], [FLAGS.model])
    session = TrainingSession(
        output=output, model=FLAGS.model, start=FLAGS.start, centered=FLAGS.centered,
        steps=FLAGS.steps, batch_size=FLAGS.batch_size,
        learning_rate=FLAGS.learning_rate, precision=FLAGS.precision,
        nms_threshold=FLAGS.nms_threshold, rpn_nms_threshold=FLAGS.rpn_nms_threshold,
        seed=FLAGS.seed, save_every=FLAGS.save_every,
        validate_every=FLAGS.validate_every, keep_models=FLAGS.keep_models,
        slots=FLAGS.slots, workers=FLAGS.workers,
        # An explicit --device_index selects that device only.
        one_device=FLAGS["device_index"].present > 0,
    )  # fmt: skip
    source, validation = _sources(session)
    result = train_detector(
        session, source, validation, settings={"data": FLAGS.data}, tell=say
    )
    best = result["best"]
    score = f"; mAP {best['validation_map']:.3f} at step {best['step']}" if best else ""
    if best and session.recipe.mean_after is not None:
        score += ", before the mean"
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
