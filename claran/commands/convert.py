r"""The mode convert: makes a model of a checkpoint of the original or of an old model.

A checkpoint of the original ClaRAN:
  python -m claran.main --mode=convert --tf_checkpoint=VGGnet_fast_rcnn-80000 \
      --output=model.keras

A model saved by claran before it saved complete detectors:
  python -m claran.main --mode=convert --old_model=best.keras --output=model.keras
"""

from pathlib import Path

from absl import flags

from claran.commands.common import UsageError, say
from claran.detection.detection_model import DetectionModel
from claran.detection.loading import convert_old_model, save_model
from claran.detection.presets import import_claran
from claran.sky.pictures import METHODS

__all__ = ["convert"]

flags.DEFINE_string(
    "tf_checkpoint",
    None,
    "Checkpoint of the original: path without .index and .data-....",
)
flags.DEFINE_string(
    "old_model", None, "A .keras file of an older claran, instead of --tf_checkpoint."
)
flags.DEFINE_integer(
    "image_size", 600, "Side of the network's input, pixels.", lower_bound=16
)
flags.DEFINE_enum(
    "fusion", "D4", METHODS, "Kind of picture the checkpoint was trained on."
)
flags.DEFINE_list(
    "anchor_scales",
    None,
    "Sides of its anchors, in cells of 16 px; default: 1,2,4,8,16,32.",
)
flags.DEFINE_list(
    "anchor_ratios", None, "Height over width of its anchors; default: 1."
)
FLAGS = flags.FLAGS


def convert() -> None:
    """Writes a checkpoint of the original, or an old model, as a `.keras` file."""
    if bool(FLAGS.tf_checkpoint) == bool(FLAGS.old_model):
        raise UsageError(
            "Give either --tf_checkpoint, the path without .index and .data-..., or "
            "--old_model."
        )
    output = Path(FLAGS.output or "model.keras")
    if output.suffix != ".keras":
        raise UsageError(f"--output must end in .keras, got {output}.")
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
        anchor_scales=_numbers("anchor_scales"),
        anchor_ratios=_numbers("anchor_ratios"),
    )


def _numbers(name: str) -> list[float] | None:
    texts = FLAGS[name].value or []
    try:
        return [float(text) for text in texts] or None
    except ValueError:
        raise UsageError(f"--{name} must be numbers, got {','.join(texts)}.") from None
