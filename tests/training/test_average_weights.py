"""The script that makes one model of several."""

import average_weights
import numpy as np


def test_weights_are_means(tiny_channels):
    models = [tiny_channels() for _ in range(3)]
    for number, model in enumerate(models):
        model.network.set_weights(
            [np.full_like(w, number**2) for w in model.network.get_weights()]
        )
    models[0].network.decoder.temperature = 0.5
    mean = average_weights.average(models)
    assert mean is models[0] and mean.network.decoder.temperature == 1
    for values in mean.network.get_weights():
        np.testing.assert_allclose(values, 5 / 3, rtol=1e-6)
