"""Fields as radio FITS, infrared PNG or FITS, and a table of boxes, from a folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from claran.data.annotations import Annotations, FieldLabels, Report
from claran.data.annotations_csv import read_csv
from claran.data.files import KINDS, field_name
from claran.data.fits import ImageError, read_sky_image
from claran.data.sky_splits import LINK_ARCMIN, complete_splits, position_from_name

from .examples import Pair

__all__ = ["TABLE", "find_pairs"]

TABLE = "annotations.csv"
FITS = (".fits", ".fit", ".fits.gz")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
INFRARED_FOLDERS = {"infrared", "ir", "wise", "w1"}


def find_pairs(
    folder: Path, classes: Sequence[str]
) -> tuple[dict[str, list[Pair]], Report]:
    """Returns the fields of each split that has some, and what was wrong.

    Args:
        folder: Holds `annotations.csv` and, at any depth, the images.
        classes: The class list; see `claran.data.annotations.gather`.

    Raises:
        ImageError: There is no table, or no labelled field has an image.
    """
    table = folder / TABLE
    if not table.is_file():
        raise ImageError(f"{table}: is missing; put the table of boxes there.")
    labels = read_csv(table, classes=classes)
    radio, infrared = _index(folder, labels.report)
    pairs: list[Pair] = []
    for field in labels.fields:
        image = _choose(folder, field.image, radio.pop(field.name, None))
        if image is None:
            labels.report.add(
                "missing image", f"{field.name}: no FITS file in {folder}"
            )
            continue
        counterpart = _choose(folder, field.infrared, infrared.pop(field.name, None))
        if counterpart is None and field.infrared:
            labels.report.add(
                "missing infrared image", f"{field.name}: {field.infrared}"
            )
        pairs.append(
            Pair(
                labels=field,
                radio=image,
                infrared=counterpart,
                classes=labels.classes,
            )
        )
    for name, path in radio.items():
        labels.report.add("image without annotation", f"{name}: {path.name}")
    if not pairs:
        raise ImageError(
            f"{folder}: no field of {TABLE} has a FITS file; see README.md."
        )
    return _by_split(pairs, labels), labels.report


def _index(folder: Path, report: Report) -> tuple[dict[str, Path], dict[str, Path]]:
    """Returns radio and infrared files by the name of the field."""
    radio: dict[str, Path] = {}
    infrared: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        ending = path.name.lower()
        if not ending.endswith(FITS + PICTURES) or not path.is_file():
            continue
        index = infrared if _is_infrared(path.relative_to(folder)) else radio
        kept = index.setdefault(field_name(path), path)
        if kept is not path:
            report.add("duplicated image", f"{path.name} beside {kept.name}")
    return radio, infrared


def _is_infrared(path: Path) -> bool:
    if not path.name.lower().endswith(FITS):
        return True
    kind = KINDS.search(path.name.split(".fit")[0])
    if kind is not None:
        return kind.group(1).lower() != "radio"
    return bool(INFRARED_FOLDERS & {part.lower() for part in path.parts[:-1]})


def _choose(folder: Path, named: str, found: Path | None) -> Path | None:
    if not named:
        return found
    return folder / named if (folder / named).is_file() else None


def _by_split(pairs: Iterable[Pair], labels: Annotations) -> dict[str, list[Pair]]:
    by_name = {pair.labels.name: pair for pair in pairs}
    positions, sides = {}, []
    for name, pair in by_name.items():
        place, side = _place(pair.labels, pair.radio)
        if place is not None:
            positions[name] = place
        sides.append(side)
    splits = complete_splits(
        {name: pair.labels.split for name, pair in by_name.items()},
        positions,
        labels.report,
        link_arcmin=min(600.0, max([LINK_ARCMIN, *(2 * side for side in sides)])),
    )
    found: dict[str, list[Pair]] = {}
    for split in ("train", "validation", "test"):
        own = [by_name[name] for name in by_name if splits[name] == split]
        if own:
            found[split] = own
    return found


def _place(
    labels: FieldLabels, radio: Path
) -> tuple[tuple[float, float] | None, float]:
    """Returns a field's center, degrees, and its longer side, arcmin (0 if unknown)."""
    try:
        image = read_sky_image(radio)
    except ImageError:  # Reported when the example is made.
        return position_from_name(labels.name), 0.0
    if image.wcs is None or image.pixel_arcsec is None:
        return position_from_name(labels.name), 0.0
    ny, nx = image.values.shape
    center = image.wcs.pixel_to_world(nx / 2 - 0.5, ny / 2 - 0.5).icrs
    return (center.ra.deg, center.dec.deg), max(nx, ny) * image.pixel_arcsec / 60
