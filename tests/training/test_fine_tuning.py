"""A network trained on simulated fields learns the classes of real fields."""

import dataclasses

import jax
import keras
import pytest

from claran.data.sources import open_source
from claran.detection.detection_model import DetectionModel
from claran.detection.finisher import IslandFinisher
from claran.fields.augmentation import Move
from claran.fields.batches import PipelineOptions, training_batches
from claran.fields.framing import Picture
from claran.labels import RGZ_CLASSES
from claran.models.faster_rcnn import FasterRcnn
from claran.models.networks import claran_first
from claran.models.pyramid import pyramid
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED
from claran.training.fine_tuning import with_classes
from claran.training.joint import JointTraining
from claran.training.recipes import COMPACT
from claran.training.trainer import TrainingOptions, train

WIDTHS = {"widths": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "features": 16}
SIZE = 112, 112
RECIPE = dataclasses.replace(COMPACT, steps=30, batch_size=8, learning_rate=2e-3)

pytestmark = pytest.mark.slow


def run(folder, model, source):
    """Trains with augmentation, always with the same program where classes are six."""
    train(
        model,
        source,
        recipe=RECIPE,
        augment=[Move(step=90)],
        options=TrainingOptions(output=folder, save_every=RECIPE.steps, size=SIZE),
    )


def loss_of(model, source):
    """Returns the sum of the losses on sixteen fields, always with the same samples."""
    joint = JointTraining(model.network, rpn=COMPACT.rpn, head=COMPACT.head)
    options = PipelineOptions(batch_size=16, size=SIZE)
    with training_batches(source, model.preprocessor, options=options) as batches:
        batch = dict(next(batches))
    del batch["names"]
    state = [
        [v.value for v in part]
        for part in (joint.trainable_variables, joint.non_trainable_variables)
    ]
    losses, _ = jax.jit(lambda state: joint.stateless_call(*state, batch))(state)
    return float(sum(losses.values()))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A small detector for pictures, trained briefly on simulated fields."""
    keras.utils.set_random_seed(3)
    config = claran_first(rpn_width=16, head_width=64, **WIDTHS).get_config()
    config["backbone"] = keras.saving.serialize_keras_object(pyramid(3, **WIDTHS))
    model = DetectionModel(
        network=FasterRcnn.from_config(config),
        preprocessor=Picture(method="D1", image_size=SIZE[0]),
        # No counting, which would supply the classes in place of the network.
        finisher=IslandFinisher(count_trust=0.0),
        class_names=RGZ_CLASSES,
    )
    run(
        tmp_path_factory.mktemp("simulated"),
        model,
        SimulatedFields(300, population=BALANCED),
    )
    return model


def test_real_classes(simulated, real_data, tmp_path):
    """Those of FIRST, and of EMU as pictures. One test, as the start takes longest."""
    for data in "rgz_first_dev", "radiogalaxynet_dev/annotations.json":
        source = open_source(real_data / data, "train")
        model = with_classes(simulated, source.class_names)
        before = loss_of(model, source)
        run(tmp_path / source.class_names[0], model, source)
        after = loss_of(model, source)
        assert after < 0.5 * before, data
