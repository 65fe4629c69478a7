"""Opens whatever labelled data a user names, for training, evaluation and preview."""

import dataclasses
import functools
import hashlib
import json
import os
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from claran.data.annotations import Annotations, Report
from claran.data.field_files import (
    FieldFiles,
    Place,
    Problems,
    load_field,
    sky_place,
)
from claran.data.folders import (
    TABLE,
    divide,
    find_coco,
    find_pairs,
    find_voc,
    voc_folder,
)
from claran.data.records import Records, open_prepared
from claran.errors import ImageError
from claran.fields.batches import Source
from claran.fields.field import Field
from claran.fields.reading import with_beam
from claran.io.parallel import parallel_map
from claran.sky.surveys import Survey

__all__ = ["FieldSource", "open_source"]

INFO = "dataset_info.json"
MANY = 500  # Fields; for fewer it does not pay to start processes.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldSource:
    """Labelled fields by number, read when asked for; a `Source` of the pipeline.

    Attributes:
        fields: The fields.
        class_names: Names of the labels 1, 2 ...
        has_radio: False if the fields are nothing but pictures, which only
            `claran.fields.framing.Picture` takes.
        fingerprint: Hash of the files' names and sizes and of all labels; the same
            data give the same, wherever they lie.
        report: What was wrong, and so is not among the fields.
        beam_arcsec: Width of the beam in place of the images'; None for theirs.
    """

    fields: Source
    class_names: tuple[str, ...]
    has_radio: bool
    fingerprint: str
    report: Report
    beam_arcsec: float | None = None

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, index: int) -> Field:
        field = self.fields[index]
        if self.beam_arcsec is None or field.image is None:
            return field
        image = with_beam(field.image, self.beam_arcsec, survey=field.survey)
        return field.replace(image=image)


def open_source(
    data: str | os.PathLike,
    split: str = "train",
    *,
    class_names: Sequence[str] | None = None,
    survey: Survey | None = None,
    beam_arcsec: float | None = None,
) -> FieldSource:
    """Returns the fields of a split of any of these.

    * A folder that TFDS has prepared: it holds `dataset_info.json`.
    * A folder with `annotations.csv`, radio FITS files and, if there are any, infrared
      ones.
    * A folder with PASCAL VOC XML and pictures.
    * A COCO `.json` file, pictures beside or below it.

    `claran.data.folders` says how such folders look. Every image is read once here, so
    that a damaged one is reported now and not in the middle of a training; for many
    fields it is better to prepare a data set. Where the labels name no split, or no
    validation, places on the sky make them, see `claran.data.sky_splits`.

    Args:
        data: One of these.
        split: "train", "validation", "test", "all", or in TFDS's notation a part or a
            sum of them: "train[:100]", "train+validation[50%:]".
        class_names: Names of the labels 1, 2 ...; None for those the data name. Objects
            of other classes are ignored.
        survey: What the images do not say, such as their beam; None for what is written
            in `claran.fields.field.Field`.
        beam_arcsec: Full width at half maximum of the beam, in place of the images'.

    Raises:
        ImageError: `data` is none of these, or cannot be used; says what to do.
        ValueError: There is no such split.
    """
    path = Path(data).expanduser()
    if (path / INFO).is_file():
        source = _open_prepared(path, split, class_names, survey)
        return _with_beam(source, survey, beam_arcsec)
    find = _finder(path)
    if find is None:
        what = "no labelled data" if path.exists() else "no such file or folder"
        raise ImageError(
            f"{path}: {what}; give a folder with {INFO} (made by --mode=prepare), with "
            f"{TABLE} and FITS files, or with PASCAL VOC .xml files, or a COCO .json "
            "file."
        )
    files, labels = find(path, class_names)
    source = _open_files(path, files, labels, split, survey)
    return _with_beam(source, survey, beam_arcsec)


def _with_beam(
    source: FieldSource, survey: Survey | None, beam_arcsec: float | None
) -> FieldSource:
    """Returns the fields with a beam, and a fingerprint that tells what was assumed."""
    if survey is None and beam_arcsec is None:
        return source
    about = [source.fingerprint, survey and dataclasses.asdict(survey), beam_arcsec]
    return dataclasses.replace(
        source, fingerprint=_hash(about), beam_arcsec=beam_arcsec
    )


def _finder(path: Path) -> Any:
    if path.is_file():
        return find_coco if path.suffix.lower() == ".json" else None
    if (path / TABLE).is_file():
        return find_pairs
    return find_voc if voc_folder(path) else None


def _open_prepared(
    folder: Path,
    split: str,
    class_names: Sequence[str] | None,
    survey: Survey | None,
) -> FieldSource:
    records, own = open_prepared(folder, split)
    names = own if class_names is None else tuple(class_names)
    labels = [names.index(name) + 1 if name in names else 0 for name in own]
    report = Report()
    for name in own:
        if name not in names:
            report.add("class without a label", f"{folder}: {name!r} is ignored")
    about: list[Any] = [split, names, (folder / INFO).read_text("utf-8")]
    about += [[p.name, p.stat().st_size] for p in sorted(folder.iterdir())]
    return FieldSource(
        fields=Records(records, labels, survey=survey),
        class_names=names,
        has_radio="radio" in records.dataset_info.features,
        fingerprint=_hash(about),
        report=report,
    )


def _open_files(
    path: Path,
    files: Sequence[FieldFiles],
    labels: Annotations,
    split: str,
    survey: Survey | None,
) -> FieldSource:
    report = labels.report
    workers = None if len(files) >= MANY else 1
    check = functools.partial(_check, classes=labels.classes)
    checked = parallel_map(check, files, workers=workers)
    shown = tqdm(
        checked,
        "Checking",
        len(files),
        unit="field",
        disable=None,
        delay=2,
        leave=False,
    )
    usable, places = [], []
    noise: dict[str, float | None] = {}
    for field, (problems, place, sigma) in zip(files, shown, strict=True):
        for kind, message in problems:
            report.add(kind, message)
        if place is not None:
            usable.append(field)
            places.append(place)
            noise[field.labels.name] = sigma
    if not usable:
        raise ImageError(f"{path}: no usable field; {report}.")
    chosen = usable
    if split != "all":
        chosen = _choose(path, divide(usable, places, report), split)
    root = path if path.is_dir() else path.parent
    about = [_describe(field, root) for field in chosen]
    return FieldSource(
        fields=_Fields(chosen, labels.classes, noise, survey),
        class_names=labels.classes,
        has_radio=all(field.radio is not None for field in chosen),
        fingerprint=_hash([labels.classes, about]),
        report=report,
    )


class _Fields:
    """Fields by number out of their files.

    Args:
        files: Labels and images of each.
        classes: Names of the labels 1, 2 ...
        noise: Measured when the files were checked, by name: once is enough.
        survey: See `open_source`.
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
        if loaded is None:  # It was there when the source was opened.
            raise ImageError("; ".join(message for _, message in problems))
        return loaded.field


def _check(
    files: FieldFiles, classes: Sequence[str]
) -> tuple[Problems, Place | None, float | None]:
    """Returns what is wrong with a field, its place and its noise if it can be used."""
    loaded, problems = load_field(files, classes)
    if loaded is None:
        return problems, None, None
    field = loaded.field
    return (
        problems,
        sky_place(field.name, field.image),
        field.noise if field.has_radio else None,
    )


def _choose(
    path: Path, by_split: dict[str, list[FieldFiles]], split: str
) -> list[FieldFiles]:
    import tensorflow_datasets as tfds  # noqa: PLC0415 - slow, and not always needed

    sizes = {
        name: types.SimpleNamespace(num_examples=len(own))
        for name, own in by_split.items()
    }
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(sizes)
    except (ValueError, AssertionError) as error:
        raise ValueError(
            f"{path}: cannot give the split {split!r} ({error}); it has "
            f"{', '.join(f'{name} ({len(own)})' for name, own in by_split.items())}."
        ) from None
    return [
        field
        for part in parts
        for field in by_split[part.splitname][part.from_ : part.to]
    ]


def _describe(files: FieldFiles, root: Path) -> list[Any]:
    """Returns what a fingerprint depends on, as JSON takes it."""
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


def _hash(about: Any) -> str:
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
