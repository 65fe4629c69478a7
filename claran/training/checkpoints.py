"""Checkpoints that survive a kill at any moment, and whose damage is noticed."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from claran.io.atomic import flush, replace_file

__all__ = ["Checkpoints", "save_in_vain", "write_json"]

WEIGHTS, STATE = "training.weights.h5", "state.json"


class Checkpoints:
    """The last checkpoints of a training, each a folder of Keras weights and JSON.

    A checkpoint is written under another name, flushed to the disk and then renamed:
    there is never half a one. It says the SHA-256 of its weights, so that damage that
    came later is seen.

    Args:
        folder: Where they are.
        keep: How many stay; the older ones go.
        tell: Takes messages for the user.
        write: Whether this process writes; only one of several does.
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
        """Writes a checkpoint of `model`, optimizer included.

        Args:
            model: Its weights are saved.
            state: Plain values for JSON; `step` among them.
        """
        if not self.write:
            save_in_vain(model.save_weights, WEIGHTS)
            return
        name = f"step-{state['step']:09d}"
        partial = self.folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        weights = partial / WEIGHTS
        model.save_weights(weights)
        text = json.dumps(state | {"sha256": _sha256(weights)}, indent=1)
        (partial / STATE).write_text(text, "utf-8")
        for path in (weights, partial / STATE, partial):
            flush(path)
        shutil.rmtree(self.folder / name, ignore_errors=True)
        partial.rename(self.folder / name)
        flush(self.folder)
        # Those of later steps are damaged: they must not push out the sound ones.
        sound = [path for path in self.found() if path.name <= name]
        for old in sound[self.keep :]:
            shutil.rmtree(old)

    def found(self) -> list[Path]:
        """Returns the checkpoints, the last first, damaged ones too."""
        return sorted(self.folder.glob("step-*"), reverse=True)

    def restore(self, model: keras.Model) -> dict[str, Any] | None:
        """Loads the last sound checkpoint; returns its state, None if there is none.

        Args:
            model: As it was saved, its optimizer built.
        """
        for path in self.found():
            try:
                state = _read(path)
            except (OSError, ValueError) as error:
                self.tell(f"{path}: damaged ({error}); trying the one before.")
                continue
            model.load_weights(path / WEIGHTS)
            return state
        return None


def save_in_vain(save: Callable[[Path], Any], name: str) -> None:
    """Saves and forgets, in the processes that do not write.

    Keras evaluates the learning rate while it walks through a model. That is a
    computation on all devices: all processes take part, or the others wait for ever.

    Args:
        save: Writes to the path it is given.
        name: Of the file, for its ending.
    """
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / name)


def write_json(path: Path, values: Any) -> None:
    """Replaces a file by readable JSON."""
    text = json.dumps(values, indent=1) + "\n"
    replace_file(path, lambda partial: partial.write_text(text, "utf-8"))


def _read(path: Path) -> dict[str, Any]:
    state = json.loads((path / STATE).read_text("utf-8"))
    if not isinstance(state, dict) or "sha256" not in state:
        raise ValueError(f"{STATE} lacks the checksum")
    if _sha256(path / WEIGHTS) != state.pop("sha256"):
        raise ValueError(f"{WEIGHTS} does not have its checksum")
    return state


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
