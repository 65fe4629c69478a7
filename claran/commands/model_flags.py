"""Flags for the model, and the detector that they name."""

import warnings

from absl import flags

from claran.commands.common import say
from claran.detection.detector import Detector, UntrainedWarning

__all__ = ["load_detector"]

flags.DEFINE_string(
    "model",
    "claran_first",
    "Preset (claran_first, claran_v0.1), or path of a .keras file; eval: or classical.",
)
flags.DEFINE_float(
    "score_threshold",
    None,
    "Only detections with a higher score. Default: 0.5, or 0.8 for networks that do "
    "not count islands, such as claran_v0.1; with --all_hypotheses 0.01 or 0.05. eval: "
    "score above which detections are the catalog, for association and confusion.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "nms_threshold",
    None,
    "IoU above which the worse of two detections of one class is dropped. Default: the "
    "model's own, 0.3.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "rpn_nms_threshold",
    None,
    "The same for proposals. Default: the model's own, 0.7. The original's demo: 0.5.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_integer(
    "batch_size",
    None,
    "demo, predict, eval: fields in a call of the network, on GPUs and TPUs. Default: "
    "depends on their size. On a CPU it has no effect. train: fields in a batch.",
    lower_bound=1,
)
FLAGS = flags.FLAGS


def load_detector() -> Detector:
    """Returns the detector of the flags; prints a note if it is untrained."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UntrainedWarning)
        detector = Detector.from_preset(
            FLAGS.model,
            nms_threshold=FLAGS.nms_threshold,
            rpn_nms_threshold=FLAGS.rpn_nms_threshold,
            batch_size=FLAGS.batch_size,
        )
    for warning in caught:
        say(f"Note: {warning.message}")
    return detector
