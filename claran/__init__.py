"""Radio galaxy detection and classification: ClaRAN in Keras 3 on JAX.

Importing `claran` selects the JAX backend of Keras, so import it before Keras.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claran.detection.detections import Detections as Detections
    from claran.detection.detector import Detector as Detector
    from claran.fields.field import Field as Field
    from claran.fields.reading import read_field as read_field
    from claran.sky.surveys import SURVEYS as SURVEYS
    from claran.sky.surveys import Survey as Survey

_HOMES = {
    "SURVEYS": "claran.sky.surveys",
    "Detections": "claran.detection.detections",
    "Detector": "claran.detection.detector",
    "Field": "claran.fields.field",
    "Survey": "claran.sky.surveys",
    "read_field": "claran.fields.reading",
}
"""Where the public names live; imported when first asked for."""

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = "0.1.0"


def _select_jax_backend() -> None:
    """Makes Keras run on JAX.

    Raises:
        ImportError: Keras was imported before with another backend; a process cannot
            change it afterwards.
    """
    keras = sys.modules.get("keras")
    if keras is not None and (backend := keras.config.backend()) != "jax":
        raise ImportError(
            f"claran runs on Keras's JAX backend, but Keras is already loaded with "
            f"the {backend!r} backend. Start Python (or the notebook's kernel) anew, "
            "and import claran before keras, or set the environment variable "
            "KERAS_BACKEND=jax."
        )
    os.environ["KERAS_BACKEND"] = "jax"


_select_jax_backend()


def __getattr__(name: str) -> Any:
    # Lazy, so that NumPy-only parts (claran.sky in worker processes) stay free of JAX.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'claran' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
