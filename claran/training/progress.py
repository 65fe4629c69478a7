"""Callbacks for Keras's `fit` that monitor a training."""

import datetime
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
from tqdm.auto import tqdm

from claran.training.checkpoints import write_json
from claran.training.joint import LOSSES, JointTraining
from claran.training.run_record import TrainingError

__all__ = ["BAD_BATCH", "DelayedLogs", "Guard", "ProgressBar"]

BAD_BATCH = "bad_batch.json"
DIVERGED = 1e4  # The sum of the losses starts between 1 and 100.
REFRESH = 0.5  # Seconds between updates of the text.


class DelayedLogs(keras.callbacks.CallbackList):
    """Passes the logs of the previous step to the callbacks.

    These are available already. Reading the logs of the current step would make host
    and accelerator wait for each other at every step.
    """

    _last: Any = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        last, self._last = self._last, logs
        super().on_train_batch_end(batch, last)


class Guard(keras.callbacks.Callback):
    """Ends `fit` after the last step, and raises if training diverges.

    Args:
        joint: The model that is trained.
        folder: Folder for the names of the fields in a bad batch.
        names: Names of the fields in the batches of the latest steps, by step.
        start: Step that training starts from.
        end: Last step, which may be in the middle of a Keras epoch.
        write: Whether this process writes files.

    Raises:
        TrainingError: The loss is too large, or the gradient is not finite.
    """

    def __init__(
        self,
        joint: JointTraining,
        folder: Path,
        names: Mapping[int, list[str]],
        *,
        start: int,
        end: int,
        write: bool,
    ) -> None:
        super().__init__()
        self.joint = joint
        self.folder = folder
        self.names = names
        self.step = start
        self.end = end
        self.write = write

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        if logs:
            self._check(self.step - 1, logs)
        self.step += 1
        if self.step == self.end:
            self.joint.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._check(self.step - 1, logs)

    def _check(self, step: int, logs: Mapping[str, float]) -> None:
        loss, norm = logs["loss"], logs["gradient_norm"]
        if math.isfinite(norm) and loss < DIVERGED:
            return
        path = self.folder / BAD_BATCH
        names = self.names.get(step, [])
        about = {"step": step, "names": names}
        if self.write:
            write_json(
                path, about | {name: repr(value) for name, value in logs.items()}
            )
        raise TrainingError(
            f"Training diverged at step {step}: the loss is {loss:g}, the norm of the "
            f"gradient {norm:g}. {path} lists the fields of the batch: check them, or "
            "train with a lower --learning_rate into another --output."
        )


class ProgressBar(keras.callbacks.Callback):
    """A progress bar with losses, learning rate, images per second and time left.

    Where standard error is no terminal, such as a log file, there is a line of these
    for each checkpoint instead.

    Args:
        steps: Number of steps of the whole training.
        start: Step that training starts from.
        batch_size: Number of fields in a batch.
        tell: Receives the lines.
    """

    def __init__(
        self,
        *,
        steps: int,
        start: int,
        batch_size: int,
        tell: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        self.tell = tell
        self._began, self._start = time.monotonic(), start
        self.steps = steps
        self.step = start
        self.batch_size = batch_size
        self._bar: Any = None
        self._shown = -math.inf

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._bar = tqdm(
            total=self.steps,
            initial=self.step,
            desc="Training",
            unit="img",
            unit_scale=self.batch_size,
            dynamic_ncols=True,
            disable=None,
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.step += 1
        self._bar.update()
        now = time.monotonic()
        if logs and not self._bar.disable and now > self._shown + REFRESH:
            self._shown = now
            losses = [name for name in LOSSES if name in logs]  # Not all have all.
            shown = " ".join(f"{name}={logs[name]:.3f}" for name in losses)
            shown += f" lr={logs['learning_rate']:.1e}"
            self._bar.set_postfix_str(shown, refresh=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if not self._bar.disable or not logs:
            return
        seconds = (time.monotonic() - self._began) / (self.step - self._start)
        left = datetime.timedelta(seconds=round(seconds * (self.steps - self.step)))
        rate = self.batch_size / seconds
        self.tell(
            f"Step {self.step} of {self.steps}: loss {logs['loss']:.3f}, learning rate "
            f"{logs['learning_rate']:.1e}, {rate:.3g} images/s, {left} left."
        )

    def close(self) -> None:
        """Closes the bar, also if training was interrupted."""
        if self._bar is not None:
            self._bar.close()
