"""The record of a training, `run.json`, with all that is needed to reproduce it."""

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from claran.training.checkpoints import write_json

__all__ = ["RUN", "TrainingError", "finish_run", "open_run"]

RUN = "run.json"
PACKAGES = (
    "claran",
    "jax",
    "jaxlib",
    "keras",
    "numpy",
    "grain",
    "opencv-python-headless",
)


class TrainingError(ValueError):
    """A training cannot start or continue; the message says why and what to do."""


def open_run(folder: Path, settings: dict[str, Any], *, write: bool) -> dict[str, Any]:
    """Returns the record of the training in a folder, or a new one.

    Args:
        folder: Output folder of the training.
        settings: All settings that affect the result; values for JSON.
        write: Whether this process writes. Of several processes only one does.

    Returns:
        The record. Its `result` is None until the training has finished.

    Raises:
        TrainingError: The folder has a training with other settings, or a file
            `run.json` that is not the record of a training.
    """
    path = folder / RUN
    settings = json.loads(json.dumps(settings))
    if path.exists():
        record = _read(path)
        _check_same(path, record.get("settings", {}), settings)
        return record
    record = {
        "settings": settings,
        "command": _command(),
        "versions": _versions(),
        "git": _git(),
        "hardware": _hardware(),
        "started": _now(),
        "result": None,
    }
    if write:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
    return record


def finish_run(folder: Path, record: dict[str, Any], result: dict[str, Any]) -> None:
    """Adds the result of a training to its record.

    Args:
        folder: Output folder of the training.
        record: The record that `open_run` returned.
        result: Values for JSON.
    """
    write_json(folder / RUN, record | {"ended": _now(), "result": result})


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text("utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise TrainingError(
            f"{path}: not the record of a training; give another --output."
        )
    return record


def _check_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    changes = [
        f"{name} was {old.get(name)}, now {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if changes:
        raise TrainingError(
            f"{path}: the training in this folder has other settings: "
            f"{'; '.join(changes)}. Give the same settings to resume it, or another "
            "--output."
        )


def _command() -> list[str]:
    """Returns the command as the user types it, without the path of this package."""
    script, *arguments = sys.argv
    if Path(script).resolve() == Path(__file__).resolve().parents[1] / "main.py":
        return ["python", "-m", "claran.main", *arguments]
    return sys.argv


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _git() -> dict[str, Any] | None:
    """Returns the commit of the code and whether it was changed; None without git."""
    here = Path(__file__).resolve().parent
    try:
        _, commit, changes = (
            subprocess.run(
                ["git", "-C", str(here), *command],
                check=True, capture_output=True, text=True, timeout=20,
            ).stdout.strip()
            for command in (
                # Fails for an installed copy inside the repository of another project.
                ["ls-files", "--error-unmatch", Path(__file__).name],
                ["rev-parse", "HEAD"],
                ["status", "--porcelain", "-uno"],
            )
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": bool(changes)}


def _hardware() -> dict[str, Any]:
    devices = jax.devices()
    return {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in devices],
        "processes": jax.process_count(),
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
