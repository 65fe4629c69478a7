"""Transfer of a trained network to other classes, and to another input."""

import dataclasses
from collections.abc import Sequence

from claran.detection.detection_model import DetectionModel
from claran.fields.channels import Channels
from claran.models.centering import with_center
from claran.models.layer_precision import float32_layers

__all__ = ["centered", "with_classes"]

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
    for name in network.head.hidden_layers:
        own, old = (getattr(one.head, name) for one in (changed, network))
        own.set_weights(old.get_weights())
    return DetectionModel(
        name=model.name,
        network=changed,
        preprocessor=model.preprocessor,
        finisher=model.finisher.for_classes(class_names),
        class_names=class_names,
    )


@float32_layers()
def centered(model: DetectionModel) -> DetectionModel:
    """Returns the model that is also shown where the center of a field is.

    Before it is trained, its detections are those of the given model.

    Args:
        model: Its layers are shared; one that is shown the center stays as it is.

    Raises:
        ValueError: Its input is a picture.
    """
    preprocessor = model.preprocessor
    if not isinstance(preprocessor, Channels):
        raise ValueError(
            f"{model.name} sees pictures; only a model that sees physical channels, "
            "such as claran_v1, can be shown the center of a field."
        )
    if preprocessor.centered:
        return model
    network = model.network
    parts = {name: getattr(network, name) for name in network.PARTS}
    parts["backbone"] = with_center(network.backbone)
    return DetectionModel(
        name=model.name,
        network=type(network)(
            name=network.name, image_size=network.image_size, **parts
        ),
        preprocessor=dataclasses.replace(preprocessor, centered=True),
        finisher=model.finisher,
        class_names=model.class_names,
    )  # fmt: skip
