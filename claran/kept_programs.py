"""Traced programs of networks and fits, kept beside what JAX has compiled of them.

JAX keeps compiled programs, but to find one it traces the function anew in each
process. For a network, this takes 0.8 CPU s for each size of its input, and 0.15 with a
program that is kept here. Weights are arguments of a program, no part of it.
"""

import contextlib
import functools
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax import export

from claran import accelerator
from claran.io.atomic import replace_file
from claran.io.resuming import code_fingerprint

__all__ = ["open_program"]

FOLDER, ENDING = "traced", ".traced.gz"
MOST = 200  # Files; of a network's 64 to 512 pixels each has 0.05 to 1.5 MB.


def open_program(
    function: Callable[..., Any], arguments: Sequence[Any], about: Mapping[str, Any]
) -> Callable[..., Any]:
    """Returns a function as a program for arguments of the same shapes.

    It is traced if it is not kept yet, or if the file is damaged. Without a folder that
    can be written it is traced in each process. The results are the same, bit for bit.

    Args:
        function: Takes and returns arrays, or lists and dictionaries of them. Named
            tuples are registered with `jax.export`.
        arguments: Its arguments.
        about: What else decides on the program, beside claran's code and the versions
            of JAX and Keras; values for JSON.
    """
    folder = _folder()
    if folder is None:
        return jax.jit(function)
    key = _key(arguments, about)
    path = folder / f"{hashlib.sha256(key).hexdigest()}{ENDING}"
    program = _read(path, key)
    if program is None:
        try:
            program = export.export(jax.jit(function))(*arguments)
            _keep(path, key, program)
        except (NotImplementedError, ValueError):  # It has what JAX cannot export.
            return jax.jit(function)
    return jax.jit(program.call)


def _folder() -> Path | None:
    """Returns where programs are kept; None if JAX keeps none, or not in a folder."""
    config: Any = jax.config
    folder = config.jax_compilation_cache_dir
    if not (folder and config.jax_enable_compilation_cache) or "://" in folder:
        return None
    return Path(folder, FOLDER)


def _key(arguments: Sequence[Any], about: Mapping[str, Any]) -> bytes:
    leaves, tree = jax.tree.flatten(arguments)
    device, config = accelerator.current_device(), jax.config
    key = {
        "claran": _code(),
        "versions": [version(name) for name in ("jax", "jaxlib", "keras")],
        "device": [device.platform, str(device.device_kind)],
        "precision": str(config.jax_default_matmul_precision),  # pyright: ignore
        "arguments": [str(tree), [f"{leaf.dtype}{leaf.shape}" for leaf in leaves]],
        "about": about,
    }
    return json.dumps(key, sort_keys=True).encode()


@functools.cache
def _code() -> str:
    return code_fingerprint()


def _read(path: Path, key: bytes) -> export.Exported | None:
    """Returns the program of a file; None if it must be made."""
    try:
        held, _, content = gzip.decompress(path.read_bytes()).partition(b"\0")
        return export.deserialize(bytearray(content)) if held == key else None
    except Exception:  # A damaged file fails in many ways.
        return None


def _keep(path: Path, key: bytes, program: export.Exported) -> None:
    """Writes a program if that is possible, and removes the oldest of very many."""
    content = gzip.compress(key + b"\0" + program.serialize(), 1)
    with contextlib.suppress(OSError):
        replace_file(path, lambda partial: partial.write_bytes(content))
        kept = path.parent.glob(f"*{ENDING}")
        for old in sorted(kept, key=lambda one: one.stat().st_mtime)[:-MOST]:
            old.unlink()
