"""Transfer of a trained network to other classes."""

from collections.abc import Sequence

from claran.models.faster_rcnn import FasterRcnn
from claran.models.presets import trust_in_counting

__all__ = ["with_classes"]

KEPT = ("backbone", "rpn")
KEPT_OF_HEAD = ("fc6", "fc7")


def with_classes(network: FasterRcnn, class_names: Sequence[str]) -> FasterRcnn:
    """Returns a copy of the network with new output layers for other classes.

    The weights of the backbone, the RPN and the hidden layers of the box head are
    copied. The layers for class logits and box deltas are new.

    Args:
        network: The trained network, which is not changed.
        class_names: Names of the new classes, without background.
    """
    config = network.get_config()
    config["class_names"] = list(class_names)
    config["head"]["config"]["num_classes"] = len(class_names)
    config["count_trust"] = min(network.count_trust, trust_in_counting(class_names))
    changed = FasterRcnn.from_config(config)
    for name in KEPT:
        getattr(changed, name).set_weights(getattr(network, name).get_weights())
    for name in KEPT_OF_HEAD:
        own, old = (getattr(model.head, name) for model in (changed, network))
        own.set_weights(old.get_weights())
    return changed
