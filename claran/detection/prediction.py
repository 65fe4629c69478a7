"""Detection in many files, with one table as the result."""

import collections
import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import QTable
from tqdm.auto import tqdm

from claran.catalog.tables import detection_table, table_format, write_table
from claran.detection.detections import Detections
from claran.detection.detector import Detector
from claran.detection.field_hosts import (
    PlacedField,
    find_hosts_in_fields,
    place_hosts_in,
    require_measured_sources,
)
from claran.detection.table_rows import row_notes, table_rows
from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.notes import describe_assumptions
from claran.fields.reading import read_field, read_picture_field
from claran.hosts.fetched_sky import Sky
from claran.hosts.host_search import HostSearch
from claran.hosts.packed_densities import PackedDensities
from claran.hosts.position_density import network_fingerprint
from claran.io.paths import split_hdu, table_names
from claran.io.resuming import PartialResults, code_fingerprint
from claran.sky.images import read_sky_image
from claran.sky.surveys import Survey

__all__ = ["Prediction", "predict_files"]


PASSED_OVER = "an infrared image"


class InfraredError(ImageError):
    """An infrared image is among the radio images."""


class FileResult(NamedTuple):
    """The detections in one file."""

    detections: Detections  # As in tables, see `claran.detection.table_rows`.
    used: bool  # False for a file that cannot be used.
    assumed: str  # Assumptions about the field.
    noted: str  # Notes on its header, or why it is passed over.
    hosts: PackedDensities | None = None  # Of each detection, if they are asked for.


class _Found(NamedTuple):
    """The hosts of all sources."""

    columns: dict[str, np.ndarray]
    about: dict[str, Any]  # Metadata.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """The detections in many files.

    Attributes:
        table: See `claran.Detector.detect`.
        fields: Number of files that were used.
        skipped: Names of files that could not be used.
        infrared: Names of infrared images among the radio images, which were passed
            over.
        assumed: Number of fields for each assumption that was made.
        noted: Number of files for each note, such as on their headers.
        first: The first file with each assumption and note.
    """

    table: QTable
    fields: int
    skipped: tuple[str, ...]
    infrared: tuple[str, ...] = ()
    assumed: Mapping[str, int]
    noted: Mapping[str, int] = dataclasses.field(default_factory=dict)
    first: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Prediction: {len(self.table)} detections in {self.fields} fields, "
            f"{len(self.skipped)} files skipped>"
        )


def predict_files(
    detector: Detector,
    paths: Sequence[str | os.PathLike],
    output: str | os.PathLike,
    *,
    infrared: Mapping[Any, str | os.PathLike] | None = None,
    pictures: bool = False,
    score_threshold: float | None = None,
    all_hypotheses: bool = False,
    survey: Survey | None = None,
    beam_arcsec: float | None = None,
    hosts: HostSearch | None = None,
    tell: Callable[[str], None] = print,
) -> Prediction:
    """Detects in many files and writes one table: a catalog, or all hypotheses.

    A file that cannot be used is named on standard error and skipped. Partial results
    are kept in the folder `OUTPUT.unfinished`, so that an interrupted run can resume:
    the same call does the rest, unless a file or a setting has changed.

    Args:
        detector: The detector.
        paths: Radio FITS files, or pictures.
        output: The table, `.ecsv`, `.csv`, `.fits`, `.vot` or `.xml`.
        infrared: Infrared file for each radio file that has one, by its path.
        pictures: Whether the files are pictures as the network was trained on, not
            radio images.
        score_threshold: See `claran.Detector.detect`.
        all_hypotheses: See there; `evaluate_predictions` then gives
            the same as `evaluate_detector`.
        survey: See `claran.read_field`.
        beam_arcsec: See `claran.read_field`.
        hosts: Where candidates for the host galaxies of all sources come from; None to
            look for no hosts. Their columns are in the table then, see docs/hosts.md.
        tell: Receives messages for the user.

    Raises:
        ImageError: No file can be used, or `paths` is empty.
        ValueError: The ending of `output` is not that of a table, the threshold is not
            in [0, 1], the network cannot use files of this kind, or hosts cannot be
            looked for.
        OSError: The table cannot be written.
    """
    files, output = [Path(path) for path in paths], Path(output)
    counterparts = {Path(key): Path(own) for key, own in (infrared or {}).items()}
    table_format(output)
    if not files:
        raise ImageError("`paths` is empty; give at least one file.")
    lowest = detector.lowest_score(score_threshold, all_hypotheses=all_hypotheses)
    if hosts is not None:
        require_measured_sources(
            detector.model, pictures=pictures, all_hypotheses=all_hypotheses
        )
    known = hosts and hosts.read_table()  # Before a long run, should it be damaged.
    names = table_names(files)
    partial = PartialResults(
        output.with_name(f"{output.name}.unfinished"),
        {
            "list of files": _state([*files, *counterparts.values()]),
            "--score_threshold": lowest,
            "--all_hypotheses": all_hypotheses,
            "--beam": beam_arcsec,
            "--survey": None if survey is None else dataclasses.asdict(survey),
            "--hosts": None if hosts is None else network_fingerprint(),
            **_detector_settings(detector),
        },
        pack=_pack,
        unpack=_unpack,
        tell=tell,
    )
    load = functools.partial(
        _load, names=names, infrared=counterparts, pictures=pictures, survey=survey,
        beam_arcsec=beam_arcsec,
    )  # fmt: skip
    options = {"score_threshold": lowest, "all_hypotheses": all_hypotheses}
    _detect(detector, files, load, partial, placed=hosts is not None, tell=tell,
        **options)  # fmt: skip
    found = _Found({}, {})
    if hosts is not None:
        partial.write()  # A service may be away.
        placed = _placed(files, counterparts, partial.results)
        found = _Found(*find_hosts_in_fields(hosts, placed, known, tell))
    prediction = _prediction(
        detector, [names[path] for path in files], partial.results, survey, found,
        **options,
    )  # fmt: skip
    if prediction.infrared:
        tell(_infrared_note(prediction.infrared))
    if not prediction.fields:
        partial.remove()
        (only, *others) = partial.results
        if not (others or prediction.infrared):
            raise ImageError(only.noted)
        raise ImageError(
            f"None of {len(files)} files could be used (see above); wrote nothing."
        )
    write_table(prediction.table, output)
    partial.remove()
    return prediction


def _placed(
    files: Sequence[Path], infrared: Mapping[Path, Path], results: Sequence[FileResult]
) -> Iterator[PlacedField]:
    """Yields the files with sources, in their order; they are read for their WCS."""
    with_sources = [
        (path, one.hosts)
        for path, one in zip(files, results, strict=True)
        if one.hosts is not None and len(one.hosts)
    ]
    for path, hosts in tqdm(with_sources, "Hosts", unit="field", disable=None):
        image = read_sky_image(path)
        sky = Sky(image.wcs, image.values.shape, image.pixel_arcsec)
        yield PlacedField(sky, infrared.get(path), list(hosts))


def _infrared_note(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    return (
        f"Note: {len(names)} of the radio files are infrared images and are passed over"
        f" ({shown}); give them as --ir, with the radio file of the same field."
    )


def _detector_settings(detector: Detector) -> dict[str, Any]:
    """Returns what results depend on, apart from files and options of the call."""
    return {
        "model": detector.fingerprint,
        "--nms_threshold": detector.model.network.decoder.iou_threshold,
        "--rpn_nms_threshold": detector.model.network.proposals.iou_threshold,
        "version of claran": code_fingerprint(),
        **detector.engine.settings,
    }


def _load(
    path: Path,
    *,
    names: Mapping[Path, str],
    infrared: Mapping[Path, Path],
    pictures: bool,
    survey: Survey | None,
    beam_arcsec: float | None,
) -> Field:
    if pictures:
        return read_picture_field(path, name=names[path])
    image = read_sky_image(path, name=names[path])
    if image.infrared:
        raise InfraredError(f"{path}: is an infrared image ({image.infrared}).")
    return read_field(image, infrared.get(path), survey=survey, beam_arcsec=beam_arcsec)


def _detect(
    detector: Detector,
    paths: Sequence[Path],
    load: Callable[[Path], Field],
    partial: PartialResults[FileResult],
    *,
    score_threshold: float,
    all_hypotheses: bool,
    placed: bool,
    tell: Callable[[str], None],
) -> None:
    """Adds the results for the files that have none yet."""
    done = len(partial.results)
    if done:
        tell(f"Resuming: {done} of {len(paths)} files are done.")
    found = detector.engine.detect(
        paths[done:], load, score_threshold=score_threshold, skip_unusable=True,
        measured=not all_hypotheses,
    )  # fmt: skip
    for one in tqdm(
        found, "Detecting", len(paths), initial=done, unit="field", disable=None
    ):
        if one.field is None:
            if isinstance(one.error, InfraredError):
                partial.add(FileResult(one.detections, False, "", PASSED_OVER))
                continue
            if len(paths) > 1:  # Else it is the error of the whole.
                tqdm.write(f"Skipped: {one.error}", file=sys.stderr)
            partial.add(FileResult(one.detections, False, "", str(one.error)))
            continue
        rows = table_rows(one.field, one.detections, all_hypotheses=all_hypotheses)
        assumed = "; ".join(detector.assumptions(one.field))
        noted = "; ".join(row_notes(one.field, rows))
        places = _places(one.field, rows) if placed else None
        partial.add(FileResult(rows, True, assumed, noted, places))


def _places(field: Field, rows: Detections) -> PackedDensities:
    """Returns where the hosts can be; those of no source have no column of islands."""
    return place_hosts_in(field, rows["islands"] if len(rows) else ())


def _prediction(
    detector: Detector,
    names: Sequence[str],
    results: Sequence[FileResult],
    survey: Survey | None,
    hosts: _Found,
    *,
    score_threshold: float,
    all_hypotheses: bool,
) -> Prediction:
    assumed = collections.Counter(one.assumed for one in results if one.assumed)
    noted = collections.Counter(one.noted for one in results if one.noted and one.used)
    first: dict[str, str] = {}
    for name, one in zip(names, results, strict=True):
        if one.used:
            first.setdefault(one.noted, name)
            first.setdefault(one.assumed, name)
    unused = [
        (name, one.noted)
        for name, one in zip(names, results, strict=True)
        if not one.used
    ]
    found = Detections.concatenate([one.detections for one in results])
    counts = [len(one.detections) for one in results]
    used = [one.used for one in results]
    told = [describe_assumptions(count, sum(used), first) for count in (assumed, noted)]
    table = detection_table(
        np.repeat(np.array(names, dtype=str), counts).tolist(),
        detector.codes(found),
        found.scores,
        found.boxes,
        columns={**found.columns, **hosts.columns},
        meta=detector.metadata(
            score_threshold, survey, told[:1], told[1:], all_hypotheses=all_hypotheses
        )
        | hosts.about,
    )
    return Prediction(
        table=table,
        fields=sum(used),
        skipped=tuple(name for name, noted in unused if noted != PASSED_OVER),
        infrared=tuple(name for name, noted in unused if noted == PASSED_OVER),
        assumed=assumed,
        noted=noted,
        first=first,
    )


def _state(paths: Sequence[Path]) -> str:
    """Returns a hash of names, sizes and times of files; also of missing ones."""
    states: list[list[Any]] = []
    for path in paths:
        try:
            now = split_hdu(path)[0].stat()
            states.append([str(path), now.st_size, now.st_mtime_ns])
        except OSError:  # It is skipped when it cannot be read.
            states.append([str(path)])
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _pack(results: Sequence[FileResult]) -> dict[str, Any]:
    found = Detections.concatenate([one.detections for one in results])
    placed = [one.hosts for one in results if one.hosts is not None]
    return found.to_arrays() | PackedDensities.joined(placed).arrays | {
        "rows": np.array([len(one.detections) for one in results], np.int64),
        "used": np.array([one.used for one in results], bool),
        "placed": np.array([one.hosts is not None for one in results], bool),
        "assumed": np.array([one.assumed for one in results], dtype=str),
        "noted": np.array([one.noted for one in results], dtype=str),
    }  # fmt: skip


def _unpack(arrays: Mapping[str, np.ndarray]) -> list[FileResult]:
    found = Detections.from_arrays(arrays).split(arrays["rows"])
    counts = arrays["rows"][arrays["placed"]]
    hosts = iter(PackedDensities.from_arrays(arrays).split(counts))
    return [
        FileResult(
            one, bool(used), str(assumed), str(noted), next(hosts) if placed else None
        )
        for one, used, assumed, noted, placed in zip(
            found, arrays["used"], arrays["assumed"], arrays["noted"],
            arrays["placed"], strict=True,
        )
    ]  # fmt: skip
