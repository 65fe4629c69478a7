"""A network with its preprocessor and its finisher, saved as one file."""

from collections.abc import Sequence
from typing import Any

import keras

from claran.detection.finisher import Finisher, finisher_from_config
from claran.fields.preprocessing import Preprocessor
from claran.fields.preprocessor_config import preprocessor_from_config
from claran.models.layer_precision import float32_layers
from claran.models.weights import model_fingerprint

__all__ = ["DetectionModel", "check_thresholds"]

PLAIN = (bool, int, float, str)


def check_thresholds(
    nms_threshold: float | None, rpn_nms_threshold: float | None
) -> None:
    """Checks the thresholds of non-maximum suppression; None is always right.

    Args:
        nms_threshold: See `DetectionModel.set_thresholds`.
        rpn_nms_threshold: See there.

    Raises:
        ValueError: A threshold is not in [0, 1].
    """
    for name, threshold in (
        ("nms_threshold", nms_threshold),
        ("rpn_nms_threshold", rpn_nms_threshold),
    ):
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"`{name}` must be in [0, 1], got {threshold}.")


@keras.saving.register_keras_serializable(package="claran")
class DetectionModel(keras.Model):
    """Network, preprocessor and finisher, saved as one `.keras` file.

    A call of the model is a call of its network.

    Args:
        network: From `images` and `image_info` to `claran.layers.box_decoder`'s
            detections, such as `claran.models.faster_rcnn.FasterRcnn`.
        preprocessor: Makes the network's input from a field.
        finisher: Makes a field's detections from the network's.
        class_names: Names of the classes, without background.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        ValueError: The number of names differs from the network's number of classes.
    """

    def __init__(
        self,
        *,
        network: Any,
        preprocessor: Preprocessor,
        finisher: Finisher,
        class_names: Sequence[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # See `FasterRcnn`.
        if network.num_classes != len(class_names):
            raise ValueError(
                f"`network` has {network.num_classes} classes, `class_names` has "
                f"{len(class_names)}: {list(class_names)}."
            )
        self.network = network
        self.preprocessor = preprocessor
        self.finisher = finisher
        self.class_names = tuple(class_names)
        self.file_config: str | None = None
        """Hash of the configuration in its file; None if it was not loaded."""
        self.built = True

    def __reduce__(self) -> tuple[Any, ...]:
        from claran.detection.packed_model import pack  # noqa: PLC0415 - a cycle

        return pack(self, super().__reduce__()).__reduce__()

    def model_hash(self) -> str:
        """Returns a hash of configuration and weights.

        No property: Keras evaluates those of a model that it loads, and this one
        imports TensorFlow.
        """
        return model_fingerprint(self)

    def traits(self) -> dict[str, Any] | None:
        """Returns what decides, beside the weights, what the network computes.

        The configuration in its file and what may have been changed since; values for
        JSON. None for a model that was not loaded, or with layers of other packages.
        """
        layers = [self.network, *self.network.layers]
        inner = [one for layer in layers for one in getattr(layer, "layers", ())]
        homes = {type(one).__module__.partition(".")[0] for one in layers + inner}
        if self.file_config is None or not homes <= {"claran", "keras"}:
            return None
        return {"file": self.file_config, "layers": [_plain(layer) for layer in layers]}

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the outputs of the network."""
        return self.network(inputs, training=training)

    def with_network(self, network: Any) -> "DetectionModel":
        """Returns a model with another network and the same other parts."""
        return DetectionModel(
            name=self.name,
            network=network,
            preprocessor=self.preprocessor,
            finisher=self.finisher,
            class_names=self.class_names,
        )

    def set_thresholds(
        self, *, nms_threshold: float | None, rpn_nms_threshold: float | None
    ) -> None:
        """Changes the thresholds of non-maximum suppression.

        Args:
            nms_threshold: IoU above which the worse of two detections of one class is
                dropped; None leaves it as it is.
            rpn_nms_threshold: The same for proposals.

        Raises:
            ValueError: A threshold is not in [0, 1], or the network suppresses no
                detections.
        """
        check_thresholds(nms_threshold, rpn_nms_threshold)
        if nms_threshold is not None:
            if self.network.decoder.iou_threshold is None:
                raise ValueError(
                    f"`nms_threshold` is {nms_threshold}, but {self.name} judges "
                    "groups of islands, of which none are suppressed; leave it out."
                )
            self.network.decoder.iou_threshold = nms_threshold
        if rpn_nms_threshold is not None:
            self.network.proposals.iou_threshold = rpn_nms_threshold

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.network),
            "preprocessor": self.preprocessor.get_config(),
            "finisher": self.finisher.get_config(),
            "class_names": list(self.class_names),
        }

    @classmethod
    @float32_layers()
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "DetectionModel":
        del custom_objects  # All parts are registered.
        values = dict(config)
        return cls(
            network=keras.saving.deserialize_keras_object(values.pop("network")),
            preprocessor=preprocessor_from_config(values.pop("preprocessor")),
            finisher=finisher_from_config(values.pop("finisher")),
            **values,
        )


def _plain(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns the attributes of a layer that are numbers, words, or several of them."""
    return {
        name: value
        for name, value in vars(layer).items()
        if not name.startswith("_")
        and all(isinstance(one, PLAIN) for one in _several(value))
    }


def _several(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]
