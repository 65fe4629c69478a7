"""The detector that the flags name."""

import warnings

from absl import flags

from claran.commands.common import say
from claran.detection.detector import Detector, UntrainedWarning

__all__ = ["load_detector"]

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
            average=FLAGS.average,
        )
    for warning in caught:
        say(f"Note: {warning.message}")
    return detector
