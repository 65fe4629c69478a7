"""The detector that the flags ask for."""

import warnings

import jax
from absl import flags

from claran.commands.common import say
from claran.detector import Detector, UntrainedWarning

__all__ = ["batch_size", "load_detector"]

flags.DEFINE_string(
    "model",
    "claran_first",
    "Name of a preset (claran_first, claran_v0.1), or path of a .keras file.",
)
flags.DEFINE_float(
    "score_threshold",
    None,
    "Only detections with a higher score; default 0.8 in demo, 0.05 in predict. eval: "
    "those that make the catalog whose association and confusion are measured; 0.8.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "nms_threshold",
    None,
    "Of two detections of one class the worse is dropped above this IoU; default: the "
    "model's own, 0.3.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "rpn_nms_threshold",
    None,
    "Likewise for proposals; default: the model's own, 0.7. The original's demo: 0.5.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_integer(
    "batch_size",
    None,
    "Fields at once; default 1 on a CPU, 16 elsewhere.",
    lower_bound=1,
)
FLAGS = flags.FLAGS


def load_detector() -> Detector:
    """Returns the detector; says so if it has random weights."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UntrainedWarning)
        detector = Detector.from_preset(
            FLAGS.model,
            nms_threshold=FLAGS.nms_threshold,
            rpn_nms_threshold=FLAGS.rpn_nms_threshold,
        )
    for warning in caught:
        say(f"Note: {warning.message}")
    return detector


def batch_size() -> int:
    """Returns how many fields to detect in at once."""
    return FLAGS.batch_size or (1 if jax.default_backend() == "cpu" else 16)
