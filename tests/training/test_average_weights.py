"""The script that makes one model of several."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "average_weights.py"


@pytest.fixture(scope="module")
def script():
    spec: Any = importlib.util.spec_from_file_location("average_weights", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_weights_are_means(script, tiny_channels):
    models = [tiny_channels() for _ in range(3)]
    for number, model in enumerate(models):
        model.network.set_weights(
            [np.full_like(w, number**2) for w in model.network.get_weights()]
        )
    models[0].network.decoder.temperature = 0.5
    mean = script.average(models)
    assert mean is models[0] and mean.network.decoder.temperature == 1
    for values in mean.network.get_weights():
        np.testing.assert_allclose(values, 5 / 3, rtol=1e-6)
