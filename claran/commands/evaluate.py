r"""The mode eval: evaluates a network, or another tool, on labelled sources.

A network on the test split of a data set:
  python -m claran.main --mode=eval --model=model.keras --data=rgz/simulated_12k \
      --output=DIR

On your own files: FITS with annotations.csv, PASCAL VOC, or COCO:
  python -m claran.main --mode=eval --model=model.keras --data=FOLDER --split=all

On 1,000 fields that are simulated for it:
  python -m claran.main --mode=eval --data=simulated/first --output=DIR

The classical finder, without a network, which joins islands within 45 arcsec:
  python -m claran.main --mode=eval --model=classical --data=FOLDER

Detections of any tool, as a table, VOC's text or COCO's results. A table of
--mode=predict --all_hypotheses gives the numbers of its model:
  python -m claran.main --mode=eval --predictions=detections.ecsv --data=FOLDER

Partial results are kept in DIR/unfinished until the report is written. An interrupted
run resumes from them, unless the network, the data or a setting has changed.
"""

from pathlib import Path

import jax
from absl import flags

from claran.commands.common import UsageError, say
from claran.commands.data_flags import (
    are_simulated,
    labelled_fields,
    simulated_fields,
)
from claran.commands.model_flags import load_detector
from claran.data.sources import FieldSource
from claran.detection.classical_engine import ClassicalEngine
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.prediction_files import read_origin
from claran.evaluation.running import evaluate_detector, evaluate_predictions
from claran.io.parallel import cores
from claran.simulation.endless import SimulatedFields

__all__ = ["eval"]

flags.DEFINE_string(
    "predictions",
    None,
    "Detections to evaluate, instead of a model: a table of --mode=predict "
    "--all_hypotheses, a folder of VOC's CLASS.txt, or a .json of COCO results.",
)
flags.DEFINE_boolean(
    "ignore_unlabelled",
    False,
    "Detections that overlap no labelled source are no false alarms; for fields in "
    "which not all sources are labelled.",
)
flags.DEFINE_integer(
    "resamples",
    1000,
    "Number of bootstrap resamples for the 95% intervals.",
    lower_bound=1,
)
FLAGS = flags.FLAGS

SIMULATED_FIELDS = 1000
FEW = 128  # Fields; for fewer, starting processes takes longer than it saves.


def eval() -> None:  # noqa: A001 - the mode's name
    """Evaluates a model or detections; writes a report and prints a table."""
    folder = Path(FLAGS.output or "evaluation")
    if folder.is_file():
        raise UsageError(f"--output must be a folder, but {folder} is a file.")
    about = {"data": FLAGS.data or "", "split": _split()}
    if FLAGS.predictions:
        names = (
            None
            if FLAGS.class_names
            else read_origin(Path(FLAGS.predictions)).class_names
        )
        source = _source(names)
        evaluation = evaluate_predictions(
            FLAGS.predictions, source, folder, options=_options(),
            about={"predictions": FLAGS.predictions, **about}, workers=FLAGS.workers,
            tell=say,
        )  # fmt: skip
    else:
        detector = None if FLAGS.model == "classical" else load_detector()
        source = _source(None if detector is None else detector.model.class_names)
        engine = detector and detector.engine
        evaluation = evaluate_detector(
            engine or ClassicalEngine(source.class_names), source, folder,
            options=_options(),
            about={"model": FLAGS.model, **about}, workers=_workers(len(source)),
            tell=say,
        )  # fmt: skip
    say(evaluation.table())
    say("")
    for name in ("report.html", "metrics.json", "detections.ecsv"):
        say(str(folder / name))


def _options() -> EvaluationOptions:
    """Returns the options of the flags; others are those of the detector."""
    return EvaluationOptions(
        score_threshold=FLAGS.score_threshold,
        ignore_unlabelled=FLAGS.ignore_unlabelled,
        resample_count=FLAGS.resamples,
        seed=FLAGS.seed,
    )


def _source(
    class_names: tuple[str, ...] | None = None,
) -> FieldSource | SimulatedFields:
    if are_simulated():
        return simulated_fields(SIMULATED_FIELDS, _split())
    source = labelled_fields(_split(), class_names=class_names)
    if not len(source):
        raise UsageError(
            f"--data={FLAGS.data} has no field in --split={_split()}; give another one."
        )
    return source


def _split() -> str:
    return FLAGS.split or "test"


def _workers(fields: int) -> int:
    """Returns the number of processes that read fields.

    None on a CPU, where the network needs the cores.
    """
    if FLAGS.workers is not None:
        return FLAGS.workers
    return 0 if fields < FEW or jax.default_backend() == "cpu" else cores()
