"""Where a catalog comes from: software, model, images, settings and run."""

import datetime
import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from claran import __version__
from claran.io.atomic import replace_file
from claran.io.paths import readable

__all__ = ["write_provenance"]

FIRST = 1 << 20  # Bytes that are hashed of an image: a mosaic may have terabytes.
PACKAGES = ("astropy", "jax", "jaxlib", "keras", "numpy", "scipy")


def write_provenance(
    path: Path,
    *,
    inputs: Iterable[Path],
    outputs: Iterable[Path] = (),
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    run: Mapping[str, Any],
    command: Sequence[str],
    start: float,
    end: float,
) -> None:
    """Writes a JSON file from which a catalog can be made again.

    Its terms are those of the IVOA's Provenance Data Model 1.0: an activity (`run`, by
    `software` with `settings`) used entities (`inputs`, `model`) and generated others
    (`outputs`). What differs between two runs of the same command is in `run` alone.

    Args:
        path: The file.
        inputs: Images. Of each there is the size, the time of its last change, and the
            SHA-256 of its first MiB, which holds the header.
        outputs: Files that were written, each with its SHA-256; named without folder.
        model: Name and SHA-256 of the model, and what else is known of it.
        settings: All that decides what the results are.
        run: What does not, such as the number of workers.
        command: The command line.
        start: When the run began, in seconds since 1970.
        end: When it ended.

    Raises:
        OSError: A file cannot be read or written.
    """
    about = {
        "activity": "claran survey",
        "software": _versions(),
        "model": dict(model),
        "settings": dict(settings),
        "inputs": [_input(Path(one)) for one in inputs],
        "outputs": [_output(Path(one)) for one in outputs],
        "run": {
            "command": [readable(str(word)) for word in command],
            "start": _time(start),
            "end": _time(end),
            "seconds": round(end - start, 1),
            "machine": f"{platform.system()} {platform.machine()}",
            **run,
        },
    }
    text = json.dumps(about, indent=2, default=_as_json)
    replace_file(path, functools.partial(_write, text))


def _write(text: str, path: Path) -> None:
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _versions() -> dict[str, str]:
    versions = {"claran": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _input(path: Path) -> dict[str, Any]:
    state = path.stat()
    with path.open("rb") as file:
        start = hashlib.sha256(file.read(FIRST)).hexdigest()
    return {
        "path": readable(str(path)),
        "bytes": state.st_size,
        "modified": _time(state.st_mtime),
        "sha256_of_first_mib": start,
    }


def _output(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _time(seconds: float) -> str:
    """Returns a time in UTC.

    >>> _time(0.0)
    '1970-01-01T00:00:00Z'
    """
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_json(value: Any) -> Any:
    """Returns what JSON has no form for as something that it has."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, set | frozenset) else readable(str(value))
