"""Labelled fields in a user's folder: FITS files with a table, COCO, or PASCAL VOC.

The layouts are as follows. Pictures and FITS files may be in subfolders of any depth:

| labels | images |
|---|---|
| `FOLDER/annotations.csv`, see `annotations_csv` | radio FITS, infrared, in FOLDER |
| `FOLDER/NAME.json`, COCO | pictures in FOLDER |
| `FOLDER/*.xml` or `FOLDER/Annotations/*.xml`, or one level below, VOC | pictures in \
FOLDER |

The lists of VOC `FOLDER/ImageSets/Main/train.txt`, `val.txt` (or `validation.txt`) and
`test.txt`, if they exist, give the splits; so does `trainval.txt`, for other fields.
"""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from claran.data.annotations import Annotations, FieldLabels, Report
from claran.data.annotations_coco import read_coco
from claran.data.annotations_csv import read_csv
from claran.data.annotations_voc import read_voc, voc_paths
from claran.data.field_files import FieldFiles, Place
from claran.data.field_names import FieldNames, without_ending
from claran.data.image_files import match_files, path_in_folder
from claran.data.sky_splits import LINK_ARCMIN, complete_splits
from claran.errors import ImageError
from claran.io.paths import (
    FITS_ENDINGS,
    PICTURE_ENDINGS,
    bare_name,
    field_name,
    infrared_name,
)
from claran.io.text_files import read_text

__all__ = ["TABLE", "divide", "find_coco", "find_pairs", "find_voc", "voc_folder"]

TABLE = "annotations.csv"
INFRARED_FOLDERS = {"infrared", "ir", "wise", "w1"}
SPLITS = ("train", "validation", "test")
NUMBER = re.compile(r"\s+-?[01]$")  # Whether the class is there.
LISTS = (
    ("trainval", "train"),
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
    radio, infrared = _image_files(folder, labels.fields)
    images = match_files(
        folder, radio, [[field.image or field.name] for field in labels.fields],
        (str, _field_name), report,
    )  # fmt: skip
    pictures = match_files(
        folder, infrared, [[field.infrared or field.name] for field in labels.fields],
        (str, _field_name), report,
    )  # fmt: skip
    found = []
    for field, image, picture in zip(labels.fields, images, pictures, strict=True):
        if image is None:
            named = f" named {field.image}" if field.image else ""
            what = f"{field.name}: no FITS file{named} in {folder}"
            report.add("missing image", what)
            continue
        if picture is None and field.infrared:
            report.add("missing infrared image", f"{field.name}: {field.infrared}")
        found.append(FieldFiles(labels=field, radio=image, picture=picture))
    known = {field_name(path) for path in images if path is not None}
    for path in radio:
        if field_name(path) not in known:
            what = f"{field_name(path)}: {path.name}"
            report.add("image without annotation", what)
    if not found:
        first, *_ = labels.fields
        raise ImageError(
            f"{folder}: none of the {len(labels.fields)} fields in {TABLE} has a FITS "
            f"file of its name, such as {without_ending(first.name)}.fits; see "
            f"README.md for the layout. Problems: {report}."
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
    names = FieldNames(field.name for field in labels.fields)
    splits = _read_lists(folder / "ImageSets/Main", names, labels.report)
    if splits:
        fields = [field for field in labels.fields if field.name in splits]
        for name in sorted({field.name for field in labels.fields} - splits.keys()):
            labels.report.add("in no list", name)
        split = [dataclasses.replace(f, split=splits[f.name]) for f in fields]
        labels = dataclasses.replace(labels, fields=tuple(split))
    return _with_pictures(folder, labels), labels


def voc_folder(folder: Path) -> Path | None:
    """Returns the folder of the VOC files, `folder` or its `Annotations`, or None."""
    places = (folder / "Annotations", folder)
    return next((place for place in places if voc_paths(place)), None)


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


def _image_files(
    folder: Path, fields: Sequence[FieldLabels]
) -> tuple[list[Path], list[Path]]:
    """Returns radio and infrared files."""
    paths = _files(folder, FITS_ENDINGS + PICTURE_ENDINGS)
    # A file that a label names may have any name.
    named = {
        kind: {
            folder / place
            for field in fields
            if (text := getattr(field, kind)) and (place := path_in_folder(text))
            if os.path.isfile(folder / place)
        }
        for kind in ("image", "infrared")
    }
    infrared = {path for path in paths if _is_infrared(path.relative_to(folder))}
    infrared = (infrared | named["infrared"]) - named["image"]
    return sorted({*paths, *named["image"]} - infrared), sorted(infrared)


def _files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.name.lower().endswith(endings))
    return sorted(path for path in found if path.is_file())


def _field_name(name: str) -> str:
    return field_name(Path(name))


def _is_infrared(path: Path) -> bool:
    if not path.name.lower().endswith(FITS_ENDINGS):
        return True
    if field_name(path) != bare_name(path):  # The name of the file says what it is.
        return infrared_name(path)
    return bool(INFRARED_FOLDERS & {part.lower() for part in path.parts[:-1]})


def _with_pictures(folder: Path, labels: Annotations) -> list[FieldFiles]:
    """Returns the fields with a picture in the folder, and reports the others."""
    wanted = [
        [field.image, field.name] if field.image else [field.name]
        for field in labels.fields
    ]
    pictures = match_files(
        folder, _files(folder, PICTURE_ENDINGS), wanted, (str, without_ending),
        labels.report,
    )  # fmt: skip
    found = []
    for field, path in zip(labels.fields, pictures, strict=True):
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


def _read_lists(folder: Path, names: FieldNames, report: Report) -> dict[str, str]:
    """Returns the split of each field in VOC's lists, one name on a line.

    A name may have its ending and folders. In lists of one class a number follows.
    """
    splits: dict[str, str] = {}
    # The list of both is for fields that are in neither of them.
    both: set[str] = set()
    for stem, split in LISTS:
        path = folder / f"{stem}.txt"
        if not path.is_file():
            continue
        for line in filter(None, map(str.strip, read_text(path).splitlines())):
            name = names.find(line) or names.find(NUMBER.sub("", line))
            if name is None:
                report.add("missing annotation", f"{line}, in {path.name}")
                continue
            # The later list is used, so that no test field is trained on.
            if splits.get(name, split) != split and name not in both:
                report.add("conflicting", f"{name}: is in {splits[name]} and {split}")
            splits[name] = split
            both.discard(name)
            if stem == "trainval":
                both.add(name)
    return splits
