"""A training of a few seconds, also run as `small_training.py run DIR`."""

import dataclasses
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from claran.accelerator import join_processes
from claran.fields.augmentation import Move
from claran.fields.framing import Picture
from claran.models.presets import claran_v01
from claran.ops.targets import HeadOptions, RpnOptions
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED
from claran.training.devices import data_parallel
from claran.training.recipes import Recipe
from claran.training.trainer import TrainingOptions, train

RECIPE = Recipe(
    steps=12,
    batch_size=2,
    learning_rate=1e-3,
    rpn=RpnOptions(size=32),
    head=HeadOptions(size=8),
)
INPUTS = Picture(method="D1", size=64)
SOURCE = SimulatedFields(5, population=BALANCED)


def network():
    model = claran_v01(
        backbone_widths=[4, 8, 8, 8, 8],
        rpn_width=8,
        head_width=16,
        image_size=64,
        fusion="D1",
    )
    # Not from Keras's seed, since the type checker of the tests draws from it too.
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            rng.normal(
                0, (2 / np.prod(w.shape[:-1])) ** 0.5 if w.ndim > 1 else 0, w.shape
            )
            for w in model.get_weights()
        ]
    )
    return model


def falling_score():
    """Returns a validation score that decreases as the weights move."""
    start = network().get_weights()

    def score(network):
        moved = sum(
            abs(a - b).sum() for a, b in zip(network.get_weights(), start, strict=True)
        )
        return float(1 / (1 + moved))

    return score


def run(output, *, recipe=RECIPE, inputs=INPUTS, validate=None, tell=print, **options):
    """Trains on five fields."""
    return train(
        network(),
        SOURCE,
        inputs,
        recipe=recipe,
        augment=[Move(step=90)],
        options=TrainingOptions(
            output=Path(output), **({"seed": 7, "save_every": 4} | options)
        ),
        validate=validate,
        tell=tell,
    )


# Plain gradient descent does not amplify rounding errors.
SHARED = dataclasses.replace(RECIPE, optimizer="sgd", batch_size=4)


def run_shared(output):
    """Trains on all devices of all processes."""
    join_processes()
    keras.utils.set_random_seed(1)  # Processes must start with the same weights.
    with data_parallel(SHARED.batch_size):
        run(output, recipe=SHARED, validate=falling_score())


if __name__ == "__main__":
    {"run": lambda output: run(output, validate=falling_score()), "shared": run_shared}[
        sys.argv[1]
    ](sys.argv[2])
