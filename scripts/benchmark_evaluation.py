"""Measures how long an evaluation takes: `--help` for options.

  python scripts/benchmark_evaluation.py
  python scripts/benchmark_evaluation.py --network --accelerator=gpu

The first measures the metrics, for as many fields as ClaRAN's test set has, with
invented detections; beside pycocotools, which must agree. The second measures ClaRAN's
network on as many simulated fields, from making them to the metrics; its weights are
random, as time does not depend on them.
"""

import contextlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from claran import accelerator
from claran.detection.detections import Detections
from claran.evaluation.average_precision import COCO_IOU, average_precision
from claran.evaluation.catalogs import detected_catalog, true_catalog
from claran.evaluation.matches import match_coco
from claran.evaluation.metrics import evaluate, mean_average_precision
from claran.evaluation.prediction_files import coco_files
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.io.atomic import replace_file
from claran.labels import RGZ_CLASSES

flags.DEFINE_integer("fields", 4603, "Fields; 4,603 as in ClaRAN's test set.")
flags.DEFINE_integer("found", 8, "Detections in a field.", lower_bound=0)
flags.DEFINE_integer("rounds", 3, "The median of so many is shown.", lower_bound=1)
flags.DEFINE_bool("network", False, "Measure ClaRAN's network instead.")
flags.DEFINE_integer("image_size", 600, "Side of its input, pixels.", lower_bound=16)
flags.DEFINE_enum("accelerator", "auto", accelerator.ACCELERATORS, "Where it runs.")
flags.DEFINE_string("output", None, "File to write; printed in any case.")
FLAGS = flags.FLAGS

PICTURE = np.zeros((132, 132, 3), np.uint8)  # One for all fields: nobody looks at it.
LABELS = range(1, len(RGZ_CLASSES) + 1)


def make_field(rng: np.random.Generator) -> tuple[Field, Detections]:
    """Returns a field of 132 pixels; half of what is found lies near a source."""
    count = 1 + int(rng.uniform() < 0.055)
    corner = rng.uniform(0, 90, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 40, (count, 2))], axis=1)
    labels = rng.integers(1, len(RGZ_CLASSES) + 1, count)
    objects = Objects(boxes=boxes, labels=labels, ignored=np.zeros(count, bool))
    near = boxes[rng.integers(0, count, FLAGS.found)]
    away = 20 * (rng.uniform(size=(FLAGS.found, 1)) < 0.5)
    shift = np.tile(rng.normal(0, 1 + away, (FLAGS.found, 2)), 2)
    found = Detections(
        boxes=near + shift + rng.normal(0, 1, near.shape),
        labels=rng.integers(1, len(RGZ_CLASSES) + 1, FLAGS.found),
        scores=rng.uniform(0.05, 1, FLAGS.found),
    )
    return Field("", picture=PICTURE, objects=objects), found


def median_seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the seconds that a function takes, and what it returns."""
    times, result = [], None
    for _ in range(FLAGS.rounds):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), result


def main(_: list[str]) -> None:
    """Prints the table."""
    text = network() if FLAGS.network else metrics()
    if FLAGS.output:
        replace_file(Path(FLAGS.output), lambda path: path.write_text(text, "utf-8"))
    print(text)  # noqa: T201


def network() -> str:
    """Times ClaRAN's network and the metrics on simulated fields, D4."""
    device = accelerator.use_accelerator(FLAGS.accelerator)
    # After the choice of the device.
    from claran.detection.engine import Engine  # noqa: PLC0415
    from claran.detection.presets import claran_v01  # noqa: PLC0415
    from claran.simulation.endless import SimulatedFields  # noqa: PLC0415

    engine = Engine(claran_v01(image_size=FLAGS.image_size))
    source = SimulatedFields(FLAGS.fields, seed=9)
    warm = 2 * (engine.compiled.batch_size or 1)
    list(engine.detect([source[0]] * warm, score_threshold=0.05))
    start = time.perf_counter()
    fields, found = [], []
    for one in engine.detect(
        range(len(source)), source.__getitem__, score_threshold=0.05
    ):
        assert one.field is not None  # noqa: S101 - nothing is skipped.
        fields.append(one.field.without_pixels())
        found.append(one.detections)
    detected = time.perf_counter() - start
    evaluate(fields, found, RGZ_CLASSES)
    total = time.perf_counter() - start
    return (
        f"{len(fields)} simulated fields, D4 at {FLAGS.image_size} pixels, "
        f"{device.device_kind}, {os.cpu_count()} cores\n\n"
        "| what | s | fields/s |\n|---|---|---|\n"
        f"| simulated and detected | {detected:.1f} | {len(fields) / detected:.1f} |\n"
        f"| and evaluated | {total:.1f} | {len(fields) / total:.1f} |\n"
    )


def metrics() -> str:
    """Times the metrics on invented detections."""
    from pycocotools.coco import COCO  # noqa: PLC0415 - the network needs it not
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    rng = np.random.default_rng(0)
    fields, found = zip(*(make_field(rng) for _ in range(FLAGS.fields)), strict=True)
    truth_file, results = coco_files(fields, found, RGZ_CLASSES)
    coco: Any = COCO()
    coco.dataset = truth_file

    def theirs() -> float:
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        return float(judge.eval["precision"][..., 0, -1].mean())

    def ours() -> float:
        true, detected = true_catalog(fields), detected_catalog(found)
        options: dict[str, Any] = {
            "field_count": len(fields), "iou_thresholds": COCO_IOU,
        }  # fmt: skip
        matches = [match_coco(true, detected, label, **options) for label in LABELS]
        aps = [
            average_precision(one, metric="101_points", threshold=t)
            for one in matches
            for t in range(len(COCO_IOU))
        ]
        return float(np.mean(aps))

    with contextlib.redirect_stdout(io.StringIO()):
        their_time, their_ap = median_seconds(theirs)
    our_time, our_ap = median_seconds(ours)
    if abs(our_ap - their_ap) > 1e-9:
        raise SystemExit(f"COCO's AP is {their_ap}, ours {our_ap}.")
    voc = median_seconds(lambda: mean_average_precision(fields, found, len(LABELS)))[0]
    every = median_seconds(lambda: evaluate(fields, found, RGZ_CLASSES))[0]
    return (
        f"{len(fields)} fields, {len(results)} detections, {os.cpu_count()} cores; "
        f"medians of {FLAGS.rounds}, seconds:\n"
        f"COCO AP, pycocotools                     {their_time:8.2f}\n"
        f"COCO AP                                  {our_time:8.2f}  "
        f"{their_time / our_time:.1f} times as fast\n"
        f"VOC mAP, as training watches it          {voc:8.2f}\n"
        f"everything, 1,000 resamples              {every:8.2f}"
    )


if __name__ == "__main__":
    app.run(main)
