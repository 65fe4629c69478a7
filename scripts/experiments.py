"""Trains a variant of a network for a short while and measures it: `--help`.

  python scripts/experiments.py --variant=base
  python scripts/experiments.py --variant=groups --data=simulated/surveys --seed=1
  python scripts/experiments.py --table

Every variant learns from the same simulated fields in the same order. It is measured on
other simulated fields, and on real ones where there are some. One training gives a row
for each way to read its detections; EXPERIMENTS.md holds the table.
"""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from experiment_networks import (
    WithoutContours,
    fine_groups,
    part_blind_model,
    turning,
    wide_groups,
)

from claran.data.sources import open_source
from claran.detection.counting import FAINT
from claran.detection.detection_model import DetectionModel
from claran.detection.engine import Engine
from claran.detection.finisher import COUNT_TRUST
from claran.detection.loading import load_model
from claran.detection.presets import claran_first, claran_v01, claran_v1
from claran.evaluation.bootstrap import Estimate
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.fields.augmentation import DropInfrared
from claran.fields.batches import Source
from claran.fields.channels import Channels
from claran.fields.field import Field
from claran.io.atomic import replace_file
from claran.simulation.endless import SIMULATED, SimulatedFields
from claran.training.recipes import COMPACT, GROUPS, Recipe
from claran.training.trainer import BEST, TrainingOptions, train

# After claran, which chooses Keras's backend.
import keras  # isort: skip

OTHERS = ("vlass", "racs", "emu", "lotss", "meerkat")
TEST_SEED = 1_000_003  # Of no training and no validation.
SAMPLED = 64  # Fields that are looked at for the size of the batches.


class Changed:
    """The fields of a source after a change, which is a function of the module's."""

    def __init__(self, source: Source, change: Callable[[Field], Field]) -> None:
        self.source = source
        self.change = change

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Field:
        return self.change(self.source[index])


def one_class(field: Field) -> Field:
    """Returns the field with all sources of the first class: grouping is left."""
    labels = np.minimum(field.objects.labels, 1)
    return field.replace(objects=dataclasses.replace(field.objects, labels=labels))


def bare(field: Field) -> Field:
    """Returns the field without infrared."""
    return field.replace(picture=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """What differs from the base.

    Attributes:
        rows: Names of its rows in the table, and how far each trusts in counting.
        model: Makes the detector.
        change: Of the fields to train on; None for none.
        without_contours: Whether that channel is empty.
        drop_infrared: Probability in training.
        hard: Whether the fields are hard cases alone, none like the sky.
        recipe: How it is trained; the number of steps is a flag's.
    """

    rows: Mapping[str, float]
    model: Callable[[], DetectionModel] = claran_first
    change: Callable[[Field], Field] | None = None
    without_contours: bool = False
    drop_infrared: float = 0.5
    hard: bool = False
    recipe: Recipe = COMPACT


def part_blind(hides: str) -> Variant:
    """Returns claran_v1 without a part of what its second stage sees."""
    return Variant(
        rows={f"claran_v1, its second stage without {hides}": COUNT_TRUST},
        model=functools.partial(part_blind_model, hides),
        recipe=GROUPS,
    )


def original(method: str) -> Variant:
    """Returns ClaRAN's network on small pictures, with narrow heads."""
    name = f"VGG16 on {method} at 132 px, heads of 512 units, from random weights"
    return Variant(
        rows={name: 0.0, f"{name}, then counted": COUNT_TRUST},
        model=functools.partial(
            claran_v01, image_size=132, method=method, head_width=512,
            anchor_scales=(0.5, 1, 2, 4, 8),
        ),
        drop_infrared=0.0,
        recipe=dataclasses.replace(COMPACT, learning_rate=2e-4),
    )  # fmt: skip


VARIANTS = {
    "base": Variant(
        rows={
            "base: six classes, then counted": COUNT_TRUST,
            "six classes alone, as the network says": 0.0,
        }
    ),
    "grouping": Variant(
        rows={"one class: grouping alone, class counted": 1.0}, change=one_class
    ),
    "no_infrared": Variant(
        rows={"without infrared": COUNT_TRUST}, drop_infrared=1.0
    ),
    "no_contours": Variant(
        rows={"without contour channel": COUNT_TRUST}, without_contours=True
    ),
    "no_pyramid": Variant(
        rows={"without top-down path": COUNT_TRUST},
        model=functools.partial(claran_first, top_down=False),
    ),
    "rotation": Variant(
        rows={"sampler turns each RoI": COUNT_TRUST}, model=turning
    ),
    "fine": Variant(
        rows={"twice the pixels, 200 instead of 100 for 3'": COUNT_TRUST},
        model=functools.partial(
            claran_first, image_size=256, beam_pixels=6.0,
            anchor_sizes=(16, 32, 64, 128, 180),
        ),
    ),
    "groups": Variant(
        rows={"claran_v1: groups of islands are judged": COUNT_TRUST}, model=claran_v1,
        recipe=GROUPS,
    ),
    "groups_hard": Variant(
        rows={"claran_v1, of hard cases alone": COUNT_TRUST}, model=claran_v1,
        hard=True, recipe=GROUPS,
    ),
    "groups_fine": Variant(
        rows={"claran_v1, a beam of four pixels instead of three": COUNT_TRUST},
        model=fine_groups, recipe=GROUPS,
    ),
    "groups_context": Variant(
        rows={"claran_v1, groups seen in regions twice their size": COUNT_TRUST},
        model=wide_groups, recipe=GROUPS,
    ),
    "groups_deep": Variant(
        rows={"claran_v1, four blocks in the third and fourth level": COUNT_TRUST},
        model=functools.partial(claran_v1, depths=(1, 2, 4, 4)), recipe=GROUPS,
    ),
    "groups_wide": Variant(
        rows={"claran_v1, a quarter more channels in the backbone": COUNT_TRUST},
        model=functools.partial(claran_v1, widths=(40, 80, 120, 160)), recipe=GROUPS,
    ),
    "groups_no_shapes": Variant(
        rows={"claran_v1, its second stage without shapes of islands": COUNT_TRUST},
        model=functools.partial(claran_v1, shapes=False), recipe=GROUPS,
    ),
    "groups_no_masks": part_blind("masks"),
    "groups_no_islands": part_blind("islands"),
    "groups_no_neighbors": part_blind("neighbors"),
    "claran_v0.1_D1": original("D1"),
    "claran_v0.1_D4": original("D4"),
}  # fmt: skip

_VARIANT = flags.DEFINE_enum("variant", "base", list(VARIANTS), "What to train.")
_TABLE = flags.DEFINE_bool("table", False, "Print the table of all results instead.")
_DATA = flags.DEFINE_string(
    "data", "simulated/first", "Fields to learn from, as for --mode=train."
)
_STEPS = flags.DEFINE_integer("steps", 600, "Batches of 16 fields.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, fields and choices.")
_FIELDS = flags.DEFINE_integer("fields", 600, "Simulated test fields.", lower_bound=1)
_REAL = flags.DEFINE_string(
    "real", "../shared/data/rgz_first_dev", "Folder of real fields and annotations.csv."
)
_OUTPUT = flags.DEFINE_string("output", "experiments", "Folder of the results.")


def fields(name: str, count: int, seed: int, *, hard: bool = False) -> SimulatedFields:
    """Returns simulated fields by the name for `--data`; `hard` is of a `Variant`."""
    kind = dict(SIMULATED[name])
    if hard:
        kind.pop("second", None)
    return SimulatedFields(count, seed=seed, **kind)


def other_surveys(count: int) -> SimulatedFields:
    """Returns as many fields of each of the surveys that claran_first has not seen."""
    kinds = [SIMULATED[f"simulated/{name}"] for name in OTHERS]
    return SimulatedFields(
        count, seed=TEST_SEED, population=kinds[0]["population"],
        surveys=[survey for kind in kinds for survey in kind["surveys"]],
    )  # fmt: skip


def make_model(variant: Variant) -> DetectionModel:
    """Returns the untrained detector of a variant."""
    model = variant.model()
    if variant.without_contours:
        channels: Any = model.preprocessor
        model.preprocessor = WithoutContours(**dataclasses.asdict(channels))
    return model


def input_size(model: DetectionModel, source: Source) -> tuple[int, int]:
    """Returns rows and columns of batches that hold the first fields of a source."""
    some = (source[i] for i in range(min(len(source), SAMPLED)))
    rows, columns = zip(*map(model.preprocessor.shape, some), strict=True)
    return model.preprocessor.size(max(rows), max(columns))


def run(name: str, folder: Path) -> dict[str, Any]:
    """Trains a variant and returns its rows."""
    variant = VARIANTS[name]
    recipe = dataclasses.replace(variant.recipe, steps=_STEPS.value)
    count = recipe.steps * recipe.batch_size
    source = fields(_DATA.value, count, _SEED.value, hard=variant.hard)
    keras.utils.set_random_seed(_SEED.value)
    model = make_model(variant)
    drop = [DropInfrared(probability=variant.drop_infrared)]
    result = train(
        model, Changed(source, variant.change) if variant.change else source,
        recipe=recipe, augment=drop if variant.drop_infrared else [],
        options=TrainingOptions(
            output=folder, seed=_SEED.value, save_every=200,
            size=input_size(model, source),
        ),
        settings={"variant": name, "data": _DATA.value},
    )  # fmt: skip
    trained = load_model(folder / BEST)
    trained.preprocessor = model.preprocessor
    tests: dict[str, Source] = {
        "simulated": fields("simulated/first", _FIELDS.value, TEST_SEED)
    }
    if isinstance(trained.preprocessor, Channels):
        tests["other surveys"] = other_surveys(_FIELDS.value)
        tests["radio alone"] = Changed(tests["simulated"], bare)
    # The real fields have no infrared.
    if not trained.preprocessor.needs_infrared and Path(_REAL.value).is_dir():
        tests["real"] = open_source(Path(_REAL.value), "all")
    rows = {
        row: {
            test: measure(trained, fields_of_test, trust)
            for test, fields_of_test in tests.items()
        }
        for row, trust in variant.rows.items()
    }
    about = {"steps": recipe.steps, "seed": _SEED.value, "seconds": result["seconds"]}
    return about | {"variant": name, "data": _DATA.value, "rows": rows}


def measure(model: DetectionModel, source: Source, trust: float) -> dict[str, Estimate]:
    """Returns mean AP and association on some fields, trusting so far in counting."""
    finisher: Any = model.finisher
    model.finisher = dataclasses.replace(finisher, count_trust=trust)
    measured, found = [], []
    engine = Engine(model)
    numbers = range(len(source))
    for one in engine.detect(numbers, source.__getitem__, score_threshold=FAINT):
        assert one.field is not None  # noqa: S101 - nothing is skipped.
        measured.append(one.field.without_pixels())
        found.append(one.detections)
    options = EvaluationOptions(score_threshold=0.5)
    result = evaluate(measured, found, model.class_names, options=options)
    return {
        "AP": result.mean_common,
        "association": result.associated["two or more components"],
        "association, all": result.associated["all"],
        "calibration error": Estimate(result.calibration.error, math.nan, math.nan),
    }


def table(folder: Path) -> str:
    """Returns all results as a table in Markdown."""
    lines = [
        "| variant | data, seed | AP, simulated | AP, radio alone | AP, other surveys "
        "| AP, real | association, simulated | association, real |",
        "|---|---|---|---|---|---|---|---|",
    ]
    places = [
        ("simulated", "AP"), ("radio alone", "AP"), ("other surveys", "AP"),
        ("real", "AP"),
        ("simulated", "association"), ("real", "association"),
    ]  # fmt: skip
    order = list(VARIANTS)
    records = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    records.sort(
        key=lambda r: (r["data"], order.index(r["variant"]), r["steps"], r["seed"])
    )
    for record in records:
        for about, row in record["rows"].items():
            cells = [
                str(Estimate(*row[test][kind])) if test in row else "-"
                for test, kind in places
            ]
            steps = f"{record['data']}, {record['seed']} ({record['steps']} steps)"
            lines.append(f"| {about} | {steps} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Trains and measures one variant, or prints all results."""
    del argv
    output = Path(_OUTPUT.value)
    if not _TABLE.value:
        data = _DATA.value.rpartition("/")[2]
        name = f"{_VARIANT.value}_{data}_{_STEPS.value}_{_SEED.value}"
        result = run(_VARIANT.value, output / name)
        text = json.dumps(result, indent=1)
        replace_file(output / f"{name}.json", lambda path: path.write_text(text))
    print(table(output))  # noqa: T201 - a script talks to its user


if __name__ == "__main__":
    app.run(main)
