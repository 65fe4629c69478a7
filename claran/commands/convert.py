"""The mode convert: makes a model of a checkpoint of the original or an old model."""

from absl import flags

from claran.commands.common import UsageError, say
from claran.commands.outputs import output_file, refuse_inputs
from claran.detection.detection_model import DetectionModel
from claran.detection.loading import convert_old_model, save_model
from claran.detection.presets import import_claran

__all__ = ["convert"]

FLAGS = flags.FLAGS


def convert() -> None:
    """Writes a checkpoint of the original, or an old model, as a `.keras` file."""
    output = output_file("model.keras")
    if output.suffix != ".keras":
        raise UsageError(f"--output must end in .keras, got {output}.")
    refuse_inputs([output], [FLAGS.old_model] if FLAGS.old_model else [])
    model = _import() if FLAGS.tf_checkpoint else convert_old_model(FLAGS.old_model)
    save_model(model, output)
    say(
        f"{model.count_params():,} weights, classes {', '.join(model.class_names)}, "
        f"{model.preprocessor}: {output}"
    )


def _import() -> DetectionModel:
    return import_claran(
        FLAGS.tf_checkpoint,
        class_names=FLAGS.class_names,
        method=FLAGS.fusion,
        image_size=FLAGS.image_size,
        anchor_scales=FLAGS.anchor_scales,
        anchor_ratios=FLAGS.anchor_ratios,
    )
