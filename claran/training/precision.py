"""Changing the numerical precision of an existing network."""

from typing import Any

from claran.detection.detection_model import DetectionModel

__all__ = ["in_precision"]


def in_precision(model: DetectionModel, policy: str) -> DetectionModel:
    """Returns the model with layers that compute in another precision.

    Args:
        model: Stays as it is; is itself returned if nothing would change.
        policy: Of Keras, such as "float32" or "mixed_bfloat16"; weights are float32 in
            both.
    """
    network = model.network
    config = network.get_config()
    changed = _with_policy(config, policy)
    if changed == config:
        return model
    other = type(network).from_config(changed)
    other.set_weights(network.get_weights())
    return model.with_network(other)


def _with_policy(config: Any, policy: str) -> Any:
    """Returns a configuration with all its dtype policies replaced."""
    if isinstance(config, list | tuple):
        return type(config)(_with_policy(part, policy) for part in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return config | {"config": {"name": policy}}
    return {name: _with_policy(part, policy) for name, part in config.items()}
