"""Labelled fields by number from a user's files, checked once when they are opened."""

import functools
import os
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from claran.data.annotations import Report
from claran.data.field_files import (
    FieldFiles,
    Place,
    Problems,
    load_field,
    sky_place,
)
from claran.data.records import no_split
from claran.errors import ImageError
from claran.fields.field import Field
from claran.io.parallel import parallel_map
from claran.sky.surveys import Survey

__all__ = [
    "CheckedFiles",
    "FileFields",
    "check_files",
    "choose_split",
    "describe_files",
]

MANY = 500  # Fields; for fewer, starting processes takes longer than it saves.


class CheckedFiles(NamedTuple):
    """The usable fields among files."""

    files: list[FieldFiles]
    places: list[Place]  # Position and size of each on the sky.
    noise: dict[str, float | None]  # By name, Jy/beam; None for a picture.


class FileFields:
    """Fields by number, read from their files.

    Args:
        files: Labels and images of each field.
        classes: Names of the labels 1, 2 ...
        noise: Noise of each field by name, from `check_files`.
        survey: See `claran.data.sources.open_source`.
    """

    def __init__(
        self,
        files: Sequence[FieldFiles],
        classes: tuple[str, ...],
        noise: Mapping[str, float | None],
        survey: Survey | None,
    ) -> None:
        self._files = files
        self._classes = classes
        self._noise = {f.labels.name: noise[f.labels.name] for f in files}
        self._survey = survey

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Field:
        files = self._files[index]
        loaded, problems = load_field(
            files,
            self._classes,
            survey=self._survey,
            noise=self._noise[files.labels.name],
        )
        if loaded is None:  # It could be read when the source was opened.
            raise ImageError("; ".join(message for _, message in problems))
        return loaded.field


def check_files(
    files: Sequence[FieldFiles], classes: Sequence[str], report: Report
) -> CheckedFiles:
    """Reads every field once, and returns those that can be used.

    Args:
        files: Labels and images of each field.
        classes: Names of the labels 1, 2 ...
        report: Receives the problems.
    """
    workers = None if len(files) >= MANY else 1
    checked = parallel_map(
        functools.partial(_check, classes=classes), files, workers=workers
    )
    bar = tqdm(
        checked, "Checking", len(files), unit="field", disable=None, delay=2,
        leave=False,
    )  # fmt: skip
    usable = CheckedFiles([], [], {})
    for field, (problems, place, sigma) in zip(files, bar, strict=True):
        for kind, message in problems:
            report.add(kind, message)
        if place is not None:
            usable.files.append(field)
            usable.places.append(place)
            usable.noise[field.labels.name] = sigma
    return usable


def _check(
    files: FieldFiles, classes: Sequence[str]
) -> tuple[Problems, Place | None, float | None]:
    """Returns the problems of a field, and its place and noise if it can be used."""
    loaded, problems = load_field(files, classes)
    if loaded is None:
        return problems, None, None
    field = loaded.field
    return (
        problems,
        sky_place(field.name, field.image),
        field.noise if field.has_radio else None,
    )


def choose_split(
    path: Path, by_split: dict[str, list[FieldFiles]], split: str
) -> list[FieldFiles]:
    """Returns the fields of a split, or of a part or a sum of splits.

    Args:
        path: Path of the data, for the message.
        by_split: The fields of each split.
        split: See `claran.data.sources.open_source`.

    Raises:
        ValueError: There is no such split.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415 - slow, and not always needed

    sizes = {name: len(own) for name, own in by_split.items()}
    infos = {  # TFDS takes a split for a single file.
        name: types.SimpleNamespace(num_examples=size, shard_lengths=[size])
        for name, size in sizes.items()
    }
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(infos)
    except (ValueError, NotImplementedError) as error:
        raise no_split(path, split, sizes, error) from None
    return [
        field
        for part in parts
        for field in by_split[part.splitname][part.from_ : part.to]
    ]


def describe_files(files: FieldFiles, root: Path) -> list[Any]:
    """Returns labels and sizes of files for a fingerprint, for JSON.

    Args:
        files: Labels and images of a field.
        root: Folder of the data.
    """
    labels = files.labels
    objects = [
        [o.box.tolist(), o.code, o.ignore, o.consensus, o.component_sky.tolist()]
        for o in labels.objects
    ]
    images = [
        [os.path.relpath(path, root), path.stat().st_size]
        for path in (files.radio, files.picture)
        if path is not None
    ]
    hosts = [(o.host, o.host_sky) for o in labels.objects]
    return [labels.name, images, objects, hosts]
