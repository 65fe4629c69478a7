import dataclasses

import keras
import pytest

from claran.training.recipes import ORIGINAL, RECIPES, Recipe


def rates(recipe, *steps):
    schedule = recipe.make_schedule()
    return [float(schedule(step)) for step in steps]


def test_the_originals():
    recipe = RECIPES["claran_v0.1"]
    assert rates(recipe, 0, 50_000, 50_001, 79_999) == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4]
    )
    optimizer = recipe.make_optimizer()
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.use_ema) == (0.9, False)
    assert optimizer.global_clipnorm is None
    assert (recipe.rpn.size, recipe.head.size, recipe.batch_size) == (256, 128, 1)


def test_the_step_moves_with_the_length():
    short = dataclasses.replace(ORIGINAL, steps=800)
    assert rates(short, 500, 501) == pytest.approx([1e-3, 1e-4])


def test_warm_up_and_cosine():
    recipe = Recipe(steps=1000, learning_rate=0.01, warmup=0.1)
    assert rates(recipe, 0, 50, 100, 550, 1000) == pytest.approx(
        [0, 0.005, 0.01, 0.005, 0], abs=1e-6
    )
    assert rates(Recipe(steps=3, warmup=0.1), 0) == pytest.approx([1e-3])


def test_biases_do_not_decay():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer = Recipe().make_optimizer()
    optimizer.build(model.trainable_variables)
    kernel, bias = model.trainable_variables
    assert optimizer._use_weight_decay(kernel)
    assert not optimizer._use_weight_decay(bias)


@pytest.mark.parametrize("steps, momentum", [(100_000, 0.999), (2000, 0.99), (1, 0.5)])
def test_the_average_is_short_in_a_short_training(steps, momentum):
    assert Recipe(steps=steps).make_optimizer().ema_momentum == pytest.approx(momentum)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"learning_rate": 0}, r"`learning_rate` must be in \(0, 10\), got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be in"),
    ],
)
def test_nonsense(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**change)
