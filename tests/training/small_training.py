"""A training of a few seconds, also run as `small_training.py run DIR`."""

import dataclasses
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from claran.accelerator import join_processes
from claran.detection.presets import claran_v01
from claran.fields.augmentation import Move
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
SOURCE = SimulatedFields(5, population=BALANCED)


def make_model():
    """Returns a narrow detector, always with the same weights."""
    model = claran_v01(
        backbone_widths=[4, 8, 8, 8, 8],
        rpn_width=8,
        head_width=16,
        image_size=64,
        method="D1",
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


def falling_score(model):
    """Returns a validation score that decreases as the weights of a model move."""
    start = make_model().get_weights()

    def score():
        moved = sum(
            abs(a - b).sum() for a, b in zip(model.get_weights(), start, strict=True)
        )
        return float(1 / (1 + moved))

    return score


def run(output, *, model=None, recipe=RECIPE, validate=None, tell=print, **options):
    """Trains on five fields.

    Args:
        output: See `TrainingOptions`.
        model: What to train; None for `make_model`.
        recipe: See `Recipe`.
        validate: Makes a validation for a model; None for no validation.
        tell: See `train`.
        **options: Of `TrainingOptions`.
    """
    model = make_model() if model is None else model
    given = {"seed": 7, "save_every": 4, "size": (64, 64)} | options
    return train(
        model,
        SOURCE,
        recipe=recipe,
        augment=[Move(step=90)],
        options=TrainingOptions(output=Path(output), **given),
        validate=None if validate is None else validate(model),
        tell=tell,
    )


# Plain gradient descent does not amplify rounding errors.
SHARED = dataclasses.replace(RECIPE, optimizer="sgd", batch_size=4)


def run_shared(output):
    """Trains on all devices of all processes."""
    join_processes()
    keras.utils.set_random_seed(1)  # Processes must start with the same weights.
    with data_parallel(SHARED.batch_size):
        run(output, recipe=SHARED, validate=falling_score)


if __name__ == "__main__":
    {"run": lambda output: run(output, validate=falling_score), "shared": run_shared}[
        sys.argv[1]
    ](sys.argv[2])
