r"""The mode eval: how well a network, or another tool, finds labelled sources.

A network on the test part of a data set:
  python -m claran.main --mode=eval --model=model.keras --data=rgz/simulated_12k \
      --output=DIR

On files of your own: FITS with annotations.csv, PASCAL VOC, or COCO:
  python -m claran.main --mode=eval --model=model.keras --data=FOLDER --split=all

Fields that are simulated as they are asked for, a thousand of them:
  python -m claran.main --mode=eval --data=simulated/first --output=DIR

The finder without a network (islands, joined within 45 arcsec), to compare with:
  python -m claran.main --mode=eval --model=classical --data=FOLDER

What any tool has found, as the table of --mode=predict, VOC's text or COCO's results:
  python -m claran.main --mode=eval --predictions=catalog.ecsv --data=FOLDER

Killed while a network detects, the same command goes on from what DIR/unfinished holds,
unless network, data or a setting changed; that folder goes when the report is there.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import jax
from absl import flags
from tqdm.auto import tqdm

import claran
from claran.commands.common import UsageError, say
from claran.commands.data_flags import (
    are_simulated,
    labelled_fields,
    simulated_fields,
)
from claran.commands.model_flags import batch_size, catalog_score, load_detector
from claran.data.sources import FieldSource
from claran.detection.counting import network_threshold
from claran.detection.engine import BatchDetector, network_inputs
from claran.evaluation.classical_run import detect_classically
from claran.evaluation.gallery import Shown
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.evaluation.output import display_inputs, write_detections, write_evaluation
from claran.evaluation.prediction_files import read_predictions
from claran.evaluation.resuming_evaluation import Unfinished
from claran.evaluation.truth import FieldDetections, read_truths
from claran.io.parallel import cores
from claran.io.resuming import code_fingerprint
from claran.models.faster_rcnn import FasterRcnn
from claran.models.weights import model_fingerprint
from claran.simulation.endless import SimulatedFields

__all__ = ["eval"]

flags.DEFINE_string(
    "predictions",
    None,
    "Evaluate these detections instead of a model's: a table as --mode=predict writes "
    "it, a folder of VOC's CLASS.txt, or a .json of COCO results.",
)
flags.DEFINE_boolean(
    "ignore_unlabelled",
    False,
    "Detections that touch no labelled source are no false alarms: for fields of which "
    "not all sources are labelled.",
)
flags.DEFINE_integer(
    "resamples", 1000, "Draws of the fields, for the 95% intervals.", lower_bound=1
)
FLAGS = flags.FLAGS

LOWEST_SCORE = 0.05  # As in the original's evaluation.
SIMULATED_FIELDS = 1000
Fields = FieldSource | SimulatedFields
UNFINISHED = "unfinished"  # Folder in the output.


def eval() -> None:  # noqa: A001 - the mode's name
    """Evaluates a model, or predictions; writes a report, prints a table."""
    folder = Path(FLAGS.output or "evaluation")
    if folder.is_file():
        raise UsageError(f"--output must be a folder, {folder} is a file.")
    model, unfinished = None, None
    if FLAGS.predictions:
        shown, about = _predicted()
    elif FLAGS.model == "classical":
        shown, about = _classical()
    else:
        model = load_detector().model
        shown, about, unfinished = _detected(model, folder / UNFINISHED)
    # First of all what took long: --predictions takes it from there.
    paths = write_detections(folder, shown)
    options = EvaluationOptions(
        score_threshold=catalog_score(model),
        ignore_unlabelled=FLAGS.ignore_unlabelled,
        inclusive_boxes=model is not None and model.detections.offset == 1,
        resample_count=FLAGS.resamples,
        seed=FLAGS.seed,
    )
    evaluation = evaluate(
        shown.truths, shown.detections, shown.class_names, options=options
    )
    paths = write_evaluation(folder, evaluation, shown, about=about) + paths
    if unfinished is not None:
        unfinished.remove()
    say(evaluation.table())
    say("")
    if "time" in about:
        say(f"Detection took {about['time']}.")
    for path in paths:
        say(str(path))


def _detected(
    model: FasterRcnn, folder: Path
) -> tuple[Shown, dict[str, str], Unfinished]:
    """Returns what the model finds, what was done, and what is kept of it meanwhile."""
    classes = model.class_names
    source = _source(classes)
    truths = read_truths(source, workers=FLAGS.workers)
    inputs = network_inputs(model, truths)
    size, device = batch_size(), jax.devices()[0].device_kind
    lowest = network_threshold(LOWEST_SCORE, model.count_trust)
    decisive = {
        "model": model_fingerprint(model),
        "data": source.fingerprint,
        "split": _split(),
        "input": repr(inputs),
        "lowest score": lowest,
        "batch size": size,
        "device": device,
        "version of claran": code_fingerprint(),
    }
    unfinished = Unfinished(folder, decisive, tell=say)
    detections = unfinished.read()
    done = len(detections)
    if done:
        say(f"Goes on: {done} of {len(source)} fields are done.")
    found = BatchDetector(model).detect(
        source,
        truths,
        inputs,
        score_threshold=lowest,
        batch_size=size,
        workers=_workers(len(source)),
        start=done,
    )
    kept = unfinished.keep(found, start=done, batch_size=size)
    detections += _bar(kept, len(source), done)
    seconds = unfinished.seconds
    about = {
        "model": FLAGS.model,
        **_about(source),
        "device": device,
        "time": f"{seconds:.1f} s, {len(source) / seconds:.1f} fields/s",
    }
    shown = Shown(source, inputs, truths, detections, classes)
    return shown, about, unfinished


def _classical() -> tuple[Shown, dict[str, str]]:
    """Returns what is found without a network, and what was done."""
    source = _source()
    truths = read_truths(source, workers=FLAGS.workers)
    found = detect_classically(source, source.class_names, workers=FLAGS.workers)
    detections = list(_bar(found, len(source)))
    inputs = display_inputs(truths)
    about = {"model": "classical", **_about(source)}
    return Shown(source, inputs, truths, detections, source.class_names), about


def _predicted() -> tuple[Shown, dict[str, str]]:
    """Returns what a table says was found, and what was done."""
    source = _source()
    truths = read_truths(source, workers=FLAGS.workers)
    path = Path(FLAGS.predictions)
    found = read_predictions(path, truths, source.class_names)
    if found.unknown:
        say(f"Note: {found.unknown} detections of {path} are in none of these fields.")
    about = {"predictions": str(path), **_about(source)}
    inputs = display_inputs(truths)
    return Shown(source, inputs, truths, found.fields, source.class_names), about


def _bar(
    found: Iterable[FieldDetections], count: int, done: int = 0
) -> Iterable[FieldDetections]:
    return tqdm(found, "Detecting", count, initial=done, unit="field", disable=None)


def _source(class_names: Sequence[str] | None = None) -> Fields:
    if are_simulated():
        return simulated_fields(SIMULATED_FIELDS, _split())
    source = labelled_fields(_split(), class_names=class_names)
    if not len(source):
        raise UsageError(f"--data={FLAGS.data} has no field in --split={_split()}.")
    return source


def _split() -> str:
    return FLAGS.split or "test"


def _about(source: Fields) -> dict[str, str]:
    return {
        "data": FLAGS.data,
        "split": _split(),
        "fields": str(len(source)),
        "fingerprint of the data": source.fingerprint,
        "claran": claran.__version__,
    }


def _workers(fields: int) -> int:
    """Returns how many processes make batches; on a CPU the network needs the cores."""
    if FLAGS.workers is not None:
        return FLAGS.workers
    small = fields < 8 * batch_size()
    return 0 if small or jax.default_backend() == "cpu" else cores()
