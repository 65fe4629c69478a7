"""Evaluation of a detector, or of given detections, on labelled fields."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm.auto import tqdm

from claran import __version__
from claran.detection.classical_engine import ClassicalEngine
from claran.detection.detections import Detections
from claran.detection.engine import Engine
from claran.detection.field_hosts import require_measured_sources
from claran.evaluation.catalogs import measured_field, read_fields
from claran.evaluation.found_hosts import with_hosts, with_island_numbers
from claran.evaluation.gallery import Shown
from claran.evaluation.metrics import (
    CATALOG,
    EvaluationOptions,
    evaluate,
    settled_options,
)
from claran.evaluation.origin import origin_metadata
from claran.evaluation.output import write_detections, write_evaluation
from claran.evaluation.prediction_files import Predictions, read_predictions
from claran.evaluation.results import Evaluation
from claran.fields.batches import Source
from claran.fields.field import Field
from claran.fields.notes import describe_assumptions, notes_for_user
from claran.hosts.host_search import HostSearch
from claran.io.parallel import parallel_map
from claran.io.resuming import PartialResults, code_fingerprint

__all__ = ["LabelledSource", "evaluate_detector", "evaluate_predictions"]

UNFINISHED = "unfinished"  # Folder in the output.


@runtime_checkable
class LabelledSource(Source, Protocol):
    """Labelled fields by number, with their classes and a fingerprint."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 1, 2 ..."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of images and labels."""
        ...


def evaluate_detector(
    engine: Engine | ClassicalEngine,
    source: LabelledSource,
    output: str | Path | None = None,
    *,
    options: EvaluationOptions | None = None,
    about: Mapping[str, str] = {},
    workers: int = 0,
    hosts: HostSearch | None = None,
    tell: Callable[[str], None] = print,
) -> Evaluation:
    """Detects in labelled fields and evaluates the detections.

    Partial results are kept in `OUTPUT/unfinished` until the report is written. An
    interrupted run resumes from them, unless the model, the data or a setting has
    changed.

    Args:
        engine: Engine of a detector (`claran.Detector.engine`), or the classical
            finder.
        source: Labelled fields, such as `claran.data.sources.open_source` returns.
        output: Folder for report, tables and figures; None to write nothing.
        options: See `EvaluationOptions`; None for the model's own.
        about: Further lines of the report, such as the name of the model.
        workers: Number of processes that read fields; 0 for threads.
        hosts: Where candidates for the host galaxies of the catalog's sources come
            from; None to look for no hosts. They are compared with those of the labels.
        tell: Receives messages for the user.

    Returns:
        All metrics.

    Raises:
        ImageError: A field cannot be used, or a table or a service for hosts.
        ValueError: There are no fields, their classes are not the model's, or hosts
            cannot be looked for.
    """
    _require_fields(source)
    _require_classes(source, engine)
    _require_islands(engine, hosts)
    known = hosts and hosts.read_table()  # Before a long run, should it be damaged.
    preprocessor, partial, lowest = None, None, 0.0
    if isinstance(engine, Engine):
        model = engine.model
        preprocessor = model.preprocessor
        lowest = model.finisher.lowest_score
        options = settled_options(
            options,
            score_threshold=model.finisher.catalog_threshold,
            inclusive_boxes=model.network.decoder.offset == 1,
        )
        partial = _partial(
            engine, source, output, lowest, placed=hosts is not None, tell=tell
        )
    detections = [] if partial is None else list(partial.results)
    start = len(detections)
    if start:
        tell(f"Resuming: {start} of {len(source)} fields are done.")
    fields = read_fields(_First(source, start), workers=workers or None)
    items, load = _items(source, start, workers)
    placed = {} if hosts is None else {"groups": True}  # Not of the classical finder.
    found = engine.detect(items, load, score_threshold=lowest, **placed)
    for one in tqdm(
        found, "Detecting", len(source), initial=start, unit="field", disable=None
    ):
        assert one.field is not None  # noqa: S101 - nothing is skipped.
        fields.append(one.field.without_pixels())
        rows = one.detections if hosts is None else with_island_numbers(one.detections)
        detections.append(rows)
        if partial is not None:
            partial.add(rows)
    if hosts is not None:
        if partial is not None:
            partial.write()  # A service may be away.
        threshold = settled_options(options).score_threshold
        assert threshold is not None  # noqa: S101 - settled.
        detections = with_hosts(
            hosts, known, source, detections, score_threshold=threshold, tell=tell
        )
    shown = Shown(source, preprocessor, fields, detections, source.class_names)
    facts = _about(source, about)
    if partial is None or isinstance(engine, ClassicalEngine):
        return _evaluate(shown, output, options, facts, tell)
    if engine.average:
        facts["average"] = "over the eight symmetries of the square"
    speed = len(source) / partial.seconds
    facts |= {
        "device": engine.settings["device"],
        "time": f"{partial.seconds:.1f} s, {speed:.1f} fields/s",
    }
    evaluation = _evaluate(shown, output, options, facts, tell)
    partial.remove()
    return evaluation


def evaluate_predictions(
    predictions: str | Path,
    source: LabelledSource,
    output: str | Path | None = None,
    *,
    options: EvaluationOptions | None = None,
    about: Mapping[str, str] = {},
    workers: int | None = None,
    tell: Callable[[str], None] = print,
) -> Evaluation:
    """Evaluates the detections of any tool.

    For a table of `predict_files` with `all_hypotheses` all numbers are those of
    `evaluate_detector`. For its catalog, association and confusion are.

    Args:
        predictions: See `claran.evaluation.prediction_files.read_predictions`.
        source: See `evaluate_detector`.
        output: See `evaluate_detector`.
        options: See `EvaluationOptions`; None for those of the detector that made the
            table, if it says them, as a CSV file does not.
        about: See `evaluate_detector`.
        workers: Number of processes that read fields; None for one per core if there
            are many fields.
        tell: Receives messages for the user.

    Returns:
        All metrics.

    Raises:
        ImageError: The file cannot be read, or has none of the fields.
        ValueError: There are no fields.
    """
    _require_fields(source)
    fields = read_fields(source, workers=workers)
    path = Path(predictions)
    found = read_predictions(path, fields, source.class_names)
    if found.unknown:
        tell(f"Note: {found.unknown} detections of {path} are in none of these fields.")
    note = _catalog_note(path, found)
    if note:
        tell(note)
    options = settled_options(
        options,
        score_threshold=found.origin.catalog_score,
        inclusive_boxes=found.origin.inclusive_boxes,
    )
    if found.report.counts:
        tell(f"Note: {path}: {found.report}")
    shown = Shown(source, None, fields, found.fields, source.class_names)
    return _evaluate(shown, output, options, _about(source, about), tell)


def _catalog_note(path: Path, found: Predictions) -> str:
    """Returns what a catalog cannot tell; empty for a table of all hypotheses.

    Without metadata, detections that all have high scores are taken for a catalog.
    """
    origin = found.origin
    probabilities = (one.probability for one in found.fields)
    lowest = min((values.min(initial=1.0) for values in probabilities), default=1.0)
    is_catalog = lowest > CATALOG if origin.is_catalog is None else origin.is_catalog
    if not is_catalog:
        return ""
    score = CATALOG if origin.lowest_score is None else origin.lowest_score
    return (
        f"Note: {path} has only sources with a probability above {score:g}, so that "
        "average precision, curves and calibration are those of a catalog; for the "
        "model's give a table of --mode=predict --all_hypotheses."
    )


def _evaluate(
    shown: Shown,
    output: str | Path | None,
    options: EvaluationOptions | None,
    about: Mapping[str, str],
    tell: Callable[[str], None],
) -> Evaluation:
    options = settled_options(options)
    counts = collections.Counter(
        what for one in shown.fields for what in one.assumptions
    )
    noted = collections.Counter(
        what for one in shown.fields for what in (*one.notes, *one.domain_notes)
    )
    total = len(shown.fields)
    first = {
        what: one.name
        for one in reversed(shown.fields)
        for what in (*one.assumptions, *one.notes, *one.domain_notes)
    }
    assumed = describe_assumptions(counts, total, first)
    if assumed:
        about = {**about, "assumed": assumed}
    if noted:
        about = {**about, "notes": describe_assumptions(noted, total, first)}
    for line in notes_for_user(counts, noted, total, first):
        tell(line)
    files = []
    if output is not None:  # First, as detecting took long.
        meta = origin_metadata(options) | ({"ASSUMED": assumed} if assumed else {})
        files = write_detections(Path(output), shown, meta=meta)
    evaluation = evaluate(
        shown.fields, shown.detections, shown.class_names, options=options
    )
    if output is not None:
        files = [
            *write_evaluation(Path(output), evaluation, shown, about=about), *files
        ]  # fmt: skip
    return dataclasses.replace(evaluation, files=tuple(files))


def _require_fields(source: LabelledSource) -> None:
    if not len(source):
        raise ValueError("`source` has no fields; give another split.")


def _require_classes(source: LabelledSource, engine: Engine | ClassicalEngine) -> None:
    own = engine.model.class_names if isinstance(engine, Engine) else engine.class_names
    if tuple(source.class_names) != own:
        raise ValueError(
            f"`source` has the classes {', '.join(source.class_names)}, the detector "
            f"{', '.join(own)}; open the data with the detector's `class_names`."
        )


def _require_islands(
    engine: Engine | ClassicalEngine, hosts: HostSearch | None
) -> None:
    if hosts is None:
        return
    if isinstance(engine, ClassicalEngine):
        raise ValueError("`hosts` needs a model; the classical finder has none.")
    require_measured_sources(engine.model)


def _about(source: LabelledSource, about: Mapping[str, str]) -> dict[str, str]:
    return {
        **about,
        "fields": str(len(source)),
        "fingerprint of the data": source.fingerprint,
        "claran": __version__,
    }


@dataclasses.dataclass(frozen=True)
class _First:
    """The first `count` fields of a source."""

    source: Source
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Field:
        return self.source[index]


def _items(
    source: Source, start: int, workers: int
) -> tuple[Iterable[Any], Callable[[Any], Field] | None]:
    """Returns the items and the `load` for an engine.

    The items are fields that processes read, or numbers of fields for threads. Fields
    are measured where they are read, as the association needs all islands.
    """
    measured = functools.partial(measured_field, source)
    numbers = range(start, len(source))
    if workers > 0:
        return parallel_map(measured, numbers, workers=workers), None
    return numbers, measured


def _partial(
    engine: Engine,
    source: LabelledSource,
    output: str | Path | None,
    lowest: float,
    *,
    placed: bool,
    tell: Callable[[str], None],
) -> PartialResults[Detections] | None:
    """Returns the detections of an interrupted run; None if nothing is written."""
    if output is None:
        return None
    settings = {
        "model": engine.model.model_hash(),
        "data": source.fingerprint,
        "lowest score": lowest,
        "--hosts": placed,
        **engine.settings,
        "version of claran": code_fingerprint(),
    }
    return PartialResults(
        Path(output) / UNFINISHED, settings, pack=_pack, unpack=_unpack, tell=tell
    )


def _pack(found: Sequence[Detections]) -> dict[str, np.ndarray]:
    counts = np.array([len(one) for one in found], np.int64)
    return Detections.concatenate(found).to_arrays() | {"counts": counts}


def _unpack(arrays: Mapping[str, np.ndarray]) -> list[Detections]:
    return Detections.from_arrays(arrays).split(arrays["counts"])
