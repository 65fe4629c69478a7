"""Ready-made detectors, and those imported from the original's checkpoints."""

import os

import numpy as np
import pytest

from claran import accelerator
from claran.detection.finisher import IslandFinisher
from claran.detection.presets import PRESETS, claran_v01, import_claran
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.labels import RGZ_CLASSES
from claran.models.weights import WeightsError, load_claran_checkpoint


def test_presets(narrow, tiny_channels):
    picture, channels = narrow(), tiny_channels()
    assert picture.preprocessor == Picture(method="D4", image_size=64)
    # As the original: boxes outside of the field stay there, nothing is counted.
    assert picture.finisher == IslandFinisher(count_trust=0.0, clip=False)
    assert channels.preprocessor == Channels(beam_pixels=3.0)
    assert channels.finisher == IslandFinisher(count_trust=0.95, clip=True)
    assert picture.class_names == channels.class_names == RGZ_CLASSES


@pytest.mark.parametrize("name", PRESETS)
def test_none_is_made_in_a_forked_process(name, monkeypatch):
    """There JAX would hang."""
    monkeypatch.setattr(accelerator, "_users", [os.getpid() + 1])
    with pytest.raises(accelerator.AcceleratorError, match="was forked from one"):
        PRESETS[name]()


def test_other_classes(narrow, tiny_channels):
    names = ["FR-I", "FR-II"]
    for model in (narrow(class_names=names), tiny_channels(class_names=names)):
        assert model.class_names == tuple(names) and model.network.num_classes == 2
        assert model.finisher.count_trust == 0  # They are no counts.


def test_other_pictures(narrow):
    model = narrow(method="D3", image_size=132)
    assert model.preprocessor == Picture(method="D3", image_size=132)
    assert model.network.image_size == 132
    with pytest.raises(
        ValueError, match="`method` must be one of D1, D3, D4, got 'D2'"
    ):
        claran_v01(method="D2", backbone_widths=[1] * 5, rpn_width=1, head_width=1)


class TestImport:
    @pytest.fixture
    def checkpoint(self, golden):
        pytest.importorskip("tensorflow", reason="reads a TensorFlow 1 checkpoint")
        return golden / "ckpt_narrow" / "VGGnet_fast_rcnn-80000"

    def test_is_complete(self, checkpoint):
        names = [*"abcdef"]
        model = import_claran(
            checkpoint, class_names=names, method="D3", image_size=132
        )
        assert model.class_names == tuple(names)
        assert model.preprocessor == Picture(method="D3", image_size=132)
        assert model.finisher == IslandFinisher(count_trust=0.0, clip=False)
        network = load_claran_checkpoint(checkpoint, image_size=132)
        for a, b in zip(model.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert import_claran(checkpoint).class_names == RGZ_CLASSES

    def test_other_classes_must_be_named(self, checkpoint):
        message = (
            r"has 6 classes without background; give as many .*, got 2: FR-I, FR-II"
        )
        with pytest.raises(WeightsError, match=message):
            import_claran(checkpoint, class_names=["FR-I", "FR-II"])
