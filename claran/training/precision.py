"""Changing the numerical precision of an existing network."""

from typing import Any

from claran.models.faster_rcnn import FasterRcnn

__all__ = ["in_precision"]


def in_precision(network: FasterRcnn, policy: str) -> FasterRcnn:
    """Returns a copy of the network that computes in another precision.

    Args:
        network: The network, which is not changed. It is returned itself if it has
            this precision already.
        policy: Keras dtype policy, such as "float32" or "mixed_bfloat16". The weights
            are float32 in both.
    """
    config = network.get_config()
    changed = _with_policy(config, policy)
    if changed == config:
        return network
    other = FasterRcnn.from_config(changed)
    other.set_weights(network.get_weights())
    return other


def _with_policy(config: Any, policy: str) -> Any:
    """Returns a configuration with all its dtype policies replaced."""
    if isinstance(config, list | tuple):
        return type(config)(_with_policy(part, policy) for part in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return config | {"config": {"name": policy}}
    return {name: _with_policy(part, policy) for name, part in config.items()}
