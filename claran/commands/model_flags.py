"""The detector that the flags ask for."""

import warnings

from absl import flags

from claran.commands.common import say
from claran.detection.detector import Detector, UntrainedWarning

__all__ = ["catalog_score", "load_detector"]

flags.DEFINE_string(
    "model",
    "claran_first",
    "Name of a preset (claran_first, claran_v0.1), or path of a .keras file.",
)
flags.DEFINE_float(
    "score_threshold",
    None,
    "Only detections with a higher score; default 0.05 in predict, 0.5 in demo, or 0.8 "
    "for networks that count no islands, such as claran_v0.1. eval: those that make "
    "the catalog whose association and confusion are measured; as in demo.",
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
    "Fields that the network sees at once, on GPUs and TPUs; default: as many as pay. "
    "On a CPU fields go one by one, several side by side. train: fields in a batch.",
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
            batch_size=FLAGS.batch_size,
        )
    for warning in caught:
        say(f"Note: {warning.message}")
    return detector


def catalog_score(detector: Detector | None = None) -> float:
    """Returns the score above which detections make a catalog.

    Args:
        detector: The detector; None for detections of other tools.
    """
    if FLAGS.score_threshold is not None:
        return FLAGS.score_threshold
    return 0.5 if detector is None else detector.model.finisher.catalog_threshold
