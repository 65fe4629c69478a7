"""Detection in many files: one table out, whatever happens in between."""

import collections
import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from astropy.table import QTable
from tqdm.auto import tqdm

from claran.catalog.tables import (
    detection_table,
    table_format,
    write_table,
)
from claran.detection.detections import Detections
from claran.detection.detector import Detector, tabulated
from claran.errors import ImageError
from claran.fields.field import Field, describe_assumptions
from claran.fields.reading import read_field, read_picture_field
from claran.io.paths import table_names
from claran.io.resuming import PartialResults, code_fingerprint
from claran.sky.surveys import Survey

__all__ = ["Prediction", "predict_files"]


class FileResult(NamedTuple):
    """What became of one file."""

    detections: Detections
    used: bool
    assumed: str  # What was assumed of it.


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What was found in many files.

    Attributes:
        table: See `claran.catalog.tables.detection_table`.
        fields: Number of files that could be used.
        skipped: Names of the others.
        assumed: What was assumed, and of how many fields.
    """

    table: QTable
    fields: int
    skipped: tuple[str, ...]
    assumed: Mapping[str, int]

    def __repr__(self) -> str:
        return (
            f"<Prediction: {len(self.table)} detections in {self.fields} fields, "
            f"{len(self.skipped)} files skipped>"
        )


def predict_files(
    detector: Detector,
    paths: Sequence[Path],
    output: Path,
    *,
    infrared: Mapping[Path, Path] | None = None,
    pictures: bool = False,
    score_threshold: float = 0.05,
    survey: Survey | None = None,
    beam_arcsec: float | None = None,
    tell: Callable[[str], None] = print,
) -> Prediction:
    """Detects in many files; writes one table.

    A file that cannot be used is named on standard error and passed over. Partial
    results are kept in `OUTPUT.unfinished`, so that an interrupted run can resume: the
    same call does the rest, unless a file or a setting has changed.

    Args:
        detector: The detector.
        paths: Radio FITS files, or pictures.
        output: The table, `.ecsv`, `.csv`, `.fits`, `.vot` or `.xml`.
        infrared: Infrared file of each radio file that has one.
        pictures: Whether the files are ready-made pictures, not radio images.
        score_threshold: Detections with a higher score are kept.
        survey: What the headers do not say; see `claran.read_field`.
        beam_arcsec: In place of the headers' beams; likewise.
        tell: Takes messages for the user.

    Raises:
        ImageError: No file can be used.
        ValueError: The output's ending is of no format.
        OSError: The table cannot be written.
    """
    table_format(output)
    counterparts = infrared or {}
    names = table_names(paths)
    settings = {
        "model": detector.fingerprint,
        "--nms_threshold": detector.model.network.decoder.iou_threshold,
        "--rpn_nms_threshold": detector.model.network.proposals.iou_threshold,
        "list of files": _state([*paths, *counterparts.values()]),
        "--score_threshold": score_threshold,
        "--beam": beam_arcsec,
        "--survey": None if survey is None else dataclasses.asdict(survey),
        "device": jax.devices()[0].device_kind,
        "version of claran": code_fingerprint(),
    }
    partial = PartialResults(
        output.with_name(f"{output.name}.unfinished"),
        settings,
        pack=_pack,
        unpack=_unpack,
        tell=tell,
    )
    done = len(partial.results)
    if done:
        tell(f"Resumes: {done} of {len(paths)} files are done.")

    def load(path: Path) -> Field:
        if pictures:
            return read_picture_field(path, name=names[path])
        return read_field(
            path, counterparts.get(path), name=names[path], survey=survey,
            beam_arcsec=beam_arcsec,
        )  # fmt: skip

    found = detector.engine.detect(
        paths[done:], load, score_threshold=score_threshold, skip_unusable=True
    )
    for one in tqdm(
        found, "Detecting", len(paths), initial=done, unit="field", disable=None
    ):
        if one.field is None:
            tqdm.write(f"Skipped: {one.error}", file=sys.stderr)
            partial.add(FileResult(one.detections, False, ""))
            continue
        detections = tabulated(one.field, one.detections)
        assumed = "; ".join(detector.assumptions(one.field))
        partial.add(FileResult(detections, True, assumed))
    prediction = _prediction(
        detector, [names[path] for path in paths], partial.results,
        survey=survey, score_threshold=score_threshold,
    )  # fmt: skip
    if not prediction.fields:
        partial.remove()
        raise ImageError(
            f"None of {len(paths)} files could be used (see above); wrote nothing."
        )
    write_table(prediction.table, output)
    partial.remove()
    return prediction


def _prediction(
    detector: Detector,
    names: Sequence[str],
    results: Sequence[FileResult],
    *,
    survey: Survey | None,
    score_threshold: float,
) -> Prediction:
    assumed = collections.Counter(one.assumed for one in results if one.assumed)
    found = Detections.concatenate([one.detections for one in results])
    counts = [len(one.detections) for one in results]
    used = [one.used for one in results]
    noted = describe_assumptions(assumed, sum(used))
    table = detection_table(
        np.repeat(np.array(names, dtype=str), counts).tolist(),
        detector.codes(found),
        found.scores,
        found.boxes,
        columns=found.columns,
        meta=detector.metadata(score_threshold, survey, [noted]),
    )
    return Prediction(
        table=table,
        fields=sum(used),
        skipped=tuple(n for n, ok in zip(names, used, strict=True) if not ok),
        assumed=assumed,
    )


def _state(paths: Sequence[Path]) -> str:
    """Returns a hash of names, sizes and times of files."""
    files = [(path, path.stat()) for path in paths]
    states = [[str(path), now.st_size, now.st_mtime_ns] for path, now in files]
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _pack(results: Sequence[FileResult]) -> dict[str, Any]:
    found = Detections.concatenate([one.detections for one in results])
    return found.to_arrays() | {
        "counts": np.array([len(one.detections) for one in results], np.int64),
        "used": np.array([one.used for one in results], bool),
        "assumed": np.array([one.assumed for one in results], dtype=str),
    }


def _unpack(arrays: Mapping[str, np.ndarray]) -> list[FileResult]:
    found = Detections.from_arrays(arrays).split(arrays["counts"])
    return [
        FileResult(one, bool(used), str(assumed))
        for one, used, assumed in zip(
            found, arrays["used"], arrays["assumed"], strict=True
        )
    ]
