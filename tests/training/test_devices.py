import jax
import keras
import numpy as np
import pytest
import small_training
from small_training_process import kill_after_first_checkpoint, start

from claran.detection.loading import load_model
from claran.training import devices
from claran.training.journal import read_log
from claran.training.run_record import TrainingError

PROCESSES = 2


@pytest.mark.slow
def test_devices_and_processes_train_as_one(tmp_path):
    """Starts on two devices of one process, and resumes on two processes with one."""
    expected = tmp_path / "alone"
    small_training.run(
        expected,
        recipe=small_training.SHARED,
        validate=small_training.falling_score,
    )
    folder = tmp_path / "shared"
    two_devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    kill_after_first_checkpoint(folder, start("shared", folder, **two_devices))
    step = {
        # JAX derives the coordinator's port from the job.
        "SLURM_JOB_ID": str(np.random.default_rng().integers(4096)),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(PROCESSES),
        "SLURM_STEP_NUM_TASKS": str(PROCESSES),
    }
    running = [
        start("shared", folder, SLURM_PROCID=str(i), SLURM_LOCALID=str(i), **step)
        for i in range(PROCESSES)
    ]
    assert [process.wait(timeout=300) for process in running] == [0] * PROCESSES
    logs = (read_log(run / "log.csv") for run in (folder, expected))
    for row, (one, other) in enumerate(zip(*logs, strict=True)):
        for name in set(one) - {"images_per_second"}:
            # Rounding may flip a ReLU. This hardly changes the loss, but it does change
            # the gradient: by 6e-4 after twelve steps, and 3e-7 after four.
            rel = 1e-2 if name == "gradient_norm" and row else 1e-4
            assert one[name] == pytest.approx(other[name], rel=rel, abs=1e-6), name
    for name in ("last.keras", "best.keras"):
        found, wanted = (
            load_model(run / name).get_weights() for run in (folder, expected)
        )
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_one_device_is_not_distributed():
    with devices.data_parallel(3):
        assert keras.distribution.distribution() is None


def test_a_batch_that_devices_cannot_share(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    with (
        pytest.raises(TrainingError, match="batch_size=3: must be a multiple of the"),
        devices.data_parallel(3),
    ):
        pass


def test_processes_at_different_steps(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    gather = lambda step: np.array([step, 8])
    monkeypatch.setattr(devices.multihost_utils, "process_allgather", gather)
    devices.check_same(8)
    with pytest.raises(
        TrainingError, match=r"different steps, \[4, 8\]: --output must"
    ):
        devices.check_same(4)
