"""The start of the original's training: VGG16 that has learned ImageNet."""

import keras

from claran.models.faster_rcnn import FasterRcnn
from claran.training.run_record import TrainingError

__all__ = ["copy_vgg16", "start_from_imagenet"]


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
    copy_vgg16(trained, network)


def copy_vgg16(trained: keras.Model, network: FasterRcnn) -> None:
    """Copies the thirteen convolutions of Keras's VGG16 into a network's backbone.

    Both take blue, green, red less the mean: Keras's weights come from Caffe's.

    Raises:
        TrainingError: The backbone has no such layers.
    """
    try:
        for layer in trained.layers:
            if "conv" in layer.name:  # block1_conv2 is conv1_2.
                own = layer.name.replace("block", "conv").replace("_conv", "_")
                network.backbone.get_layer(own).set_weights(layer.get_weights())
    except ValueError as error:
        raise TrainingError(
            f"{network.name} cannot start from ImageNet's VGG16: {error}. Give "
            "--start=random."
        ) from None
