import jax
import keras
import numpy as np
import pytest

from claran.models.pyramid import pyramid


@pytest.fixture(scope="module")
def small():
    def make(**options):
        # With some weights, all of the few features are cut off by a ReLU.
        keras.utils.set_random_seed(1)
        return pyramid(
            5, widths=(4, 4, 8, 8), depths=(1, 1, 1, 1), features=6, **options
        )

    return make


@pytest.mark.parametrize("top_down", [True, False])
def test_stride_is_four(small, rng, top_down):
    images = rng.normal(size=(2, 32, 48, 5)).astype(np.float32)
    assert small(top_down=top_down)(images).shape == (2, 8, 12, 6)


@pytest.mark.parametrize("top_down, reach", [(True, True), (False, False)])
def test_top_down_path_enlarges_the_receptive_field(small, top_down, reach):
    """A change in one corner affects the other only through the coarse levels."""
    run = jax.jit(small(top_down=top_down))
    image = np.zeros((1, 96, 96, 5), np.float32)
    changed = image.copy()
    changed[0, :4, :4] = 10
    moved = np.abs(np.asarray(run(changed)) - np.asarray(run(image)))[0]
    assert moved[0, 0].max() > 0
    assert bool(moved[12, 12].max() > 0) is reach
