"""Transfer of a trained network to other classes."""

from collections.abc import Sequence

from claran.detection.detection_model import DetectionModel

__all__ = ["with_classes"]

KEPT = ("backbone", "rpn")


def with_classes(model: DetectionModel, class_names: Sequence[str]) -> DetectionModel:
    """Returns the model with new heads for other classes.

    The weights of the backbone, the RPN and the hidden layers of the head are
    copied. The layers for class logits and box deltas are new.

    Args:
        model: Stays as it is.
        class_names: Names of the classes, without background.
    """
    network = model.network
    config = network.get_config()
    config["head"]["config"]["num_classes"] = len(class_names)
    changed = type(network).from_config(config)
    for name in KEPT:
        getattr(changed, name).set_weights(getattr(network, name).get_weights())
    for name in network.head.HIDDEN:
        own, old = (getattr(one.head, name) for one in (changed, network))
        own.set_weights(old.get_weights())
    return DetectionModel(
        name=model.name,
        network=changed,
        preprocessor=model.preprocessor,
        finisher=model.finisher.for_classes(class_names),
        class_names=class_names,
    )
