"""The mode eval: evaluates a network, or another tool, on labelled sources."""

from pathlib import Path

import jax
from absl import flags

from claran.commands.common import say
from claran.commands.data_flags import (
    are_simulated,
    labelled_fields,
    simulated_fields,
)
from claran.commands.host_flags import detector_for_hosts, host_search
from claran.commands.outputs import output_folder, refuse_inputs
from claran.data.sources import FieldSource
from claran.detection.classical_engine import ClassicalEngine
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.prediction_files import read_origin
from claran.evaluation.running import evaluate_detector, evaluate_predictions
from claran.io.parallel import cores
from claran.io.paths import readable
from claran.simulation.endless import SimulatedFields

__all__ = ["eval"]

FLAGS = flags.FLAGS

SIMULATED_FIELDS = 1000
FEW = 128  # Fields; for fewer, starting processes takes longer than it saves.


def eval() -> None:  # noqa: A001 - the mode's name
    """Evaluates a model or detections; writes a report and prints a table."""
    folder = output_folder("evaluation")
    _refuse_own_files(folder)
    about = {"data": readable(FLAGS.data), "split": _split()}
    if FLAGS.predictions:
        names = (
            None
            if FLAGS.class_names
            else read_origin(Path(FLAGS.predictions)).class_names
        )
        source = _source(names)
        evaluation = evaluate_predictions(
            FLAGS.predictions, source, folder, options=_options(),
            about={"predictions": readable(FLAGS.predictions), **about},
            workers=FLAGS.workers, tell=say,
        )  # fmt: skip
    else:
        hosts = host_search(infrared=True)
        classical = FLAGS.model == "classical"
        detector = None if classical else detector_for_hosts(hosts)
        source = _source(None if detector is None else detector.model.class_names)
        engine = detector and detector.engine
        evaluation = evaluate_detector(
            engine or ClassicalEngine(source.class_names), source, folder,
            options=_options(),
            about={"model": readable(FLAGS.model), **about},
            workers=_workers(len(source)), hosts=hosts, tell=say,
        )  # fmt: skip
    say(evaluation.table())
    say("")
    for path in evaluation.files:
        say(str(path))


def _refuse_own_files(folder: Path) -> None:
    """Refuses to evaluate what the new evaluation would overwrite."""
    names = ("detections.ecsv", "voc", "coco/detections.json", "coco/truth.json")
    inputs = [
        name for name in (FLAGS.predictions, FLAGS.data, FLAGS.ir_catalog) if name
    ]
    refuse_inputs([folder, *(folder / name for name in names)], inputs)


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
    return labelled_fields(_split(), class_names=class_names)


def _split() -> str:
    return FLAGS.split or "test"


def _workers(fields: int) -> int:
    """Returns the number of processes that read fields.

    None on a CPU, where the network needs the cores.
    """
    if FLAGS.workers is not None:
        return FLAGS.workers
    return 0 if fields < FEW or jax.default_backend() == "cpu" else cores()
