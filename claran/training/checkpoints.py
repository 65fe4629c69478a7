"""Checkpoints that survive an interruption at any moment and are verified on loading.

The name of a checkpoint is `step-` and its step; the folder has the weights of the
model, with the optimizer, and the state as JSON.
"""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from claran.io.atomic import beside, flush, replace_file

__all__ = ["Checkpoints", "save_and_discard", "write_json"]

WEIGHTS, STATE = "training.weights.h5", "state.json"


class Checkpoints:
    """The latest checkpoints of a training, each a folder of Keras weights and JSON.

    A checkpoint is written under another name, flushed to disk and then renamed, so
    that it is never incomplete. It contains the SHA-256 of its weights, so that later
    damage is detected.

    Args:
        folder: Folder of the checkpoints.
        keep: Number of checkpoints to keep. Older ones are deleted.
        tell: Receives messages for the user.
        write: Whether this process writes. Of several processes only one does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 2,
        tell: Callable[[str], None] = print,
        write: bool = True,
    ) -> None:
        self.folder = folder
        self.keep = keep
        self.tell = tell
        self.write = write

    def save(self, model: keras.Model, state: dict[str, Any]) -> None:
        """Writes a checkpoint of a model and its optimizer.

        Args:
            model: The compiled model.
            state: Values for JSON, including `step`.
        """
        if not self.write:
            save_and_discard(model.save_weights, WEIGHTS)
            return
        name = f"step-{state['step']:09d}"
        with beside(self.folder / name, folder=True) as partial:
            weights = partial / WEIGHTS
            _check_space(weights, model)
            model.save_weights(weights)
            text = json.dumps(state | {"sha256": _sha256(weights)}, indent=1)
            (partial / STATE).write_text(text, "utf-8")
            for path in (weights, partial / STATE, partial):
                flush(path)
            _remove(self.folder / name)
            partial.rename(self.folder / name)
        flush(self.folder)
        # Checkpoints of later steps are damaged and must not displace intact ones.
        intact = [path for path in self.found() if path.name <= name]
        for old in intact[self.keep :]:
            _remove(old)

    def found(self) -> list[Path]:
        """Returns the paths of all checkpoints, also damaged ones, the latest first."""
        digits = "[0-9]" * 9
        return sorted(self.folder.glob(f"step-{digits}"), reverse=True)

    def restore(self, model: keras.Model) -> dict[str, Any] | None:
        """Loads the latest intact checkpoint; returns its state, or None without any.

        Args:
            model: The model as it was saved, with its optimizer built.
        """
        for path in self.found():
            try:
                state = _read(path)
            except (OSError, ValueError) as error:
                self.tell(f"{path}: damaged ({error}); trying the previous checkpoint.")
                continue
            model.load_weights(path / WEIGHTS)
            return state
        return None


def save_and_discard(save: Callable[[Path], Any], name: str) -> None:
    """Saves to a temporary file, in the processes that do not write.

    While saving, Keras evaluates the learning rate. This is a computation on all
    devices: if a process does not take part, the others wait forever.

    Args:
        save: Writes to the path that it is given.
        name: Name of the file. Keras looks at its ending.
    """
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / name)


def write_json(path: Path, values: Any) -> None:
    """Writes values as indented JSON, and replaces the file atomically."""
    text = json.dumps(values, indent=1) + "\n"
    replace_file(path, lambda partial: partial.write_text(text, "utf-8"))


def _read(path: Path) -> dict[str, Any]:
    state = json.loads((path / STATE).read_text("utf-8"))
    if not isinstance(state, dict) or "sha256" not in state:
        raise ValueError(f"{STATE} has no checksum")
    if _sha256(path / WEIGHTS) != state.pop("sha256"):
        raise ValueError(f"{WEIGHTS} does not match its checksum")
    return state


def _check_space(path: Path, model: keras.Model) -> None:
    """Makes sure that the disk has room; raises `OSError` if not.

    On a full disk HDF5 prints tracebacks and then crashes Python when that ends.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    variables = model.variables + model.optimizer.variables
    size = sum(np.dtype(v.dtype).itemsize * math.prod(v.shape) for v in variables)
    size += 2**14 * (len(variables) + 64)  # For HDF5's own tables.
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _remove(checkpoint: Path) -> None:
    """Removes the files of a checkpoint, and the folder if it has no others."""
    for name in (WEIGHTS, STATE):
        (checkpoint / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        checkpoint.rmdir()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
