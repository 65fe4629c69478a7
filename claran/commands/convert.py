r"""The mode convert: a checkpoint of the original ClaRAN becomes a model.

A checkpoint of the original ClaRAN into a model:
  python -m claran.main --mode=convert --tf_checkpoint=VGGnet_fast_rcnn-80000 \
      --output=model.keras
"""

from pathlib import Path

from absl import flags

from claran.commands.common import UsageError, say
from claran.io.atomic import replace_file
from claran.models.weights import load_claran_checkpoint
from claran.sky.pictures import METHODS

__all__ = ["convert"]

flags.DEFINE_string(
    "tf_checkpoint", None, "Checkpoint of the original, path without its ending."
)
flags.DEFINE_integer(
    "image_size", 600, "Side of the network's input, pixels.", lower_bound=16
)
flags.DEFINE_enum(
    "fusion", "D4", METHODS, "Kind of picture the checkpoint was trained on."
)
flags.DEFINE_list("anchor_scales", None, "Its anchors in cells of 16 px, if not six.")
flags.DEFINE_list("anchor_ratios", None, "Height over width of its anchors, if not 1.")
FLAGS = flags.FLAGS


def convert() -> None:
    """Imports a checkpoint of the original; writes a `.keras` model."""
    if not FLAGS.tf_checkpoint:
        raise UsageError("Give --tf_checkpoint, the path without .index or .data-....")
    output = Path(FLAGS.output or "model.keras")
    if output.suffix != ".keras":
        raise UsageError(f"--output must end in .keras, got {output}.")
    model = load_claran_checkpoint(
        FLAGS.tf_checkpoint,
        image_size=FLAGS.image_size,
        fusion=FLAGS.fusion,
        class_names=FLAGS.class_names,
        anchor_scales=_numbers("anchor_scales"),
        anchor_ratios=_numbers("anchor_ratios"),
    )
    replace_file(output, model.save)
    say(
        f"{model.count_params():,} weights, classes {', '.join(model.class_names)}, "
        f"input {model.image_size} px ({model.fusion}): {output}"
    )


def _numbers(name: str) -> list[float] | None:
    texts = FLAGS[name].value or []
    try:
        return [float(text) for text in texts] or None
    except ValueError:
        raise UsageError(f"--{name} must be numbers, got {','.join(texts)}.") from None
