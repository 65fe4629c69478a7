"""Labelled fields in a user's folder: FITS files with a table, COCO, or PASCAL VOC.

The layouts are as follows. Pictures and FITS files may be in subfolders of any depth:

| labels | images |
|---|---|
| `FOLDER/annotations.csv`, see `annotations_csv` | radio FITS, infrared, in FOLDER |
| `FOLDER/NAME.json`, COCO | pictures in FOLDER |
| `FOLDER/*.xml` or `FOLDER/Annotations/*.xml`, VOC | pictures in FOLDER |

The lists of VOC `FOLDER/ImageSets/Main/train.txt`, `val.txt` (or `validation.txt`) and
`test.txt`, if they exist, give the splits.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from claran.data.annotations import Annotations, FieldLabels, Report
from claran.data.annotations_coco import read_coco
from claran.data.annotations_csv import read_csv
from claran.data.annotations_voc import read_voc
from claran.data.field_files import FieldFiles, Place
from claran.data.sky_splits import LINK_ARCMIN, complete_splits
from claran.errors import ImageError
from claran.io.paths import FITS_ENDINGS, KINDS, PICTURE_ENDINGS, field_name

__all__ = ["TABLE", "divide", "find_coco", "find_pairs", "find_voc", "voc_folder"]

TABLE = "annotations.csv"
INFRARED_FOLDERS = {"infrared", "ir", "wise", "w1"}
SPLITS = ("train", "validation", "test")
LISTS = (
    ("train", "train"), ("val", "validation"), ("validation", "validation"),
    ("test", "test"),
)  # fmt: skip


def find_pairs(
    folder: Path, classes: Sequence[str] | None
) -> tuple[list[FieldFiles], Annotations]:
    """Returns the fields of `annotations.csv` that have a radio image, and all labels.

    Args:
        folder: Folder of the table and the images.
        classes: Names of the classes; see `claran.data.annotations.gather`.

    Raises:
        ImageError: There is no table, or no labelled field has an image.
    """
    table = folder / TABLE
    if not table.is_file():
        raise ImageError(f"{table}: no such file; write the table of boxes there.")
    labels = read_csv(table, classes=classes)
    report = labels.report
    radio, infrared = _index_pairs(folder, report)
    found = []
    for field in labels.fields:
        image = _choose(folder, field.image, radio.pop(field.name, None))
        if image is None:
            report.add("missing image", f"{field.name}: no FITS file in {folder}")
            continue
        counterpart = _choose(folder, field.infrared, infrared.pop(field.name, None))
        if counterpart is None and field.infrared:
            report.add("missing infrared image", f"{field.name}: {field.infrared}")
        found.append(FieldFiles(labels=field, radio=image, picture=counterpart))
    for name, path in radio.items():
        report.add("image without annotation", f"{name}: {path.name}")
    if not found:
        raise ImageError(
            f"{folder}: none of the {len(labels.fields)} fields in {TABLE} has a FITS "
            "file of its name; see README.md for the layout."
        )
    return found, labels


def find_coco(
    path: Path, classes: Sequence[str] | None
) -> tuple[list[FieldFiles], Annotations]:
    """Returns the fields of a COCO file that have a picture, and all labels.

    Args:
        path: The `.json` file.
        classes: Names of the classes; None for the categories of the file.

    Raises:
        ImageError: The file cannot be used, or none of its images exists.
    """
    labels = read_coco(path, classes=classes)
    return _with_pictures(path.parent, labels), labels


def find_voc(
    folder: Path, classes: Sequence[str] | None
) -> tuple[list[FieldFiles], Annotations]:
    """Returns the fields with a PASCAL VOC file and a picture, and all labels.

    Args:
        folder: Folder in VOC's layout; see the top of this module.
        classes: Names of the classes; None for the classes in the files.

    Raises:
        ImageError: There is no VOC file, or none has a picture.
    """
    labels = read_voc(voc_folder(folder) or folder, classes=classes)
    splits = _read_lists(folder / "ImageSets/Main", labels.report)
    if splits:
        fields = [field for field in labels.fields if field.name in splits]
        for name in {field.name for field in labels.fields} - splits.keys():
            labels.report.add("in no list", name)
        for name in splits.keys() - {field.name for field in fields}:
            labels.report.add("missing annotation", name)
        split = [dataclasses.replace(f, split=splits[f.name]) for f in fields]
        labels = dataclasses.replace(labels, fields=tuple(split))
    return _with_pictures(folder, labels), labels


def voc_folder(folder: Path) -> Path | None:
    """Returns the folder of the VOC files, `folder` or its `Annotations`, or None."""
    places = (folder / "Annotations", folder)
    return next((place for place in places if any(place.glob("*.xml"))), None)


def divide(
    files: Sequence[FieldFiles], places: Sequence[Place], report: Report
) -> dict[str, list[FieldFiles]]:
    """Returns the fields of each split, without empty splits.

    Args:
        files: The fields. Splits in their labels are kept; see
            `claran.data.sky_splits.complete_splits`.
        places: Position and size of each field on the sky.
        report: Receives the problems.
    """
    names = [field.labels.name for field in files]
    known = dict(zip(names, places, strict=True))
    if not any(field.labels.split for field in files):
        for name, (position, _) in known.items():
            if position is None:
                report.add("without a position", f"{name}: may overlap another split")
    sides = [side for _, side in places]
    splits = complete_splits(
        {field.labels.name: field.labels.split for field in files},
        {name: position for name, (position, _) in known.items() if position},
        report,
        link_arcmin=min(600.0, max([LINK_ARCMIN, *(2 * side for side in sides)])),
    )
    found = {
        split: [field for field in files if splits[field.labels.name] == split]
        for split in SPLITS
    }
    return {split: own for split, own in found.items() if own}


def _index_pairs(
    folder: Path, report: Report
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Returns radio and infrared files by the name of the field."""
    radio: dict[str, Path] = {}
    infrared: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        ending = path.name.lower()
        if not ending.endswith(FITS_ENDINGS + PICTURE_ENDINGS) or not path.is_file():
            continue
        index = infrared if _is_infrared(path.relative_to(folder)) else radio
        kept = index.setdefault(field_name(path), path)
        if kept is not path:
            report.add("duplicated image", f"{path.name} beside {kept.name}")
    return radio, infrared


def _is_infrared(path: Path) -> bool:
    if not path.name.lower().endswith(FITS_ENDINGS):
        return True
    kind = KINDS.search(path.name.split(".fit")[0])
    if kind is not None:
        return kind.group(1).lower() != "radio"
    return bool(INFRARED_FOLDERS & {part.lower() for part in path.parts[:-1]})


def _choose(folder: Path, named: str, found: Path | None) -> Path | None:
    if not named:
        return found
    return folder / named if (folder / named).is_file() else None


def _with_pictures(folder: Path, labels: Annotations) -> list[FieldFiles]:
    """Returns the fields with a picture in the folder, and reports the others."""
    pictures = _index_pictures(folder, labels.report)
    found = []
    for field in labels.fields:
        path = _picture(folder, field, pictures)
        if path is None:
            named = field.image or f"{field.name}.png"
            labels.report.add("missing image", f"{field.name}: no {named} in {folder}")
        else:
            found.append(FieldFiles(labels=field, radio=None, picture=path))
    if not found:
        raise ImageError(
            f"{folder}: none of {len(labels.fields)} labelled pictures is there; "
            f"{labels.report}. For FITS files, write the labels to {TABLE}."
        )
    return found


def _index_pictures(folder: Path, report: Report) -> dict[str, Path]:
    """Returns the pictures by their names without the ending."""
    pictures: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURE_ENDINGS and path.is_file():
            kept = pictures.setdefault(path.stem, path)
            if kept is not path:
                report.add("duplicated image", f"{path} beside {kept}")
    return pictures


def _picture(
    folder: Path, field: FieldLabels, pictures: Mapping[str, Path]
) -> Path | None:
    # Labels may come from others: paths that lead out of the folder are not followed.
    named = folder / field.image
    inside = named.resolve().is_relative_to(folder.resolve())
    if inside and named.suffix.lower() in PICTURE_ENDINGS and named.is_file():
        return named
    return pictures.get(Path(field.image).stem) or pictures.get(field.name)


def _read_lists(folder: Path, report: Report) -> dict[str, str]:
    """Returns the split of each name in VOC's lists."""
    splits: dict[str, str] = {}
    for stem, split in LISTS:
        path = folder / f"{stem}.txt"
        if not path.is_file():
            continue
        try:
            names = path.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ImageError(f"{path}: cannot be read as a list ({error}).") from None
        for name in names:
            # The later list is used, so that no test field is trained on.
            if splits.get(name, split) != split:
                report.add("conflicting", f"{name}: is in {splits[name]} and {split}")
            splits[name] = split
    return splits
