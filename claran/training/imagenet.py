"""The start of the original's training: VGG16 that has learned ImageNet."""

import keras

from claran.models.faster_rcnn import FasterRcnn
from claran.models.weights import WeightsError, load_keras_vgg16
from claran.training.run_record import TrainingError

__all__ = ["start_from_imagenet"]


def start_from_imagenet(network: FasterRcnn) -> None:
    """Gives a network with VGG16 the convolutions that Keras has for ImageNet.

    These are Simonyan & Zisserman's own (2014, arXiv:1409.1556), as the original began
    with. Keras fetches them once, 59 MB, into `~/.keras`.

    Raises:
        TrainingError: They cannot be fetched, or the network is another.
    """
    try:
        trained = keras.applications.VGG16(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare one.
        raise TrainingError(
            f"Cannot fetch the weights of VGG16 for ImageNet ({error}). Fetch them on "
            "a computer that is online and copy its ~/.keras/models here, or give "
            "--start=random."
        ) from None
    try:
        load_keras_vgg16(network.backbone, trained)
    except WeightsError as error:
        raise TrainingError(
            f"{network.name} cannot start from ImageNet's VGG16: {error}. Give "
            "--start=random."
        ) from None
