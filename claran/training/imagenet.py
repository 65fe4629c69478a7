"""Initial weights of ClaRAN's training: VGG16 trained on ImageNet."""

import keras

from claran.models.faster_rcnn import FasterRcnn
from claran.models.weights import WeightsError, load_keras_vgg16
from claran.training.run_record import TrainingError

__all__ = ["start_from_imagenet"]


def start_from_imagenet(network: FasterRcnn) -> None:
    """Fills the backbone of a network with Keras's VGG16 weights for ImageNet.

    These are the weights of Simonyan & Zisserman (2014, arXiv:1409.1556), with which
    ClaRAN started too. Keras downloads them once, 59 MB, into `~/.keras`.

    Args:
        network: A network whose backbone is VGG16.

    Raises:
        TrainingError: The weights cannot be downloaded, or the backbone is another.
    """
    try:
        trained = keras.applications.VGG16(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a plain `Exception`.
        raise TrainingError(
            f"Cannot download the weights of VGG16 for ImageNet ({error}). Download "
            "them on a computer that is online and copy its ~/.keras/models here, or "
            "give --start=random."
        ) from None
    try:
        load_keras_vgg16(network.backbone, trained)
    except WeightsError as error:
        raise TrainingError(
            f"{network.name} cannot start from ImageNet's VGG16: {error}. Give "
            "--start=random."
        ) from None
