"""The files of an evaluation."""

import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claran.catalog.tables import write_table
from claran.evaluation.gallery import Shown, false_alarms, misses, plot_cases
from claran.evaluation.plots import plots
from claran.evaluation.prediction_files import coco_files, to_table, voc_files
from claran.evaluation.report import html_report, png
from claran.evaluation.results import Evaluation
from claran.io.atomic import replace_file

__all__ = ["write_detections", "write_evaluation"]


def write_detections(
    folder: Path, shown: Shown, *, meta: Mapping[str, Any] = types.MappingProxyType({})
) -> list[Path]:
    """Writes detections as a table, as VOC's text and as COCO's JSON.

    An existing file is replaced only when the new one is complete.

    Args:
        folder: Folder of the files; created if it does not exist.
        shown: The fields and their detections.
        meta: Metadata of the table.

    Returns:
        The path of the table.
    """
    parts = shown.fields, shown.detections, shown.class_names
    table = folder / "detections.ecsv"
    write_table(to_table(*parts, meta=meta), table)
    truth, results = coco_files(*parts)
    files = {f"voc/{name}": text for name, text in voc_files(*parts).items()}
    files |= {
        "coco/truth.json": json.dumps(truth),
        "coco/detections.json": json.dumps(results),
    }
    for name, text in files.items():
        _write(folder / name, text.encode())
    return [table]


def write_evaluation(
    folder: Path, evaluation: Evaluation, shown: Shown, *, about: Mapping[str, str]
) -> list[Path]:
    """Writes metrics, figures and the report.

    An existing file is replaced only when the new one is complete.

    Args:
        folder: Folder of the files; created if it does not exist.
        evaluation: The results.
        shown: The fields and their detections.
        about: Further lines of the report, such as the name of the model.

    Returns:
        The paths of the report and of the metrics.
    """
    threshold = evaluation.options["score_threshold"]
    figures = {name: png(figure) for name, figure in plots(evaluation).items()}
    galleries = {}
    lenient = evaluation.options["ignore_unlabelled"]
    for title, cases in (
        ("Worst misses", misses(shown)),
        ("Worst false alarms", false_alarms(shown, ignore_unlabelled=lenient)),
    ):
        if cases:
            figure = plot_cases(cases, shown, score_threshold=threshold)
            galleries[title] = png(figure)
        else:  # It may be from an earlier evaluation.
            (folder / _file_name(title)).unlink(missing_ok=True)
    metrics = {"about": dict(about)} | evaluation.to_json()
    report = html_report(evaluation, about=about, plots=figures, galleries=galleries)
    files = {
        "report.html": report.encode(),
        "metrics.json": json.dumps(metrics, indent=2, allow_nan=False).encode(),
        "table.txt": f"{evaluation.table()}\n".encode(),
    }
    for name, data in (figures | galleries).items():
        files[_file_name(name)] = data
    for name, data in files.items():
        _write(folder / name, data)
    return [folder / "report.html", folder / "metrics.json"]


def _file_name(title: str) -> str:
    return f"{title.lower().replace(' ', '_')}.png"


def _write(path: Path, content: bytes) -> None:
    replace_file(path, lambda partial: partial.write_bytes(content))
