"""Selects the device of JAX, and keeps compiled programs on disk.

To be called before the first array is made. JAX is imported when it is needed, as
its import takes long: help and the answer to a misspelled flag do without it.
"""

import contextlib
import ctypes
import importlib
import os
from pathlib import Path
from typing import Any

from claran.errors import AcceleratorError

__all__ = [
    "ACCELERATORS",
    "AcceleratorError",
    "check_not_forked",
    "current_device",
    "is_forked",
    "is_out_of_memory",
    "join_processes",
    "single_precision",
    "use_accelerator",
]

ACCELERATORS = ("auto", "cpu", "gpu", "tpu")

REMEDIES = {
    "gpu": 'Install JAX with CUDA: pip install "claran[cuda12]" or "claran[cuda13]".',
    "tpu": 'Install JAX for TPUs: pip install "claran[tpu]".',
}


_users: list[int] = []  # The process that used JAX first.


def current_device() -> Any:
    """Returns the `jax.Device` that JAX computes on by default."""
    import jax  # noqa: PLC0415 - see above

    is_forked()
    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return device if isinstance(device, jax.Device) else jax.devices()[0]


def is_forked() -> bool:
    """Returns whether a parent of this process has used JAX before the fork.

    Then JAX lacks its threads, and would hang.
    """
    if not _users:
        _users.append(os.getpid())
    return _users[0] != os.getpid()


def check_not_forked() -> None:
    """Checks that JAX has its threads, see `is_forked`.

    Raises:
        AcceleratorError: A parent of this process has used JAX before the fork.
    """
    if is_forked():
        raise AcceleratorError(
            "This process was forked from one that had used JAX, whose threads it "
            "lacks. Make processes with multiprocessing.get_context('spawn'), or give "
            "all fields to one `Detector.detect_many`, which uses all cores."
        )


def single_precision() -> contextlib.AbstractContextManager[Any]:
    """Context in which JAX computes in 32 bits, also if JAX_ENABLE_X64 is set.

    The networks are trained so, and results must not depend on the setting. It holds
    for the thread that enters it.
    """
    import jax  # noqa: PLC0415 - see above

    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(False)
    experimental: Any = importlib.import_module("jax.experimental")  # Older JAX.
    return experimental.disable_x64()


def is_out_of_memory(error: Exception) -> bool:
    """Returns whether an error means that the host or the accelerator has no memory."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def join_processes() -> None:
    """Joins the processes of a SLURM step, on one node or several, in one program.

    Does nothing outside of SLURM, or if `srun` started a single process. Call it before
    anything else of JAX.

    Raises:
        AcceleratorError: The other processes cannot be reached.
    """
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) < 2:
        return
    import jax  # noqa: PLC0415 - see above

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize()
    except (RuntimeError, ValueError) as error:
        raise AcceleratorError(
            f"The {os.environ['SLURM_STEP_NUM_TASKS']} processes of this SLURM step "
            f"cannot join: {error}. Start them with one srun; see scripts/slurm."
        ) from None


def use_accelerator(
    name: str = "auto", *, index: int = 0, keep_freed_memory: bool = True
) -> Any:
    """Makes JAX compute on an accelerator and keep compiled programs on disk.

    Programs are kept in `~/.cache/claran`, unless `JAX_COMPILATION_CACHE_DIR` or
    `XDG_CACHE_HOME` are set, so that the second start compiles nothing.

    Args:
        name: One of `ACCELERATORS`; `auto` takes the best that is available.
        index: Number of the device, from 0.
        keep_freed_memory: Make glibc keep large blocks for the next call. By default
            it maps blocks over 32 MB again each time, and the kernel clears them page
            by page when they are touched: on two cores this takes 0.1 s of 1.6 s for
            VGG16 at 600 px, and 25 of 34 ms for the RoI sampler on a batch of eight.
            It has full effect only before JAX has started its threads.

    Returns:
        The `jax.Device`.

    Raises:
        AcceleratorError: There is no accelerator of that kind, or no such number.
    """
    import jax  # noqa: PLC0415 - see above

    if keep_freed_memory:
        _keep_freed_memory()
    # What a user may have set to find faults in programs of their own.
    jax.config.update("jax_numpy_rank_promotion", "allow")
    jax.config.update("jax_transfer_guard", "allow")
    if name != "auto":
        jax.config.update("jax_platforms", "cuda" if name == "gpu" else name)
    try:
        # By its name, as JAX may already run on another device.
        devices = jax.local_devices(backend=None if name == "auto" else name)
    except (AssertionError, RuntimeError):  # The former from JAX without CUDA.
        raise AcceleratorError(_missing(name)) from None
    if not 0 <= index < len(devices):
        remedy = (
            f"there are {len(devices)} devices; give a number from 0 to "
            f"{len(devices) - 1}."
            if len(devices) > 1
            else "there is only one device here; leave it out."
        )
        raise AcceleratorError(f"--device_index={index}: {remedy}")
    device = devices[index]
    jax.config.update("jax_default_device", device)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(root, "claran")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return device


def _missing(name: str) -> str:
    """Returns what to say when JAX cannot use the accelerator of a name."""
    if name != "auto":
        return (
            f"--accelerator={name}: JAX finds no {name.upper()} here. "
            f"{REMEDIES.get(name, '')} Or give --accelerator=auto."
        )
    for variable in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        platforms = os.environ.get(variable)
        if platforms:
            return (
                f"The environment variable {variable}={platforms} names no device that "
                "JAX finds here; unset it, set it to cpu, or give --accelerator=cpu."
            )
    return "JAX finds no device here; give --accelerator=cpu."


def _keep_freed_memory() -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # Not glibc: there is no such call.
    trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8
    mallopt(arena_max, 1)
    mallopt(mmap_threshold, 2**30)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 2**26)
