import keras
import pytest

from claran.training import imagenet
from claran.training.imagenet import start_from_imagenet
from claran.training.run_record import TrainingError


def test_another_backbone(monkeypatch, narrow):
    trained = keras.applications.VGG16(include_top=False, weights=None)
    monkeypatch.setattr(imagenet.keras.applications, "VGG16", lambda **_: trained)
    with pytest.raises(TrainingError, match=r"claran_v01 cannot start .*=random"):
        start_from_imagenet(narrow().network)


def test_offline(monkeypatch, narrow):
    def fail(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(imagenet.keras.applications, "VGG16", fail)
    with pytest.raises(
        TrainingError, match=r"Cannot download .*URL fetch failure.*\.keras"
    ):
        start_from_imagenet(narrow().network)
