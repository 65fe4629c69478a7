"""Radio galaxy detection and classification: ClaRAN in Keras 3 on JAX.

Importing `claran` selects the JAX backend of Keras, so import it before Keras.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claran.detection.detector import Detector as Detector

__all__ = ["Detector", "__version__"]
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
    # Lazy, so that NumPy-only parts (claran.data in worker processes) stay free of JAX.
    if name == "Detector":
        return importlib.import_module("claran.detection.detector").Detector
    raise AttributeError(f"module 'claran' has no attribute {name!r}")
