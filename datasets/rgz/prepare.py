"""Makes the data set on disk: one call, safe to interrupt and to repeat."""

import contextlib
import fcntl
import importlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from claran.errors import ImageError

from .rgz_dataset_builder import Builder, RgzConfig

__all__ = ["DEFAULT_FOLDER", "prepare", "summary"]

DEFAULT_FOLDER = "~/tensorflow_datasets"


def prepare(
    data: str,
    *,
    data_dir: str | os.PathLike = DEFAULT_FOLDER,
    manual_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    classes: Sequence[str] | None = None,
    beam_options: Sequence[str] | None = None,
) -> Builder:
    """Makes a configuration in `data_dir` unless it is there; returns its builder.

    The folder of the data set appears when all of it is written. What a killed run left
    behind is removed by the next one. Of several at once, one makes it and the others
    wait: such as the processes of one training.

    Args:
        data: Such as "rgz/pairs"; README.md lists the configurations.
        data_dir: Where data sets are kept.
        manual_dir: The user's own files; their layout is in README.md.
        workers: Processes; None for one a core.
        overwrite: Whether to make it again if it is there.
        classes: For "rgz/pairs", the class list of another survey; the configuration is
            then called "pairs_" and the classes.
        beam_options: Options of Apache Beam's pipeline, for simulated fields; without
            any for Beam's local runner, None for no Beam.

    Raises:
        ImageError: Files are missing or unusable; says what to put where.
        ValueError: There is no such configuration, or Beam is missing.
    """
    config = _config(data, classes)
    folder = Path(data_dir).expanduser()
    manual = None if manual_dir is None else Path(manual_dir).expanduser()
    if manual is not None and not manual.is_dir():
        raise ImageError(f"--manual_dir {manual}: no such folder.")
    settings = _settings(manual, beam_options, overwrite=overwrite)
    builder = _builder(config, folder)
    if builder.is_prepared() and not overwrite:
        return builder
    with _alone(folder):
        builder = _builder(config, folder)  # Another run may have made it meanwhile.
        if beam_options is not None:
            if not data.startswith("rgz/simulated"):
                raise ValueError(f"Apache Beam makes simulated fields, not {data}.")
            builder.beam = True
        builder.workers = workers
        builder.download_and_prepare(
            download_dir=folder / "downloads", download_config=settings
        )
    return builder


def summary(builder: Builder) -> str:
    """Returns the number of fields of each split, the folder, and what was wrong."""
    splits = ", ".join(
        f"{name} {split.num_examples:,}" for name, split in builder.info.splits.items()
    )
    lines = [f"{builder.info.full_name}: {splits} fields in {builder.data_path}"]
    metadata: Any = builder.info.metadata or {}
    for kind, found in json.loads(metadata.get("report", "{}")).items():
        first = "; ".join(found["first"])
        more = "; ..." if found["count"] > len(found["first"]) else ""
        lines.append(f"{found['count']} {kind}: {first}{more}")
    return "\n".join(lines)


def _builder(config: str | RgzConfig, folder: Path) -> Builder:
    return Builder(
        config=config, data_dir=folder, file_format="array_record", version=None
    )


def _config(data: str, classes: Sequence[str] | None) -> str | RgzConfig:
    name, _, config = data.partition("/")
    known = sorted(Builder.builder_configs)
    if name != "rgz" or config not in known:
        raise ValueError(
            f"There is no data set {data!r}; there are "
            f"{', '.join(f'rgz/{known_name}' for known_name in known)}."
        )
    if classes is None:
        return config
    if config != "pairs":
        raise ValueError(
            f"rgz/{config} has its own classes; only rgz/pairs takes some."
        )
    return RgzConfig(
        name="_".join(["pairs", *classes]).lower(),
        kind="pairs",
        classes=tuple(classes),
        version="1.2.0",
        description=f"Radio FITS with infrared images; {', '.join(classes)}.",
    )


def _settings(
    manual: Path | None, beam_options: Sequence[str] | None, *, overwrite: bool
) -> tfds.download.DownloadConfig:
    mode = tfds.GenerateMode
    settings = tfds.download.DownloadConfig(
        manual_dir=manual,
        download_mode=(
            mode.REUSE_CACHE_IF_EXISTS if overwrite else mode.REUSE_DATASET_IF_EXISTS
        ),
        try_download_gcs=False,
    )
    if beam_options is not None:
        if importlib.util.find_spec("apache_beam") is None:
            raise ValueError(
                "Apache Beam is not installed: python -m pip install 'claran[beam]'."
            )
        beam = importlib.import_module("apache_beam.options.pipeline_options")
        settings.beam_options = beam.PipelineOptions(list(beam_options))
    return settings


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits for other runs in the data set's folder; removes what killed ones left.

    The lock ends with the process, however it ends. It is on a file, as network file
    systems lock nothing else.
    """
    own = folder / "rgz"
    own.mkdir(parents=True, exist_ok=True)
    with (own / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another run, which prepares data in {own}.")  # noqa: T201
            fcntl.flock(lock, fcntl.LOCK_EX)
        downloads = folder / "downloads" / "rgz"
        for left in [*own.glob("*/incomplete.*"), *downloads.glob("*.tmp.*")]:
            shutil.rmtree(left)
        yield
