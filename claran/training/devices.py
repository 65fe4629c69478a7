"""Data-parallel training on several devices, of one computer or many."""

import contextlib
from collections.abc import Iterator

import jax
import keras
from jax.experimental import multihost_utils

from claran.training.run_record import TrainingError

__all__ = ["check_same", "data_parallel"]


@contextlib.contextmanager
def data_parallel(batch_size: int) -> Iterator[None]:
    """Distributes each batch over all devices of all processes; each has all weights.

    Networks must be created or loaded inside this context, with the same seed (of
    `keras.utils.set_random_seed`) in all processes. With one device it does nothing.

    Args:
        batch_size: Number of fields in a batch, summed over all devices.

    Raises:
        TrainingError: The batch size is not a multiple of the number of devices.
    """
    count = jax.device_count()
    if count == 1:
        yield
        return
    if batch_size % count:
        raise TrainingError(
            f"--batch_size={batch_size}: must be a multiple of the number of devices, "
            f"{count}. Or select a single device with --device_index."
        )
    devices = keras.distribution.list_devices(jax.default_backend())
    spread = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    with spread.scope():
        yield


def check_same(step: int) -> None:
    """Checks that all processes resume from the same step.

    Args:
        step: Step of the checkpoint that this process found.

    Raises:
        TrainingError: The processes found different steps.
    """
    if jax.process_count() == 1:
        return
    steps = multihost_utils.process_allgather(step)
    if (steps != step).any():
        raise TrainingError(
            f"The processes found checkpoints of different steps, {steps.tolist()}: "
            "--output must be a folder that all nodes share."
        )
