"""A backbone that is also told where the center of a field is."""

import keras
import numpy as np
import pytest

from claran.models.centering import with_center
from claran.models.pyramid import pyramid


@pytest.fixture(scope="module")
def backbones():
    plain = pyramid(3, widths=(4, 4, 4), depths=(1, 1, 1), features=6)
    return plain, with_center(plain)


def test_features_are_those_of_the_given_backbone_at_first(backbones):
    plain, centered = backbones
    images = np.random.default_rng(0).normal(size=(2, 16, 24, 4)).astype("f4")
    found = centered(images)
    assert found.shape == (2, 4, 6, 6)
    assert (np.asarray(found) == np.asarray(plain(images[..., :3]))).all()


def test_what_is_in_the_channel_counts_once_weights_have_changed(backbones):
    _, centered = backbones
    other = keras.Model.from_config(centered.get_config())
    other.set_weights(centered.get_weights())
    placed = other.get_layer("placed")
    placed.set_weights([np.ones_like(w) for w in placed.get_weights()])
    images = np.zeros((1, 16, 16, 4), "f4")
    images[:, 4:8, 8:12, 3] = 1  # One cell.
    change = np.asarray(other(images) - other(np.zeros_like(images)))
    assert np.argwhere(change.any(axis=-1)).tolist() == [[0, 1, 2]]
