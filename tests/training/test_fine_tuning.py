"""A network trained on simulated fields learns the classes of real fields."""

import dataclasses

import jax
import keras
import pytest

from claran.data.sources import open_source
from claran.detection.engine import BatchDetector
from claran.evaluation.metrics import mean_average_precision
from claran.evaluation.truth import read_truths
from claran.fields.augmentation import Move
from claran.fields.batches import PipelineOptions, training_batches
from claran.fields.framing import Picture
from claran.models.faster_rcnn import FasterRcnn
from claran.models.presets import claran_first
from claran.models.pyramid import pyramid
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED
from claran.training.fine_tuning import with_classes
from claran.training.joint import JointTraining
from claran.training.recipes import COMPACT
from claran.training.trainer import TrainingOptions, train

WIDTHS = {"widths": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "features": 16}

pytestmark = pytest.mark.slow


def run(folder, network, source, inputs, *, steps, batch_size):
    """Trains with augmentation."""
    train(
        network,
        source,
        inputs,
        recipe=dataclasses.replace(
            COMPACT, steps=steps, batch_size=batch_size, learning_rate=2e-3
        ),
        augment=[Move(step=90)],
        options=TrainingOptions(output=folder, save_every=steps),
    )


def loss_of(network, source, inputs):
    """Returns the sum of the losses on sixteen fields, always with the same samples."""
    joint = JointTraining(network, rpn=COMPACT.rpn, head=COMPACT.head)
    options = PipelineOptions(batch_size=16)
    with training_batches(source, inputs, options=options) as batches:
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
    """A small network for pictures, trained briefly on simulated fields."""
    keras.utils.set_random_seed(3)
    config = claran_first(rpn_width=16, head_width=64, **WIDTHS).get_config()
    config["backbone"] = keras.saving.serialize_keras_object(pyramid(3, **WIDTHS))
    # Counting is turned off, as it would supply the classes in place of the network.
    changed = {"fusion": "D1", "beam": None, "count_trust": 0.0}
    network = FasterRcnn.from_config(config | changed)
    run(
        tmp_path_factory.mktemp("simulated"),
        network,
        SimulatedFields(300, population=BALANCED),
        Picture(method="D1", size=112),
        steps=40,
        batch_size=8,
    )
    return network


def scores(network, source, inputs):
    """Returns the mean AP, and the chance level: the mean AP with shuffled fields."""
    truths = read_truths(source, workers=1)
    found = list(BatchDetector(network).detect(source, truths, inputs))
    others = [*truths[1:], truths[0]]
    return [
        mean_average_precision(true, found, len(source.class_names))
        for true in (truths, others)
    ]


@pytest.mark.parametrize(
    "data, inputs, steps",
    [
        ("rgz_first_dev", Picture(method="D1", size=112), 300),
        ("radiogalaxynet_dev/annotations.json", Picture(method=None, size=224), 150),
    ],
    ids=["FIRST", "EMU"],
)
def test_real_classes(simulated, real_data, tmp_path, data, inputs, steps):
    source = open_source(real_data / data, "train")
    network = with_classes(simulated, source.class_names)
    before = loss_of(network, source, inputs)
    run(tmp_path, network, source, inputs, steps=steps, batch_size=8)
    after = loss_of(network, source, inputs)
    reached, chance = scores(network, source, inputs)
    assert after < 0.8 * before
    assert reached > chance + 0.03
