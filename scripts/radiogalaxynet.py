"""Trains on RadioGalaxyNET and measures boxes and hosts: from files to a table.

    python scripts/radiogalaxynet.py --manual_dir=FOLDER              # clean split
    python scripts/radiogalaxynet.py --manual_dir=FOLDER --published  # all images
    python scripts/radiogalaxynet.py --manual_dir=FOLDER --model=FILE.keras

FOLDER holds RadioGalaxyNET's images and labels (datasets/rgz/README.md). The network is
the one that comes with claran; it learns which islands are one source, and where the
center of a picture is. Classes and hosts follow from what is measured of a source
(`source_shapes`, `keypoint_hosts`). The validation images choose no checkpoint. The
last command only measures. With a split "test", both are measured.

Most pictures were made around a source, so that its place is known beforehand: the
center. Gal-DINO and others could learn this too. `--nocentered` leaves it out.
"""

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keypoint_hosts
import numpy as np
import source_shapes
from absl import app, flags
from tqdm.auto import tqdm

from claran import accelerator
from claran.data.sources import open_source
from claran.detection.counting import GROUP
from claran.detection.detections import Detections
from claran.detection.engine import Engine
from claran.detection.field_results import PreparedField
from claran.detection.loading import load_model
from claran.detection.presets import PRESETS
from claran.evaluation.average_precision import average_precision
from claran.evaluation.bootstrap import Estimate, resamples
from claran.evaluation.matches import Matches
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.fields.field import Field
from claran.fields.island_rows import island_owners
from claran.labels import display_name
from claran.sky.box_arrays import iou
from claran.training.session import TrainingSession, train_detector

FLAGS = flags.FLAGS
LEAST_SCORE = 0.02  # Of a source.
FOUND = 0.5  # IoU of a box that is found.


class Measured(NamedTuple):
    """The fields of a split, what was found in them, and where the hosts would be.

    Attributes:
        fields: Without pixels.
        found: Detections, one for each class of a source.
        hosts: (n, 2) for the detections in a field.
    """

    fields: list[Field]
    found: list[Detections]
    hosts: list[np.ndarray]


def main(_: list[str]) -> None:
    """Trains if need be, measures and prints."""
    accelerator.use_accelerator()
    name = "rgz/radiogalaxynet" + ("" if FLAGS.published else "_clean")
    folder = prepared_folder(name)
    output = Path(FLAGS.output or name.removeprefix("rgz/"))
    if FLAGS.model is None:
        train(folder, name, output)
    engine = Engine(load_model(Path(FLAGS.model or output / "last.keras")))
    learned = learn(open_source(folder, "train"))
    say("| split | what | value |\n|---|---|---|")
    for split in ("validation", "test"):
        try:
            source = open_source(folder, split)
        except ValueError:  # The test images may be missing.
            continue
        measured = measure(engine, source, learned)
        for what, value in rows(measured, source.class_names):
            say(f"| {split} | {what} | {value} |")


def train(folder: Path, name: str, output: Path) -> None:
    """Trains the network; a training in the output folder resumes."""
    session = TrainingSession(
        output=output, model=FLAGS.start,
        start="pretrained" if FLAGS.start in PRESETS else "auto",
        centered=FLAGS.centered, steps=FLAGS.steps, batch_size=8,
        learning_rate=FLAGS.learning_rate,
    )  # fmt: skip
    source = open_source(folder, "train")
    train_detector(session, source, None, settings={"data": name}, tell=tqdm.write)


def prepared_folder(name: str) -> Path:
    """Returns the folder of the data set, which is made if it does not exist."""
    prepare = importlib.import_module("claran_rgz.prepare").prepare  # Two seconds.
    folder = Path(FLAGS.data_dir).expanduser()
    return Path(prepare(name, data_dir=folder, manual_dir=FLAGS.manual_dir).data_dir)


class Learned(NamedTuple):
    """What follows from the labels of the training images, apart from the network."""

    hosts: np.ndarray  # Weights that choose them.
    classes: source_shapes.Classifier


def learn(source: Any) -> Learned:
    """Returns how hosts and classes follow from what is measured of the sources."""
    examples, hosts, shapes, labels = [], [], [], []
    for number in tqdm(range(len(source)), "Shapes", unit="field", disable=None):
        field = source[number]
        groups, known = labeled_groups(field)
        objects = field.objects
        examples += keypoint_hosts.places(
            field, groups, objects.boxes[known], centered=FLAGS.centered
        )
        hosts += list(true_hosts(field)[known])
        shapes.append(source_shapes.shapes(field, groups))
        labels.append(objects.labels[known])
    kept = [row for row, host in enumerate(hosts) if np.isfinite(host).all()]
    return Learned(
        keypoint_hosts.fit(
            [examples[row] for row in kept], np.array([hosts[row] for row in kept])
        ),
        source_shapes.Classifier(
            np.concatenate(shapes), np.concatenate(labels), len(source.class_names)
        ),
    )


def true_hosts(field: Field) -> np.ndarray:
    """Returns the places of the objects' hosts, (n, 2); NaN where unknown."""
    host = field.objects.host
    return np.full((len(field.objects), 2), np.nan) if host is None else host


def labeled_groups(field: Field) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the islands of the labeled objects that have any, and which these are."""
    owners = island_owners(field)
    groups = [np.flatnonzero(owners == row) for row in range(len(field.objects))]
    known = np.array([len(group) > 0 for group in groups], bool)
    return [group for group in groups if len(group)], known


def measure(engine: Engine, source: Any, learned: Learned) -> Measured:
    """Detects in all fields of a split, classifies, and looks for hosts."""
    fields, detections, hosts = [], [], []
    outputs = engine.network_outputs(range(len(source)), source.__getitem__)
    lowest = engine.model.finisher.lowest_score
    for _, prepared, raw in tqdm(
        outputs, "Detecting", len(source), unit="field", disable=None
    ):
        assert isinstance(prepared, PreparedField)  # noqa: S101 - errors are raised.
        field = prepared.field
        found = engine.finish(prepared, raw, score_threshold=lowest)
        groups, boxes, chances = sources(found)
        chosen = [
            keypoint_hosts.choose(one, learned.hosts)
            for one in keypoint_hosts.places(
                field, groups, boxes, centered=FLAGS.centered
            )
        ]
        classes = learned.classes(source_shapes.shapes(field, groups))
        fields.append(field.without_pixels())
        detections.append(with_classes(boxes, chances[:, None] * classes))
        count = classes.shape[1]
        hosts.append(np.repeat(np.reshape(chosen, (-1, 2)), count, axis=0))
    return Measured(fields, detections, hosts)


def sources(
    found: Detections,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Returns islands, boxes and probabilities of the sources that may be.

    Args:
        found: Detections, one for each class of a source, with its `GROUP`.
    """
    islands = [group.islands for group in found.columns.get(GROUP, ())]
    _, first, which = np.unique(
        [str(one.tolist()) for one in islands], return_index=True, return_inverse=True
    )
    chances = np.bincount(which, found.scores, minlength=len(first))
    kept = chances > LEAST_SCORE
    groups = [islands[row] for row in first[kept]]
    return groups, found.boxes[first[kept]], chances[kept]


def with_classes(boxes: np.ndarray, scores: np.ndarray) -> Detections:
    """Returns a detection for each class of each source.

    Args:
        boxes: (n, 4).
        scores: (n, c) probability that it is one source of each class.
    """
    count, classes = scores.shape
    return Detections(
        boxes=np.repeat(boxes, classes, axis=0),
        labels=np.tile(np.arange(1, classes + 1), count), scores=scores.ravel(),
    )  # fmt: skip


def rows(measured: Measured, names: Sequence[str]) -> list[tuple[str, Any]]:
    """Returns the rows of the table."""
    options = EvaluationOptions(score_threshold=0.5)
    found = evaluate(measured.fields, measured.found, names, options=options)
    lines: list[tuple[str, Any]]
    lines = [("AP50 of boxes, mean of the classes", found.mean)]
    lines += [(f"AP50, {display_name(one.name)}", one.ap) for one in found.classes]
    lines += [(f"COCO's {name}", value) for name, value in found.coco.items()]
    near = np.concatenate([*map(near_hosts, *measured)])
    lines.append(("boxes found (IoU of 0.5, any class)", f"{len(near)}"))
    lines.append(("their host within 3 px", Estimate.of(*shares(near))))
    ap = host_ap(measured, names)
    lines.append(("AP of hosts within 3 px, mean of the classes", ap))
    return lines


def shares(hits: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns a share, and that of resamples."""
    drawn = resamples(len(hits))
    return float(hits.mean()), drawn @ hits / len(hits)


def near_hosts(field: Field, found: Detections, hosts: np.ndarray) -> np.ndarray:
    """Returns whether the host of each object that a box finds is within 3 pixels.

    The box is the one of the highest score with an IoU of 0.5.
    """
    order = np.argsort(-found.scores, kind="stable")
    hits = []
    for box, host in zip(field.objects.boxes, true_hosts(field), strict=True):
        own = np.flatnonzero(iou(found.boxes[order], box) >= FOUND)
        if len(own) and np.isfinite(host).all():
            place = hosts[order[own[0]]]
            hits.append(np.hypot(*(place - host)) < keypoint_hosts.RIGHT)
    return np.array(hits, bool)


def host_ap(measured: Measured, names: Sequence[str]) -> str:
    """Returns the AP of hosts: a hit has the class and is within 3 pixels."""
    values = [
        average_precision(host_matches(measured, label))[0]
        for label in range(1, len(names) + 1)
    ]
    return f"{np.mean(values):.3f}"


def host_matches(measured: Measured, label: int) -> Matches:
    """Returns the detections of a class, matched to the nearest hosts."""
    scores, numbers, hits, positives = [], [], [], []
    for number, (field, found, hosts) in enumerate(zip(*measured, strict=True)):
        objects = field.objects
        true = true_hosts(field)[(objects.labels == label) & ~objects.ignored]
        left = np.asarray(np.isfinite(true).all(axis=1))
        positives.append(int(left.sum()))
        for row in np.argsort(-found.scores, kind="stable"):
            if found.labels[row] != label:
                continue
            gaps = np.where(left, np.hypot(*(true - hosts[row]).T), np.inf)
            hit = bool((gaps < keypoint_hosts.RIGHT).any())
            if hit:
                left[gaps.argmin()] = False
            scores.append(found.scores[row])
            numbers.append(number)
            hits.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    hit = np.array(hits, bool)[order][None]
    return Matches(
        scores=np.array(scores)[order], fields=np.array(numbers, int)[order], hits=hit,
        ignored=np.zeros_like(hit), positives=np.array(positives),
    )  # fmt: skip


say = functools.partial(print, flush=True)

if __name__ == "__main__":
    flags.DEFINE_string("manual_dir", None, "Folder of RadioGalaxyNET's files.")
    flags.DEFINE_string("data_dir", "~/tensorflow_datasets", "Folder of data sets.")
    flags.DEFINE_boolean("published", False, "All images, as in published results.")
    flags.DEFINE_boolean("centered", True, "Use where the center of a picture is.")
    flags.DEFINE_integer("steps", 2000, "Batches of 8 pictures.", lower_bound=1)
    flags.DEFINE_float("learning_rate", 5e-4, "Largest learning rate.")
    flags.DEFINE_string(
        "output", None, "Folder of the training; default: named as the data."
    )
    flags.DEFINE_string("start", "claran_v1", "Preset or .keras file to start from.")
    flags.DEFINE_string("model", None, "Model to measure; none is trained.")
    app.run(main)
