"""A network with its preprocessor and its finisher: a detector in one file."""

from collections.abc import Sequence
from typing import Any

import keras

from claran.detection.finisher import Finisher, finisher_from_config
from claran.fields.preprocessing import Preprocessor
from claran.fields.preprocessor_config import preprocessor_from_config

__all__ = ["DetectionModel"]


@keras.saving.register_keras_serializable(package="claran")
class DetectionModel(keras.Model):
    """All that detects, saved as one `.keras` file.

    Called as a Keras model it is its network.

    Args:
        network: From `images` and `image_info` to `claran.layers.box_decoder`'s
            detections, such as `claran.models.faster_rcnn.FasterRcnn`.
        preprocessor: Makes what the network sees of a field.
        finisher: Makes detections of what the network says.
        class_names: Names of the classes, without background.
        **kwargs: Of `keras.Model`.

    Raises:
        ValueError: The network has another number of classes than there are names.
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
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns what the network returns."""
        return self.network(inputs, training=training)

    def with_network(self, network: Any) -> "DetectionModel":
        """Returns a model with another network, all else being the same."""
        return DetectionModel(
            name=self.name,
            network=network,
            preprocessor=self.preprocessor,
            finisher=self.finisher,
            class_names=self.class_names,
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.network),
            "preprocessor": self.preprocessor.get_config(),
            "finisher": self.finisher.get_config(),
            "class_names": list(self.class_names),
        }

    @classmethod
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
