"""Write the data set to disk in one call, which may be interrupted and repeated."""

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from filelock import FileLock, Timeout

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
    """Writes a configuration to `data_dir` unless it is there; returns its builder.

    The folder of the data set appears once all of it is written. The next run removes
    what a killed one left behind. If several runs start at once, such as the processes
    of one training, the first writes the data set and the others wait for it.

    Args:
        data: Name of the configuration, such as "rgz/pairs"; README.md lists them.
        data_dir: Folder of all data sets.
        manual_dir: Folder of the user's own files; README.md describes its layout.
        workers: Number of processes; None for one per core.
        overwrite: Whether to write the data set again if it is there.
        classes: Class list of another survey, for "rgz/pairs" only. The configuration
            is then named "pairs_" followed by the classes.
        beam_options: Pipeline options of Apache Beam, for simulated fields only. An
            empty list selects Beam's local runner, None does without Beam.

    Raises:
        ImageError: Files are missing or unusable; the message says what to put where.
        ValueError: There is no such configuration, or Beam is not installed.
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
                raise ValueError(
                    f"Apache Beam makes simulated fields, not {data}; leave out "
                    "--beam_options."
                )
            builder.beam = True
        builder.workers = workers
        if not sys.stderr.isatty():  # As other progress bars of claran.
            tfds.disable_progress_bar()
        builder.download_and_prepare(
            download_dir=folder / "downloads", download_config=settings
        )
    return builder


def summary(builder: Builder) -> str:
    """Returns the number of fields per split, the folder, and the problems found."""
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
            f"rgz/{config} has its own classes, got {list(classes)}; leave out "
            "--class_names, which only rgz/pairs takes."
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
    """Waits for other runs in this folder, then removes what killed ones left behind.

    The lock ends with the process, however the process ends.
    """
    own = folder / "rgz"
    own.mkdir(parents=True, exist_ok=True)
    lock = FileLock(own / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Waiting for another run that prepares data in {own}.")  # noqa: T201
        lock.acquire(poll_interval=1.0)
    try:
        downloads = folder / "downloads" / "rgz"
        for left in [*own.glob("*/incomplete.*"), *downloads.glob("*.tmp.*")]:
            shutil.rmtree(left)
        yield
    finally:
        lock.release()
