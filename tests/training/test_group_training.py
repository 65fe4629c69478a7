"""Training of the network that judges groups of islands."""

import dataclasses

import keras
import numpy as np
import pytest

from claran.detection.loading import load_model
from claran.training.calibration import fit_temperature
from claran.training.fine_tuning import with_classes
from claran.training.journal import read_log
from claran.training.recipes import RECIPES
from claran.training.trainer import BEST, TrainingOptions, train


@pytest.fixture(scope="module")
def trained(tiny_groups, labelled, tmp_path_factory):
    """The file of a network after two steps, and its log."""
    keras.utils.set_random_seed(2)
    folder = tmp_path_factory.mktemp("groups")
    recipe = dataclasses.replace(RECIPES["claran_v1"], steps=2, batch_size=2)
    train(
        tiny_groups(), labelled, recipe=recipe,
        options=TrainingOptions(output=folder, save_every=1, size=(112, 112)),
    )  # fmt: skip
    return folder / BEST, read_log(folder / "log.csv")


def test_it_learns_from_groups(trained, tiny_groups):
    path, log = trained
    for row in log:
        assert all(row[name] > 0 for name in ("rpn_class", "rpn_box", "head_class"))
    keras.utils.set_random_seed(2)
    before, after = tiny_groups().network.head, load_model(path).network.head
    assert all(
        (one != other).any()
        for one, other in zip(before.weights, after.weights, strict=True)
    )


def test_it_is_calibrated(trained, labelled):
    model = load_model(trained[0])
    assert 0.25 <= fit_temperature(model, labelled) <= 4


def test_it_takes_other_classes(trained, labelled):
    """Then the classes are the network's word; the islands are still its groups."""
    model = with_classes(load_model(trained[0]), ["FR-I", "FR-II"])
    assert model.finisher.count_trust == 0 and model.finisher.counts_islands
    old = load_model(trained[0]).network.head.fc6.get_weights()
    np.testing.assert_array_equal(model.network.head.fc6.get_weights()[0], old[0])
