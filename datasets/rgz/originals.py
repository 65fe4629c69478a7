"""ClaRAN's own pictures, VOC annotations and lists of train and test.

Archives are read as streams and never unpacked, so that no archive can write a file.
"""

import dataclasses
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tensorflow_datasets.core.download import downloader

from claran.data.annotations import FieldLabels, Report, gather
from claran.data.annotations_voc import parse_voc
from claran.data.sky_splits import complete_splits, position_from_name
from claran.errors import ImageError

from .examples import as_rgb_png, objects_example

__all__ = ["Sources", "find_sources", "picture_examples", "read_labels"]

SERVER = "http://ict.icrar.org/store/staff/cwu/rgz_data"
LISTS = (
    "https://raw.githubusercontent.com/chenwuperth/rgz_rcnn/master/data/"
    "RGZdevkit2017/RGZ2017/ImageSets/Main"
)
# Where the data may be relative to the manual folder: in it, or where ClaRAN's scripts
# unpack them.
ROOTS = (".", "RGZdevkit2017/RGZ2017", "data/RGZdevkit2017/RGZ2017")
RETRIES = 2  # TFDS's default of ten takes over three minutes if the server is gone.
DAMAGE = (tarfile.TarError, zlib.error, OSError, EOFError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """Paths of the parts of a data set: files, or folders with unpacked archives.

    Attributes:
        train: List of the training fields.
        test: List of the test fields.
        annotations: VOC annotations.
        images: PNG pictures.
    """

    train: Path
    test: Path
    annotations: Path
    images: Path


def find_sources(dl_manager: Any, method: str) -> Sources:
    """Returns the parts of a data set, from the manual folder or else downloaded.

    Args:
        dl_manager: TFDS's download manager.
        method: Kind of pictures: "D1", "D3" or "D4".

    Raises:
        ImageError: A part is not in the manual folder and cannot be downloaded.
    """
    wanted = {
        "train": (f"{LISTS}/train{method}.txt", f"ImageSets/Main/train{method}.txt"),
        "test": (f"{LISTS}/test{method}.txt", f"ImageSets/Main/test{method}.txt"),
        "annotations": (f"{SERVER}/annotation.tar", "Annotations"),
        "images": (f"{SERVER}/{method}_images.tgz", "PNGImages"),
    }
    try:
        manual = Path(dl_manager.manual_dir)
    except AssertionError:  # The folder does not exist or is empty.
        manual = None
    found: dict[str, Path] = {}
    urls: dict[str, str] = {}
    for part, (url, unpacked) in wanted.items():
        path = _find(manual, url.rsplit("/", 1)[1], unpacked)
        if path is None:
            urls[part] = url
        else:
            found[part] = path
    if open_ways := [url for url in urls.values() if url.startswith("http://")]:
        print(  # noqa: T201
            f"Warning: downloads {', '.join(open_ways)} without encryption, and no "
            "checksums were published: a file that was changed on its way is not "
            "noticed. Files that you trust can be given as --manual_dir instead."
        )
    try:
        with mock.patch.object(downloader, "MAX_RETRIES", RETRIES):
            downloaded = dl_manager.download(urls)
    except Exception as error:  # Of Requests, urllib3, TFDS or the file system.
        names = [url.rsplit("/", 1)[1] for url in urls.values()]
        raise ImageError(
            f"Cannot download {', '.join(urls.values())} ({error}). If the server is "
            f"gone, get {', '.join(names)} from someone who has them, put them into a "
            "folder and pass it as --manual_dir."
        ) from error
    return Sources(**found | {part: Path(path) for part, path in downloaded.items()})


def _find(manual: Path | None, archive: str, unpacked: str) -> Path | None:
    if manual is None:
        return None
    places = [manual / root / name for root in ROOTS for name in (archive, unpacked)]
    return next((place for place in places if place.exists()), None)


def iter_files(source: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Yields name (without ending) and content of the files in an archive or a folder.

    Args:
        source: A tar archive or a folder.
        ending: Ending of the file names wanted, such as ".xml".

    Raises:
        ImageError: The archive is damaged, or the file is not an archive.
    """
    if source.is_dir():
        for path in sorted(source.rglob(f"*{ending}")):
            yield path.name.removesuffix(ending), path.read_bytes()
        return
    try:
        with tarfile.open(source, "r|*") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                # Plain files only: links are not followed. macOS leaves files "._*".
                if member.isreg() and name.endswith(ending) and name[:2] != "._":
                    file = archive.extractfile(member)
                    yield name.removesuffix(ending), file.read() if file else b""
    except DAMAGE as error:
        raise ImageError(
            f"{source}: not a tar archive, or a damaged one ({error}); delete it and "
            "download it again."
        ) from error


def read_labels(
    sources: Sources, classes: Sequence[str]
) -> tuple[dict[str, dict[str, FieldLabels]], Report]:
    """Returns the labels by split and name, and a report of problems.

    A tenth of train becomes validation, by position on the sky.

    Args:
        sources: Paths of the lists and the annotations.
        classes: The class list.

    Raises:
        ImageError: A list or the archive cannot be read, or they have no field in
            common.
    """
    report = Report()
    given: dict[str, str] = {}
    for split, path in (("train", sources.train), ("test", sources.test)):
        for name in _read_list(path):
            if name in given:
                kind = "duplicated" if given[name] == split else "conflicting"
                report.add(kind, f"{name} in the lists {given[name]} and {split}")
            given[name] = split  # A field in both lists is not trained on.
    fields = []
    for name, content in _choose(sources.annotations, ".xml", given, report):
        field = parse_voc(content, name, report)
        if field is not None:
            fields.append(field)
    if not fields:
        raise ImageError(
            f"{sources.annotations}: has no annotation of a field in {sources.train} "
            f"or {sources.test}; put files that belong together into --manual_dir. "
            f"{report}."
        )
    labels = {field.name: field for field in gather(fields, classes, report).fields}
    for name in given.keys() - labels.keys():
        report.add("missing annotation", name)
    known = {name: given[name] for name in given if name in labels}
    places = {name: position_from_name(name) for name in known}
    splits = complete_splits(
        known, {name: place for name, place in places.items() if place}, report
    )
    by_split: dict[str, dict[str, FieldLabels]] = {}
    for split in ("train", "validation", "test"):
        own = {name: labels[name] for name in known if splits[name] == split}
        if own:
            by_split[split] = own
    return by_split, report


def picture_examples(
    images: Path,
    labels: Mapping[str, FieldLabels],
    classes: Sequence[str],
    report: Report,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields name and example of the labeled pictures in an archive or a folder.

    Args:
        images: A tar archive or a folder of PNG pictures.
        labels: Labels by name.
        classes: The class list.
        report: Collects the problems.
    """
    missing = set(labels)
    for name, content in _choose(images, ".png", labels, report):
        missing.discard(name)
        field = labels[name]
        try:
            png, shape = as_rgb_png(content, name)
        except ImageError as error:
            report.add("unusable image", str(error))
            continue
        limits = [*shape[::-1], *shape[::-1]]
        if field.shape not in (None, shape) or (field.boxes > limits).any():
            report.add(
                "malformed",
                f"{name}: the picture has {shape} pixels, the annotation {field.shape} "
                f"and boxes {field.boxes.tolist()}",
            )
            continue
        objects = objects_example(field.objects, classes)
        yield name, {"name": name, "image": png, "objects": objects}
    for name in missing:
        report.add("missing image", name)


def _choose(
    source: Path, ending: str, names: Mapping[str, Any], report: Report
) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of the files whose names are wanted, each once."""
    seen = set()
    for stem, content in iter_files(source, ending):
        # ClaRAN's code of 2017 appends "_radio" to the name of a picture.
        name = stem if stem in names else stem.removesuffix("_radio")
        if name not in names:
            continue
        if name in seen:
            report.add("duplicated", f"{stem}{ending} in {source.name}")
            continue
        seen.add(name)
        yield name, content


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(
            f"{path}: cannot be read as a list of names ({error}); download it again."
        ) from None
    if not lines:
        raise ImageError(f"{path}: is empty; download it again.")
    return lines
