"""Several devices, on one computer or many, that share each batch."""

import contextlib
from collections.abc import Iterator

import jax
import keras
from jax.experimental import multihost_utils

from claran.training.run_record import TrainingError

__all__ = ["check_same", "data_parallel"]


@contextlib.contextmanager
def data_parallel(batch_size: int) -> Iterator[None]:
    """Spreads each batch over all devices of all processes; weights are on each.

    Networks must be made or loaded within, in all processes with the same seed (of
    `keras.utils.set_random_seed`). With one device it does nothing.

    Args:
        batch_size: Fields in a batch, over all devices.

    Raises:
        TrainingError: The devices cannot share a batch equally.
    """
    count = jax.device_count()
    if count == 1:
        yield
        return
    if batch_size % count:
        raise TrainingError(
            f"--batch_size={batch_size}: must be a multiple of the devices, {count}; "
            "or give --device_index to use one device alone."
        )
    devices = keras.distribution.list_devices(jax.default_backend())
    spread = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    with spread.scope():
        yield


def check_same(step: int) -> None:
    """Makes sure that all processes go on from the same step.

    Raises:
        TrainingError: They do not.
    """
    if jax.process_count() == 1:
        return
    steps = multihost_utils.process_allgather(step)
    if (steps != step).any():
        raise TrainingError(
            f"The processes found checkpoints of different steps, {steps.tolist()}: "
            "--output must be a folder that all nodes share."
        )
