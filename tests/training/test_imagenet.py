import keras
import numpy as np
import pytest

from claran.models.vgg16 import BGR_MEAN, vgg16
from claran.training import imagenet
from claran.training.imagenet import copy_vgg16, start_from_imagenet
from claran.training.run_record import TrainingError


class Network:
    """As much of a network as matters here; a whole one has 137 million weights."""

    name = "claran_v01"

    def __init__(self, backbone):
        self.backbone = backbone


def test_features_equal_keras_own(rng):
    keras.utils.set_random_seed(1)
    trained = keras.applications.VGG16(include_top=False, weights=None)
    network = Network(vgg16())
    copy_vgg16(trained, network)
    rgb = rng.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    own = network.backbone(rgb[..., ::-1])
    inputs = keras.applications.vgg16.preprocess_input(rgb.copy())
    np.testing.assert_allclose(
        inputs[0, 0, 0], rgb[0, 0, 0, ::-1] - BGR_MEAN, atol=1e-4
    )
    theirs = keras.Model(trained.input, trained.get_layer("block5_conv3").output)
    np.testing.assert_allclose(own, theirs(inputs), atol=1e-5)


def test_another_backbone(narrow):
    keras.utils.set_random_seed(1)
    trained = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="block1_conv1")]
    )
    with pytest.raises(TrainingError, match=r"claran_v01 cannot start .*=random"):
        copy_vgg16(trained, narrow())


def test_offline(monkeypatch, narrow):
    def fail(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(imagenet.keras.applications, "VGG16", fail)
    with pytest.raises(
        TrainingError, match=r"Cannot fetch .*URL fetch failure.*\.keras"
    ):
        start_from_imagenet(narrow())
