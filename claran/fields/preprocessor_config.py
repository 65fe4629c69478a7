"""Preprocessors from their configuration in a saved model."""

from typing import Any

from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.preprocessing import Preprocessor

__all__ = ["preprocessor_from_config"]


def preprocessor_from_config(config: dict[str, Any]) -> Preprocessor:
    """Returns the preprocessor with the configuration of its `get_config`.

    Raises:
        ValueError: The kind is unknown, or a value is out of range.
    """
    values = dict(config)
    kinds = {"channels": Channels, "picture": Picture}
    kind = values.pop("kind", None)
    if kind not in kinds:
        raise ValueError(
            f"`kind` of a preprocessor must be one of {', '.join(kinds)}, got {kind!r}."
        )
    return kinds[kind](**values)
