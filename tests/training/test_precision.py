import jax.numpy as jnp
import numpy as np
import pytest

from claran.detection.finisher import IslandFinisher
from claran.training.fine_tuning import with_classes
from claran.training.precision import in_precision


@pytest.fixture(scope="module")
def model(narrow):
    return narrow()


def test_half_precision_and_back(model, rng):
    pictures = jnp.asarray(rng.uniform(0, 255, (1, 64, 64, 3)), jnp.float32)
    half = in_precision(model, "mixed_bfloat16")
    assert half.network.backbone(pictures).dtype == jnp.bfloat16
    assert half.network.backbone.weights[0].dtype == "float32"
    back = in_precision(half, "float32")
    assert back.network.backbone(pictures).dtype == jnp.float32
    for a, b in zip(back.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert back.get_config() == model.get_config()
    assert half.preprocessor == model.preprocessor and half.finisher == model.finisher


def test_nothing_to_change(model):
    assert in_precision(model, "float32") is model


def test_new_classes_replace_only_the_output_layers(model):
    changed = with_classes(model, ["FR-I", "FR-II"])
    assert changed.class_names == ("FR-I", "FR-II")
    assert changed.network.num_classes == 2
    assert changed.preprocessor == model.preprocessor
    new = {"classification", "regression"}
    shapes = {}
    for name in ("backbone", "rpn", "head"):
        own, old = getattr(changed.network, name), getattr(model.network, name)
        for a, b in zip(own.weights, old.weights, strict=True):
            layer = a.path.split("/")[-2]
            if name == "head" and layer in new:
                shapes[layer] = a.shape[-1]
            else:
                np.testing.assert_array_equal(a, b, err_msg=a.path)
    assert shapes == {"classification": 3, "regression": 12}
    assert len(model.class_names) == 6 and model.network.num_classes == 6


def test_counting_is_used_only_for_classes_of_counts(tiny_channels):
    model = tiny_channels()
    trust = model.finisher.count_trust
    assert trust > 0.9
    assert with_classes(model, ["FR-I", "FR-II"]).finisher.count_trust == 0
    assert with_classes(model, ["2_3", "1_1"]).finisher.count_trust == trust
    model.finisher = IslandFinisher(count_trust=0.0)
    assert with_classes(model, ["1_1"]).finisher.count_trust == 0
