"""Sources of labelled fields, for training, evaluation and preview."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claran.data.annotations import Annotations, Report
from claran.data.checked_files import (
    FileFields,
    check_files,
    choose_split,
    describe_files,
)
from claran.data.field_files import FieldFiles
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
from claran.io.text_files import read_text
from claran.sky.surveys import Survey

__all__ = ["FieldSource", "open_source"]

INFO = "dataset_info.json"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldSource:
    """Labelled fields by number, read when they are needed.

    Attributes:
        fields: The fields.
        class_names: Names of the labels 1, 2 ...
        has_radio: Whether the fields have radio images. If not, they are only pictures,
            for `claran.fields.framing.Picture`.
        fingerprint: Hash of the names and sizes of files and of all labels. It does not
            depend on the place of the data.
        report: Problems with files and labels, which are not among the fields.
        beam_arcsec: Full width at half maximum of the beam, to replace the images';
            None for theirs.
    """

    fields: Source
    class_names: tuple[str, ...]
    has_radio: bool
    fingerprint: str
    report: Report
    beam_arcsec: float | None = None

    def __repr__(self) -> str:
        kind = "radio" if self.has_radio else "picture"
        return (
            f"<FieldSource: {len(self)} {kind} fields, classes "
            f"{', '.join(self.class_names)}>"
        )

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
    """Opens the labelled fields of a split.

    The data may be:

    * a folder prepared by TFDS, with `dataset_info.json`;
    * a folder with `annotations.csv`, radio FITS files, and infrared images if any;
    * a folder with PASCAL VOC `.xml` files and pictures;
    * a COCO `.json` file, with pictures in its folder.

    `claran.data.folders` describes the layouts. Every image is read once here, so that
    a damaged one is reported now and not during a training. Many fields are read faster
    from a prepared folder. If the labels have no splits, or no validation split, these
    follow from positions on the sky, see `claran.data.sky_splits`.

    Args:
        data: Path of one of these.
        split: "train", "validation", "test", "all", or in TFDS's notation a part or a
            sum of them: "train[:100]", "train+validation[50%:]".
        class_names: Names of the labels 1, 2 ...; None for those of the data. Objects
            of other classes are ignored.
        survey: Survey of the images, for what their headers lack; see
            `claran.fields.field.Field`.
        beam_arcsec: Full width at half maximum of the beam, to replace the headers'.

    Raises:
        ImageError: `data` is none of these, or cannot be used.
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
    """Returns the source with a beam, and with survey and beam in its fingerprint."""
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
    info = read_text(folder / INFO)
    records, own = open_prepared(folder, split)
    names = own if class_names is None else tuple(class_names)
    labels = [names.index(name) + 1 if name in names else 0 for name in own]
    report = Report()
    for name in own:
        if name not in names:
            report.add("class without a label", f"{folder}: {name!r} is ignored")
    about: list[Any] = [split, names, info]
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
    checked = check_files(files, labels.classes, report)
    if not checked.files:
        raise ImageError(f"{path}: has no usable field; {report}.")
    chosen: Sequence[FieldFiles] = checked.files
    if split != "all":
        by_split = divide(checked.files, checked.places, report)
        chosen = choose_split(path, by_split, split)
    root = path if path.is_dir() else path.parent
    about = [describe_files(field, root) for field in chosen]
    return FieldSource(
        fields=FileFields(chosen, labels.classes, checked.noise, survey),
        class_names=labels.classes,
        has_radio=all(field.radio is not None for field in chosen),
        fingerprint=_hash([labels.classes, about]),
        report=report,
    )


def _hash(about: Any) -> str:
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
