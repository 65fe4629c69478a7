"""Layers in 32 bits, whatever Keras has been told."""

import keras
import pytest

from claran.models.layer_precision import float32_layers
from claran.models.networks import claran_first, claran_v01


@pytest.fixture(params=["policy", "floatx"])
def half_precision(request):
    """Settings that a script may make for another network."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    if request.param == "policy":
        keras.config.set_dtype_policy("mixed_bfloat16")
    else:
        keras.config.set_floatx("float16")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("make", [claran_first, claran_v01])
def test_new_networks(make, half_precision):
    widths = {"rpn_width": 4, "head_width": 4, "image_size": 64}
    if make is claran_v01:
        widths["backbone_widths"] = [4, 4, 4, 4, 4]
    network = make(**widths)
    dtypes = {one.compute_dtype for one in network._flatten_layers(include_self=False)}
    assert dtypes == {"float32"}
    assert {str(one.dtype) for one in network.trainable_variables} == {"float32"}
    assert str(network.backbone.input.dtype) == "float32"


def test_the_policy_is_given_back(half_precision):
    before = keras.config.dtype_policy().name
    with float32_layers():
        assert keras.config.dtype_policy().name == "float32"
    assert keras.config.dtype_policy().name == before
    with pytest.raises(ZeroDivisionError), float32_layers():
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == before
